"""The smallest move of few latents that changes an answer, for the cards of a report."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.measures.judging import as_judges, listed
from attributions.naming import isolated
from attributions.predictors import Function
from trimvae.explanation.probing import Probing
from trimvae.figures.drawing import are_images
from trimvae.figures.strips import sayings
from trimvae.report.drawing import each_alone
from trimvae.report.moving import Moves
from trimvae.tables.asking import for_rows

# Of a latent's range, in which it counts as moved.
_AT_REST = 1e-4

# Values that are tried for each latent, and what is searched unasked: the search takes time by the
# numbers that it draws for a card.
_STEPS = 11
_MOST_LATENTS, _MOST_DRAWN = 32, 2_000_000


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


def is_cheap(explanation: Probing) -> bool:
    """Whether the search costs a card little: few latents, and inputs that are not large."""
    latents, size = explanation.latents.shape[1], explanation.inputs[0].numel()
    return latents <= _MOST_LATENTS and latents * _STEPS * size <= _MOST_DRAWN


def flips_of(
    explanation: Probing,
    examples: Sequence[int],
    judges: Sequence[Function],
    max_pixels: int,
    *,
    search: bool | None = None,
    moves: Sequence[Moves] = (),
) -> list[Flip | None]:
    """Search for all examples together; of each the move, or None where none was searched for.

    Args:
        explanation: An explanation.
        examples: Of it.
        judges: Other classifiers of the same classes, behind the predictor's preprocessing; one
            that has its own is an `attributions.Predictor`.
        max_pixels: Longest side of a picture.
        search: Whether to search; default: where there are judges, or it `is_cheap`.
        moves: Of the examples: what the predictor says there is not asked again; default: none.

    Raises:
        TypeError: Judges are no list.
        ValueError: A judge has other classes.
    """
    search = bool(listed(judges)) or is_cheap(explanation) if search is None else search
    decides = explanation.can_be_asked and explanation.task != "regression"
    if not (search and decides and examples):
        return [None] * len(examples)
    own = explanation.code
    asked = as_judges(
        [for_rows(own, judge) for judge in judges],
        explanation.trim.predictor,
        explanation.inputs[:1],
    )
    known = _on_grid(moves, explanation.latents.shape[1])
    found = explanation.counterfactuals(examples, n_steps=_STEPS, on_grid=known)
    said_by = [judge.in_batches(found.inputs) for judge in asked]
    before = explanation.latents[list(examples)]
    span = (explanation.ranges[1] - explanation.ranges[0]).clamp_min(1e-12)
    moved = ((found.latents - before).abs() / span > _AT_REST).cpu()
    pictures: list[str] | list[None] = [None] * len(examples)
    if are_images(explanation):
        pictures = each_alone(found.inputs, max_pixels)
    said = sayings(explanation, found.outputs, isolated)
    judged = [sayings(explanation, outputs, isolated) for outputs in said_by]
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
            said[place],
            pictures[place],
            [judge[place] for judge in judged],
        )
        for place in range(len(examples))
    ]


def _on_grid(moves: Sequence[Moves], latents: int) -> Tensor | None:
    """Outputs `(examples, latents, _STEPS, outputs)` on the grid of the search, if all are there.

    The sliders' values are the grid's, and the example's own.
    """
    if not moves or moves[0].values.shape != (latents, _STEPS + 1):
        return None
    found = []
    for each in moves:
        own = torch.tensor(each.own, device="cpu").unsqueeze(1)
        others = each.outputs[torch.arange(_STEPS + 1, device="cpu") != own]
        order = torch.tensor(each.chosen, device="cpu").argsort()
        found.append(others.unflatten(0, (latents, _STEPS))[order])
    return torch.stack(found)
