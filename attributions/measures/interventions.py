"""Figures that ask the predictor again: what happens when latents really move?

Each moves latents, decodes and reads the predictor, so none can be satisfied by attributions that
only look plausible. The prior mean is on the manifold: deleting a latent does not leave the data,
as deleting pixels does.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.measures.sanity import rank_correlation
from attributions.outputs import decisions
from attributions.predictors import Function


class Curves(NamedTuple):
    """The explained output while latents are deleted or inserted one by one, with its bounds."""

    curve: Tensor
    """`(batch, latents + 1)`, in the order of the attributions."""
    random: Tensor
    """`(batch, latents + 1)`, mean over random orders: what an uninformed explanation gets."""
    oracle: Tensor
    """`(batch, latents + 1)`, each step the best of all that are left (greedy)."""


def curve_area(curve: Tensor) -> Tensor:
    """Area under a curve `(..., n_steps)` by the trapezoid rule, its width taken as 1: `(...)`.

    Examples:
        >>> curve_area(torch.tensor([0.0, 1.0, 1.0])).item()
        0.75
    """
    return torch.trapezoid(curve, dim=-1) / (curve.shape[-1] - 1)


def curve_score(curves: Curves) -> Tensor:
    r"""Where the area lies between random order (0) and greedy oracle (1), means over the batch.

    Pitfall of the bare area: its scale is the output's, so that areas of two predictors do not
    compare. NaN where oracle and random order are alike (nothing to explain).

    Returns:
        Scalar; negative for an order that is worse than random.
    """
    ours, random, oracle = (curve_area(curve).mean() for curve in curves)
    return (random - ours) / (random - oracle)


def deletion(
    function: Function,
    latents: Tensor,
    attributions: Tensor,
    target: Tensor,
    baselines: Tensor | None = None,
    *,
    insertion: bool = False,
    by_size: bool = False,
    n_random: int = 10,
    generator: torch.Generator | None = None,
) -> Curves:
    """Set latents to the baseline one by one, strongest attribution first, and watch the output.

    A good explanation makes the output fall early: a low area. With `insertion`, start from the
    baseline and put latents back: a high area.

    References:
        Petsiuk, Das, Saenko: RISE, 2018, https://arxiv.org/abs/1806.07421

    Args:
        function: Latents `(batch, latents)` to `(batch, classes)`; a `Trim`.
        latents: `(batch, latents)`.
        attributions: `(batch, latents)`, of the target.
        target: `(batch,)`, the class watched.
        baselines: `(1, latents)` or `(batch, latents)`; default: 0.
        insertion: Put back instead of deleting.
        by_size: Order by absolute instead of signed attributions: latents that speak against
            the class then also go early, and the output first rises.
        n_random: Random orders to average.
        generator: Of the random orders; default: torch's global one.

    Returns:
        The curve and its two bounds.

    Raises:
        ValueError: Attributions are NaN, or shapes do not match.
    """
    _check_attributions(attributions, latents)
    batch, size = latents.shape
    start = torch.zeros_like(latents) if baselines is None else baselines.expand_as(latents)
    before, after = (start, latents) if insertion else (latents, start)
    scores = attributions.abs() if by_size else attributions
    order = scores.argsort(dim=1, descending=True, stable=True)
    with torch.no_grad():
        curve = _curve(function, before, after, order, target)
        random = torch.zeros_like(curve)
        for _ in range(n_random):
            noise = torch.rand((batch, size), generator=generator, device=latents.device)
            random += _curve(function, before, after, noise.argsort(dim=1), target) / n_random
        oracle = _greedy_curve(function, before, after, target, highest=insertion)
    return Curves(curve, random, oracle)


def _outputs_of(function: Function, points: Tensor, target: Tensor) -> Tensor:
    """The target's output at points `(batch, n, latents)`: `(batch, n)`."""
    outputs = function(points.flatten(0, 1).clone()).unflatten(0, points.shape[:2])
    columns = target.clamp_max(outputs.shape[2] - 1).view(-1, 1, 1)
    watched: Tensor = outputs.gather(2, columns.expand(-1, points.shape[1], 1))[..., 0]
    return watched


def _curve(
    function: Function, before: Tensor, after: Tensor, order: Tensor, target: Tensor
) -> Tensor:
    size = before.shape[1]
    rank = order.argsort(dim=1).unsqueeze(1)
    moved = rank < torch.arange(size + 1, device=before.device).view(1, -1, 1)
    points = torch.where(moved, after.unsqueeze(1), before.unsqueeze(1))
    return _outputs_of(function, points, target)


def _greedy_curve(
    function: Function, before: Tensor, after: Tensor, target: Tensor, *, highest: bool
) -> Tensor:
    size = before.shape[1]
    moved = torch.zeros_like(before, dtype=torch.bool)
    each = torch.eye(size, dtype=torch.bool, device=before.device)
    sign = 1.0 if highest else -1.0
    columns = [_outputs_of(function, before.unsqueeze(1), target)[:, 0]]
    for _ in range(size):
        candidates = moved.unsqueeze(1) | each
        points = torch.where(candidates, after.unsqueeze(1), before.unsqueeze(1))
        outputs = _outputs_of(function, points, target)
        best = (sign * outputs).masked_fill(moved, -torch.inf).argmax(dim=1)
        columns.append(outputs.gather(1, best.unsqueeze(1))[:, 0])
        moved = moved | each[best]
    return torch.stack(columns, dim=1)


class Sufficiency(NamedTuple):
    """Whether moving the best latents is enough to change the decision."""

    flipped: Tensor
    """`(batch, k)`: whether moving the best 1, 2 ... k latents changes the decision."""
    distance: Tensor
    """`(batch,)`: smallest L2 length of a tried move that changes it; infinite where none does."""

    @property
    def rate(self) -> Tensor:
        """`(k,)`: flip@k, the share of decisions that the best k latents change."""
        return self.flipped.double().mean(dim=0)


def sufficiency(
    function: Function,
    latents: Tensor,
    attributions: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    k: int = 3,
    n_steps: int = 9,
) -> Sufficiency:
    """Share of decisions that change when the best latents move within the data's range: flip@k.

    Latents by absolute attribution; each in turn moves to that of `n_steps` values in its range
    which lowers the margin of the decision most, and stays there. Compare with random
    attributions: a high rate may just mean a wide range.

    Args:
        function: Latents `(batch, latents)` to logits `(batch, classes)`; a `Trim` without
            residual.
        latents: `(batch, latents)`.
        attributions: `(batch, latents)`, of the decision.
        low: `(latents,)`, such as the 1st percentile of the data's latents.
        high: `(latents,)`, such as the 99th.
        k: Latents that may move.
        n_steps: Values tried in each range.

    Returns:
        Flips by number of latents, and the smallest move that flips.

    Raises:
        ValueError: Attributions are NaN or do not match, `k` exceeds the latents, or `low`
            exceeds `high`.

    Examples:
        >>> latents, scores = torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 0.0]])
        >>> found = sufficiency(lambda z: z[:, :1], latents, scores, -latents[0], latents[0], k=1)
        >>> found.flipped.item()
        True
    """
    _check_attributions(attributions, latents)
    if not 1 <= k <= latents.shape[1]:
        raise ValueError(
            f"`k` must be from 1 to {latents.shape[1]}, the number of latents. Got {k}. Use 3."
        )
    if not (low <= high).all():
        raise ValueError(
            "`low` must not exceed `high`. Got ranges that are empty. Pass percentiles of the "
            "data's latents, such as latents.quantile(0.01, dim=0) and 0.99."
        )
    order = attributions.abs().argsort(dim=1, descending=True, stable=True)
    fractions = torch.linspace(0, 1, n_steps, device=latents.device, dtype=latents.dtype)
    rows = torch.arange(len(latents), device=latents.device)
    with torch.no_grad():
        decided = decisions(function(latents.clone()))
        point = latents.clone()
        distance = torch.full_like(latents[:, 0], torch.inf)
        flipped = []
        for step in range(k):
            chosen = order[:, step]
            values = low[chosen, None] + fractions * (high - low)[chosen, None]
            candidates = point.unsqueeze(1).repeat(1, n_steps, 1)
            candidates[rows, :, chosen] = values
            outputs = function(candidates.flatten(0, 1)).unflatten(0, (len(latents), n_steps))
            margins = _margins(outputs, decided)
            moves = (candidates - latents.unsqueeze(1)).norm(dim=2)
            moves = moves.masked_fill(margins > 0, torch.inf)
            distance = torch.minimum(distance, moves.amin(dim=1))
            flipped.append(distance.isfinite())
            point = candidates[rows, margins.argmin(dim=1)]
    return Sufficiency(torch.stack(flipped, dim=1), distance)


def _margins(outputs: Tensor, decided: Tensor) -> Tensor:
    """How far outputs `(batch, n, classes)` are from another decision; not above 0 beyond it."""
    if outputs.shape[2] == 1:
        return outputs[..., 0] * (2 * decided - 1).unsqueeze(1)
    column = decided.view(-1, 1, 1).expand(-1, outputs.shape[1], 1)
    own = outputs.gather(2, column)[..., 0]
    return own - outputs.scatter(2, column, -torch.inf).amax(dim=2)


def traversal_monotonicity(
    function: Function,
    latents: Tensor,
    target: Tensor,
    low: Tensor,
    high: Tensor,
    *,
    n_steps: int = 9,
    chosen: Sequence[int] | None = None,
) -> Tensor:
    r"""$|\mathrm{Spearman}(z_i, f_c)|$ along traversals, per latent.

    Averaged over examples with the range of $f_c$ as weight: a latent that moves nothing would
    otherwise score 1 by rounding.

    Args:
        function: Latents `(batch, latents)` to `(batch, classes)`; a `Trim`.
        latents: `(batch, latents)`.
        target: `(batch,)`, the class watched.
        low: `(latents,)`, where traversals start.
        high: `(latents,)`, where they end.
        n_steps: Points on each.
        chosen: Latents that move; default: all.

    Returns:
        `(latents,)`, or one per latent chosen, in [0, 1]; NaN for a latent that moves nothing.
    """
    fractions = torch.linspace(0, 1, n_steps, device=latents.device, dtype=latents.dtype)
    scores = []
    with torch.no_grad():
        for latent in range(latents.shape[1]) if chosen is None else chosen:
            points = latents.unsqueeze(1).repeat(1, n_steps, 1)
            points[..., latent] = low[latent] + fractions * (high[latent] - low[latent])
            outputs = _outputs_of(function, points, target)
            spread = outputs.amax(dim=1) - outputs.amin(dim=1)
            correlation = rank_correlation(outputs, fractions.expand_as(outputs))
            scores.append((spread * correlation.abs().nan_to_num()).sum() / spread.sum())
    return torch.stack(scores)


def _check_attributions(attributions: Tensor, latents: Tensor) -> None:
    if attributions.shape != latents.shape:
        raise ValueError(
            f"`attributions` must have the shape of the latents, {tuple(latents.shape)}. "
            f"Got {tuple(attributions.shape)}. Choose one class for each example."
        )
    if attributions.isnan().any():
        raise ValueError(
            "`attributions` must be numbers to be ranked. Got NaN. Look for examples without "
            "any attribution, and leave them out."
        )
