"""Examples without and with an attribute."""

from typing import NamedTuple

import torch
from torch import Tensor

from attributions.measures.attfind import Attribute
from attributions.outputs import both_classes, decisions
from attributions.predictors import Predictor
from trimvae.explanation.asking import FrozenCode
from trimvae.explanation.evidence import Evidence
from trimvae.explanation.searching import outputs_at


class AttributePairs(NamedTuple):
    """Examples without and with an attribute."""

    before: Tensor
    """`(count, *event)`, decoded."""
    after: Tensor
    """`(count, *event)`, with one latent at the end of its range."""
    outputs_before: Tensor
    """`(count, outputs)`."""
    outputs_after: Tensor
    """`(count, outputs)`."""


def pairs_with(
    evidence: Evidence,
    code: FrozenCode,
    predictor: Predictor,
    attribute: Attribute,
    target: int,
    count: int,
    effects: Tensor | None = None,
) -> AttributePairs:
    """Decode examples of other classes without and with an attribute, most moved first.

    Args:
        evidence: Of these examples.
        code: Decodes them.
        predictor: Is asked about them.
        attribute: A latent and the end of its range.
        target: The class that it speaks for.
        count: Most pairs.
        effects: `(batch, 2, latents, outputs)`, what `attribute_effects` returns for the examples,
            so that those that are not shown need not be decoded; default: they are.

    Returns:
        Both decoded inputs and what the predictor says of them.

    Raises:
        ValueError: `effects` are not those of these examples.
    """
    latent, direction = attribute.latent, attribute.direction
    others = (decisions(evidence.reencoded_outputs) != target).nonzero()[:, 0]
    moved, before = evidence.latents[others], evidence.reencoded_outputs[others]
    moved[:, latent] = evidence.ranges[direction][latent]
    if effects is None:
        after = outputs_at(code, predictor, moved)
    else:
        expected = (len(evidence.latents), 2, moved.shape[1], before.shape[1])
        if effects.shape != expected:
            raise ValueError(
                f"`effects` must have shape {expected}. Got {tuple(effects.shape)}. Pass "
                "attribute_effects of the same examples."
            )
        after = before + effects[others, direction, latent]  # centred or not: probabilities agree
    rise, start = (both_classes(said).softmax(dim=1)[:, target] for said in (after, before))
    order = (rise - start).argsort(descending=True)[:count]
    with torch.no_grad():
        inputs = code.decode(moved[order])
    said = predictor.in_batches(inputs)
    return AttributePairs(evidence.reconstructions[others[order]], inputs, before[order], said)
