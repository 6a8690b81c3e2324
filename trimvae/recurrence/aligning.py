"""Codes put in the order and sign of one of them, and where its axes are found again."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attributions.axes import Axes
from attributions.turned import AlongAxes
from trimvae.explanation.comparison import Comparison
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.matching import Coded, correlations_of, drawn_likeness
from trimvae.recurrence.result import Found

# Mean correlation by which another code must be better.
_AS_GOOD = 1e-3

_COMPARED = ("same_strongest", "attribution_cosine", "within_class_correlation")


class Alignment(NamedTuple):
    """How a code's axes are put in the order and sign of the reference's."""

    turn: Tensor
    """`(axes, axes)`, signed permutation: its rows are the new axes."""
    matched: Tensor
    """`(reference axes,)`, which of the new axes belongs to each; -1 for none."""


def medoid(explanations: Sequence[Explanation]) -> int:
    """Which explanation's used latents correlate best with those of the others, on average.

    Args:
        explanations: Of the same inputs.

    Returns:
        Its place; of several that do so equally well, to a thousandth, the first: rounding, which
        differs between processors, does not choose.
    """
    likeness = torch.zeros(len(explanations), len(explanations), dtype=torch.float64)
    for one, other in itertools.combinations(range(len(explanations)), 2):
        used = explanations[one].compare(explanations[other]).used_correlation
        likeness[one, other] = likeness[other, one] = used
    mean = likeness.sum(dim=1) / max(1, len(explanations) - 1)
    return int((mean >= mean.max() - _AS_GOOD).nonzero()[0])


def alignment(axes: Axes, reference: Explanation, other: Explanation, matched: Tensor) -> Alignment:
    """Return how a code's axes are put in the reference's order and sign.

    Each group of latents is ordered within itself; axes without a match come last.

    Args:
        axes: Of the other code; their groups are kept.
        reference: Explanation along the reference's axes.
        other: Of the same inputs along `axes`.
        matched: `(reference axes,)`, which of the other's axes belongs to each; -1 for none.
    """
    correlation = correlations_of(reference.latents, other.latents)
    signs = torch.ones(axes.size, dtype=torch.float64)
    rank = torch.full((axes.size,), len(matched))
    for place, axis in enumerate(matched.tolist()):
        if axis >= 0:
            rank[axis] = place
            signs[axis] = -1.0 if correlation[place, axis] < 0 else 1.0
    order = torch.arange(axes.size)
    for group in axes.groups:
        index = torch.tensor(sorted(group))
        order[index] = index[rank[index].argsort(stable=True)]
    free = torch.zeros(axes.size, dtype=torch.bool)
    free[[axis for group in axes.groups for axis in group]] = True
    turn = torch.diag(signs.where(free, torch.ones(())))[order]
    moved = torch.where(matched < 0, -1, order.argsort()[matched.clamp_min(0)])
    return Alignment(turn, moved)


def realigned(code: Any, found: Alignment) -> Any:
    """Return a code along axes as a copy, in the order and sign that were found."""
    axes, bare = code.axes.turned(found.turn), code.with_axes(None)
    return AlongAxes(bare, axes) if isinstance(code, AlongAxes) else bare.with_axes(axes)


def found_again(
    explanations: Sequence[Explanation],
    reference: int,
    comparisons: Sequence[Comparison],
    alignments: Sequence[Alignment],
) -> Found:
    """Return what is found of each axis of the reference in every code.

    Args:
        explanations: Along each code's axes, of the same inputs.
        reference: Which of them is the reference.
        comparisons: The reference's, with each of them.
        alignments: Of each code.
    """
    own = explanations[reference]
    correlation = torch.stack([each.latent_correlation for each in comparisons], dim=1)
    likeness = torch.zeros_like(correlation)
    for place, (other, each) in enumerate(zip(explanations, comparisons, strict=True)):
        there = (each.matched >= 0).nonzero()[:, 0]
        pairs = [(axis, int(each.matched[axis])) for axis in there.tolist()]
        ours, theirs = (Coded(side.latents, side.trim.decode) for side in (own, other))
        likeness[there, place] = drawn_likeness(ours, theirs, pairs)
    correlation[:, reference] = likeness[:, reference] = 1.0
    return Found(
        matched=torch.stack([each.matched for each in alignments], dim=1),
        correlation=correlation,
        likeness=likeness,
        shares=own.shares.cpu().double(),
        agreement={
            name: torch.tensor([getattr(each, name) for each in comparisons], dtype=torch.float64)
            for name in _COMPARED
        },
    )
