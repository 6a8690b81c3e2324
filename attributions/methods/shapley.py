"""Exact Shapley values of latents: few enough that every coalition can be asked."""

import math

import torch
from torch import Tensor

from attributions.checks import check_counts
from attributions.methods.jacobians import with_targets
from attributions.predictors import Function


def exact_shapley(
    function: Function,
    latents: Tensor,
    baselines: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    targets: Tensor | None = None,
    max_points: int = 256,
    max_coalitions: int = 2**14,
) -> Tensor:
    r"""Shapley values to every class by asking all $2^d$ coalitions of $d$ latents.

    $$ \phi_i = \sum_{S \not\ni i} \frac{|S|!\,(d - |S| - 1)!}{d!}\, (v(S \cup i) - v(S)) $$

    with $v(S)$ the output where the latents in $S$ have their values and the others the
    baseline's. No sampling, hence no sampling error, and complete to rounding. Needs no gradient.

    References:
        Shapley: A Value for n-Person Games, 1953; Lundberg, Lee: A Unified Approach to
        Interpreting Model Predictions, 2017, https://arxiv.org/abs/1705.07874

    Args:
        function: A `Trim`, or any function of latents (and residual) to `(batch, classes)`.
        latents: `(batch, latents)`.
        baselines: `(batch, latents)` or `(1, latents)`; default: 0.
        residual: `(batch, *event)`, held fixed; default: none.
        targets: `(batch, wanted)`, the classes wanted of each example; default: all.
        max_points: Most coalitions decoded at once: bounds the memory.
        max_coalitions: Most coalitions per example that are worth waiting for.

    Returns:
        `(batch, classes, latents)`.

    Raises:
        ValueError: There are more than `max_coalitions` coalitions, or `max_points` is below 1.

    Examples:
        >>> def both(z):  # 1 where both latents are 1, which deserve half each
        ...     return z.prod(dim=1, keepdim=True)
        >>> exact_shapley(both, torch.ones(1, 2)).tolist()
        [[[0.5, 0.5]]]
    """
    check_counts(max_points=max_points)
    max_points = int(max_points)
    size = latents.shape[1]
    if 2**size > max_coalitions:
        raise ValueError(
            f"`latents` must have few entries for exact Shapley values. Got {size}, which is "
            f"{2**size:,} coalitions per example, more than max_coalitions={max_coalitions:,}. "
            "Sample instead, with Captum's ShapleyValueSampling or KernelShap."
        )
    function, args = with_targets(function, residual, targets)
    latents = latents.detach()
    start = torch.zeros_like(latents) if baselines is None else baselines.expand_as(latents)
    present = _coalitions(size, latents.device)
    weights = _weights(present).to(latents.dtype)
    rows = torch.arange(len(latents), device=latents.device).repeat_interleave(len(present))
    coalitions = torch.arange(len(present), device=latents.device).repeat(len(latents))
    values = []
    with torch.no_grad():
        for some, subset in zip(rows.split(max_points), coalitions.split(max_points), strict=True):
            points = torch.where(present[subset], latents[some], start[some])
            values.append(function(points, *(arg[some] for arg in args)))
    table = torch.cat(values).unflatten(0, (len(latents), len(present)))
    return torch.einsum("is,bsc->bci", weights, table)


def _coalitions(size: int, device: torch.device) -> Tensor:
    """`(2^size, size)`: which latents are in each coalition."""
    numbers = torch.arange(2**size, device=device).unsqueeze(1)
    return (numbers >> torch.arange(size, device=device)) & 1 > 0


def _weights(present: Tensor) -> Tensor:
    """`(latents, coalitions)`: how the value of each coalition enters each Shapley value."""
    size = present.shape[1]
    orders = [1 / (size * math.comb(size - 1, k)) for k in range(size)]
    weight = torch.tensor(orders, dtype=torch.float64, device=present.device)
    members = present.sum(dim=1)
    joined = weight[(members - 1).clamp_min(0)]
    absent = weight[members.clamp_max(size - 1)]
    return torch.where(present.T, joined, -absent)
