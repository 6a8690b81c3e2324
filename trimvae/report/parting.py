"""Where two explanations part: class by class, and the inputs of which they say otherwise."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from attributions.naming import isolated
from trimvae.explanation.comparison import Comparison, same_strongest, side_by_side
from trimvae.explanation.evidence import Evidence
from trimvae.explanation.probing import Probing
from trimvae.figures.classes import row_names
from trimvae.figures.drawing import are_images
from trimvae.figures.strips import saying
from trimvae.report.drawing import picture, signed
from trimvae.report.overview import MOST_CLASSES

# Inputs that are shown, and factors that are named of each.
_MOST_CARDS, _FACTORS = 12, 3


class PartedClass(NamedTuple):
    """How far two explanations go together on the inputs that the first decides for a class."""

    name: str
    examples: int
    decided: str
    """Percent that both decide alike."""
    strongest: str
    """Percent of which both name the same strongest factor."""
    cosine: str


def likeness(one: Evidence, other: Evidence, comparison: Comparison) -> Tensor:
    """Cosine `(batch,)` of each input's two attributions to its predicted class, latents matched.

    A latent without match stands beside 0.
    """
    return cosine_similarity(*side_by_side(one, other, comparison.matched), dim=1)


def parted_classes(one: Probing, other: Probing, comparison: Comparison) -> list[PartedClass]:
    """Each class that the first predicts, the ones where both part most first.

    Args:
        one: An explanation.
        other: Of the same inputs and classes.
        comparison: Of both.

    Returns:
        One row for each predicted class, at most 30; none of a regression or a contrast.
    """
    if not one.by_class:
        return []
    alike = (one.predicted.cpu() == other.predicted.cpu()).double()
    strongest = same_strongest(one, other, comparison.matched).double()
    cosine = likeness(one, other, comparison)
    names, counts = row_names(one), torch.bincount(one.predicted.cpu(), minlength=0)
    asked = counts.argsort(descending=True, stable=True)[:MOST_CLASSES].tolist()
    rows = []
    for index in (index for index in asked if counts[index]):
        mask = one.predicted.cpu() == index
        means = [float(values[mask].mean()) for values in (alike, strongest, cosine)]
        shown = (f"{100 * means[0]:.0f} %", f"{100 * means[1]:.0f} %", f"{means[2]:.2f}")
        rows.append((means, PartedClass(names[index], int(mask.sum()), *shown)))
    return [row for _, row in sorted(rows, key=lambda found: found[0])]


def parted_examples(one: Evidence, other: Evidence, comparison: Comparison) -> list[int]:
    """Choose the inputs of which two explanations say otherwise.

    Those that are decided otherwise, the least alike first; then those of which another factor is
    the strongest, likewise.

    Args:
        one: An explanation.
        other: Of the same inputs and classes.
        comparison: Of both.

    Returns:
        Their indices, at most 12.
    """
    apart = one.predicted.cpu() != other.predicted.cpu()
    otherwise = ~same_strongest(one, other, comparison.matched)
    cosine = likeness(one, other, comparison)
    ranked = sorted(
        (apart | otherwise).nonzero()[:, 0].tolist(),
        key=lambda example: (not bool(apart[example]), float(cosine[example])),
    )
    return ranked[:_MOST_CARDS]


def parted_card(one: Probing, other: Probing, example: int, max_pixels: int) -> dict[str, Any]:
    """An input, what both classifiers say of it, and by which factors."""
    label = None
    if one.labels is not None and one.task == "classification":
        label = one.class_names[int(one.labels[example])]
    rows = slice(example, example + 1)
    return {
        "example": example,
        "picture": picture(one.inputs[rows], 2 * max_pixels) if are_images(one) else None,
        "label": label,
        "decided_apart": int(one.predicted[example]) != int(other.predicted[example]),
        "sides": [_side(each, example) for each in (one, other)],
    }


def _side(explanation: Probing, example: int) -> dict[str, Any]:
    scores = explanation.target_attributions[example]
    chosen = [
        latent
        for latent in explanation.strongest(example, _FACTORS)
        if abs(float(scores[latent])) >= 0.05 * float(scores.abs().sum()) > 0
    ]
    return {
        "said": saying(explanation, explanation.outputs[example], isolated),
        "factors": [
            (explanation.latent_names[latent], signed(scores[latent])) for latent in chosen
        ],
    }
