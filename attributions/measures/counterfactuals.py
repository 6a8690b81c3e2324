"""How good counterfactual latents are."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from attributions.outputs import decisions


class Counterfactual(NamedTuple):
    """Figures of counterfactual latents, each `(batch,)`."""

    valid: Tensor
    """Whether the decision is another, or the wanted one."""
    latent_distance: Tensor
    """L2 length of the move, in prior standard deviations."""
    input_distance: Tensor
    """L1 distance of the decoded inputs, summed over the event."""
    changed_latents: Tensor
    """How many latents moved by more than the threshold."""
    log_prior: Tensor
    """Log density of the counterfactual latents under the standard normal prior, in nats."""


def counterfactual_figures(
    latents: Tensor,
    changed: Tensor,
    decoded: Sequence[Tensor],
    outputs: Sequence[Tensor],
    *,
    target: Tensor | None = None,
    threshold: float = 0.5,
) -> Counterfactual:
    """Validity, proximity, sparsity and plausibility of counterfactual latents.

    Pitfall: a move far outside the prior is always valid; read `log_prior` beside it.

    References:
        Verma et al.: Counterfactual Explanations for Machine Learning: A Review, 2020,
        https://arxiv.org/abs/2010.10596

    Args:
        latents: `(batch, latents)`, before.
        changed: `(batch, latents)`, after.
        decoded: Inputs decoded from both, two tensors `(batch, *event)`.
        outputs: Logits at both, two tensors `(batch, classes)`.
        target: `(batch,)`, the decision wanted; default: any other than before.
        threshold: A latent counts as changed beyond this, in prior standard deviations.

    Returns:
        One figure per example and name.
    """
    before, after = (decisions(side) for side in outputs)
    move = changed - latents
    log_prior = -0.5 * (changed.pow(2) + math.log(2 * math.pi)).sum(dim=1)
    return Counterfactual(
        valid=after == target if target is not None else after != before,
        latent_distance=move.norm(dim=1),
        input_distance=(decoded[1] - decoded[0]).abs().flatten(1).sum(dim=1),
        changed_latents=(move.abs() > threshold).sum(dim=1),
        log_prior=log_prior,
    )
