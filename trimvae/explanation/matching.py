"""Latents of two codes that belong together, and how alike both draw them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

# Examples, evenly spread, on which latents are moved.
_DRAWN_EXAMPLES = 16


class Coded(NamedTuple):
    """Where a code puts some examples, and what it draws."""

    latents: Tensor
    """`(batch, latents)`."""
    decode: Callable[[Tensor], Tensor]
    """Latents `(batch, latents)` to inputs `(batch, *event)`."""


def correlations_of(ours: Tensor, theirs: Tensor) -> Tensor:
    """Correlation over the examples of each of our latents with each of theirs.

    Args:
        ours: `(batch, latents)`.
        theirs: `(batch, others)`.

    Returns:
        `(latents, others)`, in float64; 0 for a latent that does not vary.

    Examples:
        >>> ours = torch.tensor([[0.0, 1.0], [1.0, -2.0], [2.0, 1.0]])
        >>> correlations_of(ours, -2 * ours).round(decimals=6).int().tolist()
        [[-1, 0], [0, -1]]
    """
    codes = [latents.cpu().double() for latents in (ours, theirs)]
    codes = [(code - code.mean(dim=0)) / code.std(dim=0).clamp_min(1e-12) for code in codes]
    return codes[0].T @ codes[1] / (len(ours) - 1)


def matched_latents(correlation: Tensor) -> Tensor:
    """Pairs of latents with the largest sum of absolute correlations (Hungarian method).

    References:
        Kuhn: The Hungarian method for the assignment problem, 1955,
        https://doi.org/10.1002/nav.3800020109

    Args:
        correlation: `(latents, others)`.

    Returns:
        `(latents,)`, which of the others belongs to each latent; -1 where none is left.

    Examples:
        >>> matched_latents(torch.tensor([[0.1, -0.9], [0.8, 0.85], [0.2, 0.0]])).tolist()
        [1, 0, -1]
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(correlation.abs().numpy(), maximize=True)
    matched = torch.full((len(correlation),), -1, device="cpu")
    matched[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return matched


def drawn_likeness(one: Coded, other: Coded, pairs: Sequence[tuple[int, int]]) -> Tensor:
    r"""How alike two codes draw the latents of each pair.

    $$ \operatorname{mean}_n\; |\cos(D(z_n + \sigma_i e_i) - D(z_n - \sigma_i e_i),\;
       D'(z'_n + \sigma'_j e_j) - D'(z'_n - \sigma'_j e_j))| $$

    Args:
        one: The same examples as the other; at most 16 of them, evenly spread, are drawn.
        other: Another code.
        pairs: One's latent and the other's.

    Returns:
        `(pairs,)`, from 0 to 1, in float64; 0 where a latent draws nothing.
    """
    ends = (0, len(one.latents) - 1, _DRAWN_EXAMPLES)
    rows = torch.linspace(*ends, device="cpu").round().long().unique()
    likeness = [
        cosine_similarity(_change(one, ours, rows), _change(other, theirs, rows)).abs().mean()
        for ours, theirs in pairs
    ]
    return torch.stack(likeness) if likeness else torch.zeros(0, dtype=torch.float64, device="cpu")


def _change(code: Coded, latent: int, rows: Tensor) -> Tensor:
    """What one latent changes from a standard deviation below some examples to one above."""
    ends = code.latents[rows.to(code.latents.device)].repeat(2, 1, 1)
    step = code.latents[:, latent].std()
    ends[0, :, latent] += step
    ends[1, :, latent] -= step
    with torch.no_grad():
        above, below = (code.decode(end) for end in ends)
    return (above - below).flatten(1).cpu().double()
