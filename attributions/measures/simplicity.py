"""How many latents an explanation needs, and whether each acts in one direction."""

import torch
from torch import Tensor


def participation_ratio(attributions: Tensor) -> Tensor:
    r"""Effective number of latents, $(\sum |a|)^2 / \sum a^2$, per example.

    Free of scale, and so blind to it: a dead explanation can look sparse or dense. Read it
    beside fidelity and the sum of $|a|$. Undefined at $a = 0$: NaN there.

    Args:
        attributions: `(..., latents)`.

    Returns:
        `(...)`, between 1 and the number of latents.

    Examples:
        >>> participation_ratio(torch.tensor([[1.0, -1.0, 0.0], [0.0, 5.0, 0.0]])).tolist()
        [2.0, 1.0]
    """
    # Scaled by the largest first, so that squares neither vanish nor overflow.
    size = attributions.abs()
    size = size / size.amax(dim=-1, keepdim=True)
    return size.sum(dim=-1).pow(2) / size.pow(2).sum(dim=-1)


def gini_index(attributions: Tensor) -> Tensor:
    r"""Gini coefficient of $|a|$ per example: 0 (all alike) to $1 - 1/n$ (one latent).

    Free of scale, as the participation ratio; unlike it, latents that all hardly matter count.

    References:
        Hurley, Rickard: Comparing Measures of Sparsity, 2009, https://arxiv.org/abs/0811.4706

    Args:
        attributions: `(..., latents)`.

    Returns:
        `(...)`; NaN where every attribution is 0.

    Examples:
        >>> gini_index(torch.tensor([[1.0, 1.0], [0.0, 2.0]])).tolist()
        [0.0, 0.5]
    """
    size = attributions.abs().sort(dim=-1).values
    n = size.shape[-1]
    rank = torch.arange(1, n + 1, device=size.device, dtype=size.dtype)
    return ((2 * rank - n - 1) * size).sum(dim=-1) / (n * size.sum(dim=-1))


def hoyer(attributions: Tensor) -> Tensor:
    r"""Hoyer's sparsity, $(\sqrt n - \lVert a \rVert_1 / \lVert a \rVert_2) / (\sqrt n - 1)$.

    References:
        Hoyer: Non-negative Matrix Factorization with Sparseness Constraints, 2004,
        https://www.jmlr.org/papers/v5/hoyer04a.html

    Args:
        attributions: `(..., latents)`, at least two latents.

    Returns:
        `(...)`, 0 (all alike) to 1 (one latent); NaN where every attribution is 0.

    Examples:
        >>> hoyer(torch.tensor([0.0, 0.0, 5.0, 0.0])).item()
        1.0
    """
    root: float = attributions.shape[-1] ** 0.5
    return (root - participation_ratio(attributions).sqrt()) / (root - 1)


def latents_for_share(attributions: Tensor, share: float = 0.9) -> Tensor:
    """Smallest number of latents that together carry `share` of the sum of absolute attributions.

    Args:
        attributions: `(..., latents)`.
        share: In (0, 1].

    Returns:
        `(...)`, whole numbers; 0 where every attribution is 0.

    Raises:
        ValueError: `share` is outside (0, 1].

    Examples:
        >>> latents_for_share(torch.tensor([0.5, -8.0, 1.5])).tolist()
        2
    """
    if not 0 < share <= 1:
        raise ValueError(f"`share` must be above 0 and at most 1. Got {share}. Use 0.9.")
    size = attributions.abs().sort(dim=-1, descending=True).values
    carried = size.cumsum(dim=-1)
    total = carried[..., -1:]
    # The tolerance keeps rounding in the sum from asking for one latent too many.
    missing = (carried < share * total * (1 - 1e-6)).sum(dim=-1) + 1
    return torch.where(total[..., 0] > 0, missing, 0)


def monotonicity(attributions: Tensor, total_variation: Tensor) -> Tensor:
    r"""Share of movement along the path that is not undone, $\sum |a| / \sum \overline{|c|}$.

    Sums run over examples and latents before the division: a latent counts by how much it moves
    the output. (Flat latents would otherwise score 1 or 0 by noise.)

    Args:
        attributions: `(..., latents)`, the integral of the contributions along the path.
        total_variation: Same shape, the integral of their absolute values; both come from
            `integrated_gradients` (32 steps or more).

    Returns:
        Scalar; 1 if every latent moves the output in one direction for every example. NaN where
        nothing moves.

    Examples:
        >>> contributions = torch.tensor([[[1.0], [-1.0], [2.0]]])
        >>> monotonicity(contributions.mean(dim=1), contributions.abs().mean(dim=1)).item()
        0.5
    """
    return attributions.abs().sum() / total_variation.sum()
