r"""What a predictor tells apart: the factors of its outputs over data, whatever the code.

A predictor's centred logits move in few directions over the data. Along any turn of these
directions a logit is a sum of contributions, loading times score, so that the sparsest and most
shared turn can be chosen from the logits alone: by predictor and data, which two codes have in
common, and by no code. Axes of a code that are aligned to such factors agree, because the factors
do.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.axes.turning import rotation_from
from attributions.penalties.sharing import shared_sparsity

FINALISTS, RATE = 4, 0.1


class Factors(NamedTuple):
    """Factors of a predictor's outputs: $f(x) = m + B s(x)$, as nearly as so many can."""

    scores: Tensor
    """`(batch, factors)`, of the examples they were found on; mean 0, variance 1, uncorrelated."""
    loadings: Tensor
    """`(classes, factors)`, what a unit of each factor adds to each output."""
    mean: Tensor
    """`(classes,)`, of the outputs."""
    class_price: float
    """At which they were chosen."""

    def contributions(self, target: Tensor) -> Tensor:
        """What each factor adds to the output of each example's class, `(batch, factors)`.

        Args:
            target: `(batch,)`, the classes.
        """
        return self.scores * self.loadings[target]


def predictor_factors(
    outputs: Tensor,
    target: Tensor,
    *,
    class_price: float = 1.0,
    least_variance: float = 0.01,
    most: int | None = None,
    starts: int = 16,
    generator: torch.Generator | None = None,
) -> Factors:
    r"""Factors of a predictor's outputs that are sparse, and shared by classes.

    The principal components of the outputs, scaled to unit variance (a maximum likelihood factor
    analysis without noise), then turned: of all turns that which minimises `shared_sparsity` of
    the contributions to each example's predicted class, $H(i \mid n) + \lambda\, I(i; c)$. Where
    varimax asks for sparse loadings of outputs, this asks for few factors in each *example*, which
    are not known from its class. Deterministic, given the generator.

    References:
        Kaiser: The varimax criterion for analytic rotation in factor analysis, 1958,
        https://doi.org/10.1007/BF02289233; Rohe, Zeng: Vintage factor analysis with varimax
        performs statistical inference, 2023, https://arxiv.org/abs/2004.05387 (when turned
        principal components are identified); Lachapelle et al., 2023,
        https://arxiv.org/abs/2211.14666 (sparse, overlapping use identifies factors; one factor
        for each task is the degenerate case).

    Args:
        outputs: `(batch, classes)`, what is explained, such as centred logits.
        target: `(batch,)`, the predicted classes.
        class_price: $\lambda$; 0 for sparsity alone, which makes an axis of each class.
        least_variance: Share of the outputs' variance that a component must have.
        most: At most so many factors; default: as many as have that variance.
        starts: Turns from which the search starts: the components, and random ones.
        generator: Of the random ones; default: a seed of 0.

    Returns:
        Factors, the one of largest contributions first; none, where the outputs do not vary.
    """
    values = outputs.detach().double()
    mean = values.mean(dim=0)
    centred = values - mean
    # A covariance of some classes: small, whatever the number of examples.
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(centred))
    variances, directions = variances.flip(0).clamp_min(0), directions.flip(1)
    kept = variances > least_variance * variances.sum().clamp_min(1e-12)
    count = min(int(kept.sum()), most if most is not None else len(kept))
    deviations = variances[:count].sqrt()
    scores = centred @ directions[:, :count] / deviations
    loadings = directions[:, :count] * deviations
    if count > 1:

        def prices(turns: Tensor) -> Tensor:
            contributions = (scores @ turns.mT) * (loadings @ turns.mT)[:, target]
            return shared_sparsity(contributions, target, class_price)

        turn = least_turn(prices, count, starts=starts, generator=generator, device=scores.device)
        scores, loadings = scores @ turn.T, loadings @ turn.T
    size = (scores * loadings[target]).abs().mean(dim=0)
    order = size.argsort(descending=True)
    # A factor's sign is that in which it speaks for the class that it says most of.
    strongest = loadings.abs().argmax(dim=0, keepdim=True)
    sign = torch.where(loadings.gather(0, strongest)[0] < 0, -1.0, 1.0).to(scores)
    return Factors((scores * sign)[:, order], (loadings * sign)[:, order], mean, class_price)


def aligned(latents: Tensor, scores: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Return the turn of a code whose first axes come nearest to scores.

    In each group of latents the first axes are those nearest to the scores (orthogonal
    Procrustes); the rest keeps to the latents themselves, as nearly as it can.

    References:
        Schoenemann: A generalized solution of the orthogonal Procrustes problem, 1966,
        https://doi.org/10.1007/BF02289451

    Args:
        latents: `(batch, latents)`.
        scores: `(batch, factors)`.
        groups: Indices of latents that may be turned into each other.

    Returns:
        `(latents, latents)`, orthogonal; its rows are the axes.
    """
    turn = torch.eye(latents.shape[1], dtype=torch.float64, device=latents.device)
    centred = (latents - latents.mean(dim=0)).double()
    for group in groups:
        index = torch.tensor(group, device=latents.device)
        covariance = scores.T @ centred[:, index] / len(latents)
        # Where a group has fewer latents than there are factors: those that it holds most of.
        held = covariance.pow(2).sum(dim=1).argsort(descending=True)[: len(group)].sort().values
        turn[index.unsqueeze(1), index] = completed(nearest_orthonormal(covariance[held]))
    return turn


def nearest_orthonormal(matrix: Tensor) -> Tensor:
    """Orthonormal rows nearest to those of a matrix `(rows, columns)`: its polar factor."""
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    nearest: Tensor = left @ right
    return nearest


def completed(rows: Tensor) -> Tensor:
    """Orthonormal rows `(rows, columns)`, completed to a basis that keeps near to the latents.

    The new rows span what the first leave, and are as near as they can be to those coordinate axes
    that the first hold least of.
    """
    count, size = rows.shape
    if count == size:
        return rows
    left = torch.eye(size, dtype=rows.dtype, device=rows.device) - rows.T @ rows
    span = torch.linalg.eigh(left).eigenvectors[:, count:]
    nearest = span.pow(2).sum(dim=1).argsort(descending=True)[: size - count].sort().values
    return torch.cat([rows, nearest_orthonormal(span[nearest]) @ span.T])


def least_turn(
    prices: Callable[[Tensor], Tensor],
    size: int,
    *,
    starts: int = 16,
    steps: int = 200,
    generator: torch.Generator | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Return the rotation of least price, found from several starts at once.

    From the identity and from random rotations Adam goes down for a quarter of the steps, and
    from the best of these for all of them.

    Args:
        prices: Rotations `(n, size, size)` to the price of each, `(n,)`.
        size: Rows and columns.
        starts: Rotations from which the search starts.
        steps: Of the last descent.
        generator: Of the random rotations; default: a seed of 0.
        device: Where to search; default: the CPU.

    Returns:
        `(size, size)`, float64.
    """
    generator = generator or torch.Generator(device=device or "cpu").manual_seed(0)
    noise = torch.randn(starts, size, size, generator=generator, device=generator.device)
    start = torch.linalg.qr(noise.to(device, torch.float64))[0]
    start[0] = torch.eye(size, device=start.device)
    screened = _descended(prices, start, max(1, steps // 4))
    turns = _descended(prices, screened[prices(screened).argsort()[:FINALISTS]], steps)
    return turns[prices(turns).argmin()]


def _descended(prices: Callable[[Tensor], Tensor], start: Tensor, steps: int) -> Tensor:
    """Descend from several turns `(starts, factors, factors)` at once, each alone."""
    size = start.shape[-1]
    with torch.enable_grad():
        angles = start.new_zeros(len(start), size * (size - 1) // 2).requires_grad_()
        optimizer = torch.optim.Adam([angles], lr=RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            loss = prices(rotation_from(angles, size) @ start).sum()
            (angles.grad,) = torch.autograd.grad(loss, angles)
            optimizer.step()
            schedule.step()
    return (rotation_from(angles, size) @ start).detach()
