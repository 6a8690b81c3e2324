"""Attributions to every class in one pass: latents are few, classes may be many."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from attributions.predictors import Function

Mode = Literal["auto", "forward", "reverse"]

# A forward-mode column costs about this many reverse-mode rows (convolutions on a CPU).
_COLUMN_OVER_ROW = 4.0


class PathAttributions(NamedTuple):
    """Integrated gradients to every class, and what their sum over the path hides."""

    attributions: Tensor
    """`(batch, classes, latents)`."""
    total_variation: Tensor
    """`(batch, classes, latents)`: the same integral of absolute contributions."""


def jacobian(
    function: Function, latents: Tensor, *args: Tensor | None, mode: Mode = "auto"
) -> Tensor:
    """Derivatives of every output by every latent, `(batch, classes, latents)`.

    Forward mode passes once per latent, reverse mode once forward and once backward per class;
    the cheaper one is chosen. Where an operator lacks forward mode, reverse mode gives the same.

    Args:
        function: Latents `(batch, latents)`, and `args`, to `(batch, classes)`, example by
            example (eval mode); a `Trim`.
        latents: `(batch, latents)`.
        *args: Passed on, such as a residual.
        mode: `"forward"`, `"reverse"` or the cheaper of the two.

    Returns:
        `(batch, classes, latents)`, without a graph.

    Examples:
        >>> weight = torch.randn(3, 2)
        >>> rows = jacobian(lambda latents: latents @ weight.T, torch.randn(5, 2))
        >>> torch.allclose(rows, weight.expand(5, 3, 2))
        True
    """
    latents = latents.detach()
    if mode == "auto":
        with torch.no_grad():
            classes = function(latents[:1], *_first(args, len(latents))).shape[1]
        mode = "forward" if classes > _COLUMN_OVER_ROW * latents.shape[1] else "reverse"
        if mode == "forward":
            try:
                return _forward_columns(function, latents, args)
            except (NotImplementedError, RuntimeError):
                mode = "reverse"
    if mode == "forward":
        return _forward_columns(function, latents, args)
    return _reverse_rows(function, latents, args)


def _first(args: tuple[Tensor | None, ...], batch: int) -> tuple[Tensor | None, ...]:
    return tuple(
        arg[:1] if isinstance(arg, Tensor) and arg.ndim and len(arg) == batch else arg
        for arg in args
    )


def _forward_columns(
    function: Function, latents: Tensor, args: tuple[Tensor | None, ...]
) -> Tensor:
    columns = []
    with torch.no_grad(), forward_ad.dual_level():
        for direction in torch.eye(latents.shape[1], device=latents.device, dtype=latents.dtype):
            dual = forward_ad.make_dual(latents, direction.expand_as(latents).contiguous())
            outputs = function(dual, *args)
            tangent = forward_ad.unpack_dual(outputs).tangent
            columns.append(torch.zeros_like(outputs) if tangent is None else tangent)
    return torch.stack(columns, dim=2)


def _reverse_rows(function: Function, latents: Tensor, args: tuple[Tensor | None, ...]) -> Tensor:
    with torch.enable_grad():
        point = latents.clone().requires_grad_()
        outputs = function(point, *args)
        if not outputs.requires_grad:
            raise RuntimeError(
                "`function` must be differentiable in the latents. Got outputs without a graph. "
                "Remove argmax, `.detach()` and `torch.no_grad()` from decoder and predictor."
            )
        totals = outputs.sum(dim=0)
        rows = [
            torch.autograd.grad(total, point, retain_graph=index + 1 < len(totals))[0]
            for index, total in enumerate(totals)
        ]
    return torch.stack(rows, dim=1)


def integrated_gradients(
    function: Function,
    latents: Tensor,
    baselines: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    n_steps: int = 50,
    max_points: int = 256,
    mode: Mode = "auto",
    progress: Callable[[int], None] | None = None,
) -> PathAttributions:
    r"""Integrated gradients to every class at once, by Gauss-Legendre quadrature.

    Equal to Captum's `IntegratedGradients` class by class.

    References:
        Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, 2017,
        https://arxiv.org/abs/1703.01365

    Args:
        function: A `Trim`, or any function of latents (and residual) to `(batch, classes)`.
        latents: `(batch, latents)`.
        baselines: `(batch, latents)` or `(1, latents)`; 0 without it.
        residual: `(batch, *event)`, held fixed along the path; none without it.
        n_steps: Quadrature points; 32 or more to report.
        max_points: Most path points decoded at once: bounds the memory.
        mode: See `jacobian`.
        progress: Called with the number of examples done so far.

    Returns:
        Attributions and total variation, each `(batch, classes, latents)`.

    Raises:
        ValueError: `n_steps` or `max_points` is below 1.

    Examples:
        >>> result = integrated_gradients(lambda z: z.pow(2).cumsum(1), torch.ones(1, 2))
        >>> torch.allclose(result.attributions, torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]))
        True
    """
    for name, value in {"n_steps": n_steps, "max_points": max_points}.items():
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Got {value}. Use the default.")
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    alphas = latents.new_tensor((nodes + 1) / 2)
    weights_ = latents.new_tensor(weights / 2)
    start = torch.zeros_like(latents) if baselines is None else baselines.expand_as(latents)
    step = (latents - start).detach()
    examples_at_once = max(1, max_points // n_steps)
    parts = []
    for first in range(0, len(latents), examples_at_once):
        chunk = slice(first, first + examples_at_once)
        parts.append(
            _quadrature(
                function,
                start[chunk].detach(),
                step[chunk],
                None if residual is None else residual[chunk],
                (alphas, weights_),
                max_points,
                mode,
            )
        )
        if progress is not None:
            progress(min(first + examples_at_once, len(latents)))
    return PathAttributions(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def _quadrature(
    function: Function,
    start: Tensor,
    step: Tensor,
    residual: Tensor | None,
    rule: tuple[Tensor, Tensor],
    max_points: int,
    mode: Mode,
) -> tuple[Tensor, Tensor]:
    """The two integrals for a few examples; `max_points` holds for a single example, too."""
    net: Tensor | float = 0.0
    total: Tensor | float = 0.0
    batch = len(step)
    for alphas, weights in zip(*(part.split(max_points) for part in rule), strict=True):
        points = start.unsqueeze(1) + alphas.view(1, -1, 1) * step.unsqueeze(1)
        args = () if residual is None else (residual.repeat_interleave(len(alphas), dim=0),)
        gradients = jacobian(function, points.flatten(0, 1), *args, mode=mode)
        contributions = gradients.unflatten(0, (batch, -1)) * step.view(batch, 1, 1, -1)
        weights = weights.view(1, -1, 1, 1)
        net = net + (weights * contributions).sum(dim=1)
        total = total + (weights * contributions.abs()).sum(dim=1)
    return torch.as_tensor(net), torch.as_tensor(total)
