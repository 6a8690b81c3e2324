"""Figures that ask the predictor again: what happens when latents really move?

Each moves latents, decodes and reads the predictor, so none can be satisfied by attributions that
only look plausible. The prior mean is on the manifold: deleting a latent does not leave the data,
as deleting pixels does.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.measures.orders import check_attributions, outputs_of
from attributions.measures.sanity import rank_correlation
from attributions.outputs import decisions
from attributions.predictors import Function


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
    check_attributions(attributions, latents)
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
            alike = decisions(outputs.flatten(0, 1)).view_as(margins) == decided.unsqueeze(1)
            moves = moves.masked_fill(alike, torch.inf)
            distance = torch.minimum(distance, moves.amin(dim=1))
            flipped.append(distance.isfinite())
            point = candidates[rows, margins.argmin(dim=1)]
    return Sufficiency(torch.stack(flipped, dim=1), distance)


def _margins(outputs: Tensor, decided: Tensor) -> Tensor:
    """How far outputs `(batch, n, classes)` are from another decision; 0 at a tie."""
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
            outputs = outputs_of(function, points, target)
            spread = outputs.amax(dim=1) - outputs.amin(dim=1)
            correlation = rank_correlation(outputs, fractions.expand_as(outputs))
            scores.append((spread * correlation.abs().nan_to_num()).sum() / spread.sum())
    return torch.stack(scores)
