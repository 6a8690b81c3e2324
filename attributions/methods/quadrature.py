"""Where a path integral is taken, and with which weights."""

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from attributions.checks import check_counts

Rule: TypeAlias = Literal["gauss", "simpson"]
"""Gauss-Legendre's points, inside the path, or Simpson's, evenly from end to end."""


class Quadrature(NamedTuple):
    """Points of the unit interval and their weights, which add up to 1."""

    alphas: Tensor
    """`(n_steps,)`."""
    weights: Tensor
    """`(n_steps,)`."""


def quadrature_of(n_steps: int, like: Tensor, rule: Rule = "gauss") -> Quadrature:
    r"""Approximate $\int_0^1 g(\alpha)\, d\alpha$ by $\sum_i w_i\, g(\alpha_i)$.

    Gauss-Legendre's rule is exact for polynomials of degree `2 * n_steps - 1`, Simpson's, which
    can be refined without asking again, for cubic ones.

    Args:
        n_steps: Points; for Simpson's rule an odd number, at least 3.
        like: Whose device and dtype the points have.
        rule: `"gauss"` or `"simpson"`.

    Returns:
        Points and weights.

    Raises:
        ValueError: `n_steps` is below 1, or does not fit Simpson's rule, or there is no such rule.

    Examples:
        >>> cubes = [
        ...     (weights * alphas**3).sum()
        ...     for alphas, weights in (
        ...         quadrature_of(2, torch.ones(())), quadrature_of(5, torch.ones(()), "simpson")
        ...     )
        ... ]
        >>> torch.allclose(torch.stack(cubes), torch.full((2,), 0.25))
        True
    """
    check_counts(n_steps=n_steps)
    if rule == "gauss":
        nodes, weights = np.polynomial.legendre.leggauss(n_steps)
        return Quadrature(like.new_tensor((nodes + 1) / 2), like.new_tensor(weights / 2))
    if rule != "simpson":
        raise ValueError(f"`rule` must be 'gauss' or 'simpson'. Got {rule!r}. Use 'gauss'.")
    if n_steps < 3 or n_steps % 2 == 0:
        raise ValueError(
            f"`n_steps` must be odd and at least 3 for Simpson's rule. Got {n_steps}. Add one."
        )
    alphas = torch.linspace(0, 1, n_steps, dtype=like.dtype, device=like.device)
    weights_ = torch.full_like(alphas, 2.0)
    weights_[1::2] = 4.0
    weights_[[0, -1]] = 1.0
    return Quadrature(alphas, weights_ / (3 * (n_steps - 1)))
