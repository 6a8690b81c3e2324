"""Pairs of real inputs that differ mostly in one latent: does the predictor say what is claimed?"""

from typing import NamedTuple

import torch
from torch import Tensor

from attributions.codes import at_once
from attributions.methods.jacobians import jacobian
from attributions.methods.quadrature import quadrature_of
from attributions.trim import Trim


class Pairs(NamedTuple):
    """Pairs of examples whose codes differ mostly in one latent, the nearest ones of each."""

    first: Tensor
    """`(pairs,)`, index of one example."""
    second: Tensor
    """`(pairs,)`, index of the other."""
    latent: Tensor
    """`(pairs,)`, in which latent they differ."""


def pairs_along_latents(
    latents: Tensor, *, least_share: float = 0.5, least_move: float = 1.0, most: int = 50
) -> Pairs:
    r"""Find pairs of examples whose codes differ mostly in one latent.

    With differences $d$ in standard deviations of each latent over the examples, a pair belongs to
    latent $i$ where $d_i^2 \ge s \sum_j d_j^2$ and $|d_i| \ge m$. Of each latent those that differ
    least in the others are kept.

    Args:
        latents: `(n, latents)`.
        least_share: $s$, in (0, 1].
        least_move: $m$, in standard deviations.
        most: Pairs for each latent.

    Returns:
        Pairs, latent by latent; few or none of few examples.

    Raises:
        ValueError: `latents` is no matrix, `least_share` is out of range, or `most` is below 1.

    Examples:
        >>> grid = torch.cartesian_prod(torch.arange(2.0), torch.arange(2.0))
        >>> pairs_along_latents(grid, least_share=0.8).latent.tolist()
        [0, 0, 1, 1]
    """
    if latents.ndim != 2:
        raise ValueError(
            f"`latents` must have shape (n, latents). Got {tuple(latents.shape)}. Flatten them."
        )
    if not 0 < least_share <= 1 or most < 1:
        raise ValueError(
            "`least_share` must be above 0 and at most 1, and `most` at least 1. Got "
            f"{least_share} and {most}. Use 0.5 and 50."
        )
    points = latents.detach().double()
    spread = points.std(dim=0) if len(points) > 1 else torch.zeros_like(points[0])
    varies = spread > 0
    points = torch.where(varies, points / torch.where(varies, spread, 1), 0)
    rows, columns = torch.triu_indices(len(points), len(points), 1, device=points.device)
    whole = torch.cdist(points, points).square()[rows, columns]
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    for latent in range(points.shape[1]):
        own = (points[rows, latent] - points[columns, latent]).square()
        fits = ((own >= least_share * whole) & (own >= least_move**2)).nonzero()[:, 0]
        nearest = fits[(whole - own)[fits].argsort(stable=True)[:most]]
        found.append((rows[nearest], columns[nearest], torch.full_like(nearest, latent)))
    return Pairs(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def said_of_pairs(
    trim: Trim, inputs: Tensor, latents: Tensor, pairs: Pairs, *, n_steps: int = 8
) -> tuple[Tensor, Tensor]:
    r"""What the predictor says of the difference of two inputs, and what attributions say.

    The first is $f(x_b) - f(x_a)$, at the inputs themselves. The second is the attribution of the
    one latent in which they differ, by integrated gradients of the predictor behind the decoder
    along the segment from $z_a$ to $z_b$, with the residual of $x_a$ held fixed.

    Args:
        trim: What is explained.
        inputs: `(n, *event)`.
        latents: `(n, latents)`.
        pairs: Of these.
        n_steps: Path points.

    Returns:
        Two tensors `(pairs, classes)`.

    Examples:
        >>> weight = torch.tensor([[1.0, -1.0], [2.0, 0.0], [0.0, 3.0]])
        >>> trim, inputs = Trim(lambda x: x @ weight, torch.nn.Identity()), torch.eye(3)
        >>> pairs = Pairs(torch.tensor([0]), torch.tensor([1]), torch.tensor([0]))
        >>> differences, said = said_of_pairs(trim, inputs, inputs, pairs)
        >>> differences.tolist(), said.round(decimals=4).tolist()
        ([[1.0, 1.0]], [[-1.0, 1.0]])
    """
    at_a_time = at_once(inputs)
    with torch.no_grad():
        outputs = torch.cat([trim.of_inputs(part) for part in inputs.split(at_a_time)])
    residual = trim.residual(inputs, latents)
    alphas, weights = quadrature_of(n_steps, latents)
    said = [outputs[:0]]
    for before, after, latent in zip(*(side.split(at_a_time) for side in pairs), strict=True):
        step = latents[after] - latents[before]
        points = latents[before].unsqueeze(1) + alphas.view(1, -1, 1) * step.unsqueeze(1)
        column = latent.unsqueeze(1)
        move = torch.zeros_like(step).scatter(1, column, step.gather(1, column))
        slopes = _slopes(
            trim,
            points.flatten(0, 1),
            *(part.repeat_interleave(n_steps, dim=0) for part in (move, residual[before])),
        )
        said.append((slopes.unflatten(0, (-1, n_steps)) * weights.view(1, -1, 1)).sum(dim=1))
    return outputs[pairs.second] - outputs[pairs.first], torch.cat(said)


def _slopes(trim: Trim, points: Tensor, moves: Tensor, residual: Tensor) -> Tensor:
    """Derivatives of every output along `moves`, `(points, classes)`.

    By one number for each point: a single tangent, whatever the number of latents and classes.
    """

    def along(amount: Tensor, start: Tensor, move: Tensor, left_out: Tensor) -> Tensor:
        outputs: Tensor = trim(start + amount * move, left_out)
        return outputs

    amounts = points.new_zeros((len(points), 1))
    slopes = jacobian(along, amounts, points, moves, residual, max_points=at_once(residual))
    return slopes[..., 0]


def pair_correlation(differences: Tensor, said: Tensor, weights: Tensor | None = None) -> Tensor:
    r"""Correlation of what the predictor says of pairs with what attributions say.

    $$ \frac{\sum_{pc} u_{pc} v_{pc}}{\sqrt{\sum_{pc} u_{pc}^2 \sum_{pc} v_{pc}^2}} $$

    over pairs and classes: Pearson's, once every pair is counted in both its orders, of which none
    is the right one.

    Args:
        differences: `(pairs, classes)`, $u$.
        said: `(pairs, classes)`, $v$.
        weights: `(pairs, n)`, of the pairs in `n` resamples; default: 1.

    Returns:
        Scalar, or `(n,)`, in [-1, 1]; NaN where nothing differs or nothing is said.

    Raises:
        ValueError: Shapes differ.

    Examples:
        >>> both = torch.randn(6, 3)
        >>> torch.allclose(pair_correlation(both, -2 * both), torch.tensor(-1.0))
        True
    """
    if differences.shape != said.shape or differences.ndim != 2:
        raise ValueError(
            "`differences` and `said` must have one shape (pairs, classes). Got "
            f"{tuple(differences.shape)} and {tuple(said.shape)}. Take both of the same pairs."
        )
    u, v = differences.double(), said.double()
    products = torch.stack([(u * v).sum(dim=1), u.square().sum(dim=1), v.square().sum(dim=1)])
    sums = products.sum(dim=1) if weights is None else products @ weights.to(products)
    return (sums[0] / (sums[1] * sums[2]).sqrt()).to(said.dtype)
