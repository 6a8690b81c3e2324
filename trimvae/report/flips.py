"""The smallest move of few latents that changes an answer, for the cards of a report."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from attributions.naming import isolated
from attributions.predictors import Function, as_predictor
from trimvae.explanation.probing import Probing
from trimvae.figures.drawing import are_images
from trimvae.figures.strips import saying
from trimvae.report.drawing import picture

# Of a latent's range, in which it counts as moved.
_AT_REST = 1e-4


class Flip(NamedTuple):
    """What would have to change for another answer."""

    found: bool
    """Whether such a move was found."""
    moves: list[tuple[str, str, str]]
    """Name, value before and value after of each latent that is moved."""
    said: str
    """What the predictor says then."""
    picture: str | None
    """What is drawn then, of images."""
    judged: list[str]
    """What each judge says of it."""


def flips_of(
    explanation: Probing, examples: Sequence[int], judges: Sequence[Function], max_pixels: int
) -> list[Flip | None]:
    """Search for all examples together; of each the move, or None where nothing can be asked.

    Args:
        explanation: An explanation.
        examples: Of it.
        judges: Other classifiers of the same classes; one that needs a preprocessing of its own is
            an `attributions.Predictor`.
        max_pixels: Longest side of a picture.

    Raises:
        ValueError: A judge has other classes.
    """
    if not explanation.can_be_asked or explanation.task == "regression" or not examples:
        return [None] * len(examples)
    found = explanation.counterfactuals(examples)
    said_by = [as_predictor(judge).in_batches(found.inputs) for judge in judges]
    for outputs in said_by:
        if outputs.shape != found.outputs.shape:
            raise ValueError(
                "`judges` must have the classes of the explained predictor. Got "
                f"{outputs.shape[1]} outputs beside {found.outputs.shape[1]}. Choose others."
            )
    before = explanation.latents[list(examples)]
    span = (explanation.ranges[1] - explanation.ranges[0]).clamp_min(1e-12)
    moved = ((found.latents - before).abs() / span > _AT_REST).cpu()
    drawn = are_images(explanation)
    return [
        Flip(
            bool(found.figures.valid[place]),
            [
                (
                    explanation.latent_names[latent],
                    f"{float(before[place, latent]):+.1f}",
                    f"{float(found.latents[place, latent]):+.1f}",
                )
                for latent in torch.nonzero(moved[place])[:, 0].tolist()
            ],
            saying(explanation, found.outputs[place], isolated),
            picture(found.inputs[place : place + 1], max_pixels) if drawn else None,
            [saying(explanation, outputs[place], isolated) for outputs in said_by],
        )
        for place in range(len(examples))
    ]
