"""Attributions to every class in one pass: latents are few, classes may be many."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import jvp, vmap

from attributions.predictors import Function

Mode = Literal["auto", "forward", "reverse"]

# A forward-mode column costs about this many reverse-mode rows (convolutions on a CPU).
_COLUMN_OVER_ROW = 2.0


def jacobian(
    function: Function,
    latents: Tensor,
    *args: Tensor | None,
    mode: Mode = "auto",
    max_points: int = 256,
) -> Tensor:
    """Derivatives of every output by every latent, `(batch, classes, latents)`.

    Forward mode passes all latents' tangents at once beside one shared pass of values, reverse
    mode goes once forward and once backward per class; the cheaper one is chosen. Where an
    operator lacks forward mode or vmap, the other ways give the same.

    Args:
        function: Latents `(batch, latents)`, and `args`, to `(batch, classes)`, example by
            example (eval mode); a `Trim`.
        latents: `(batch, latents)`.
        *args: Passed on, such as a residual; those of the batch's length go with its examples.
        mode: `"forward"`, `"reverse"` or the cheaper of the two.
        max_points: Most rows (values and tangents) that pass at once: bounds the memory.

    Returns:
        `(batch, classes, latents)`, without a graph.

    Raises:
        ValueError: `max_points` is below 1.
        RuntimeError: The function is not differentiable in the latents.

    Examples:
        >>> weight = torch.randn(3, 2)
        >>> rows = jacobian(lambda latents: latents @ weight.T, torch.randn(5, 2))
        >>> torch.allclose(rows, weight.expand(5, 3, 2))
        True
    """
    check_counts(max_points=max_points)
    latents = latents.detach()
    if mode == "auto":
        with torch.no_grad():
            classes = function(latents[:1], *_rows(args, latents, slice(1))).shape[1]
        mode = "forward" if classes > _COLUMN_OVER_ROW * latents.shape[1] else "reverse"
        if mode == "forward":
            try:
                return _in_chunks(_forward_columns, function, latents, args, max_points)
            except (NotImplementedError, RuntimeError):
                mode = "reverse"
    derivatives = _forward_columns if mode == "forward" else _reverse_rows
    return _in_chunks(derivatives, function, latents, args, max_points)


def _in_chunks(
    derivatives: Callable[..., Tensor],
    function: Function,
    latents: Tensor,
    args: tuple[Tensor | None, ...],
    max_points: int,
) -> Tensor:
    rows_per_example = 1 + latents.shape[1] if derivatives is _forward_columns else 1
    size = max(1, max_points // rows_per_example)
    chunks = [slice(first, first + size) for first in range(0, len(latents), size)]
    return torch.cat([derivatives(function, latents[c], _rows(args, latents, c)) for c in chunks])


def _rows(
    args: tuple[Tensor | None, ...], latents: Tensor, rows: slice
) -> tuple[Tensor | None, ...]:
    return tuple(
        arg[rows] if isinstance(arg, Tensor) and arg.ndim and len(arg) == len(latents) else arg
        for arg in args
    )


def _forward_columns(
    function: Function, latents: Tensor, args: tuple[Tensor | None, ...]
) -> Tensor:
    directions = torch.eye(latents.shape[1], device=latents.device, dtype=latents.dtype)

    def column(direction: Tensor) -> Tensor:
        tangent = direction.expand_as(latents)
        return jvp(lambda point: function(point, *args), (latents,), (tangent,))[1]

    with torch.no_grad():
        try:
            return vmap(column, out_dims=2)(directions)
        except (NotImplementedError, RuntimeError):  # an operator without vmap
            return _forward_column_loop(function, latents, args, directions)


def _forward_column_loop(
    function: Function, latents: Tensor, args: tuple[Tensor | None, ...], directions: Tensor
) -> Tensor:
    columns = []
    with forward_ad.dual_level():
        for direction in directions:
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


def saliency(
    function: Function,
    latents: Tensor,
    residual: Tensor | None = None,
    *,
    absolute: bool = True,
    max_points: int = 256,
    mode: Mode = "auto",
) -> Tensor:
    """Gradients of every class, `(batch, classes, latents)`; equal to Captum's `Saliency`.

    Pitfall: not in units of the output. Stretching a latent shrinks its saliency.

    References:
        Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, 2014,
        https://arxiv.org/abs/1312.6034

    Args:
        function: A `Trim`, or any function of latents (and residual) to `(batch, classes)`.
        latents: `(batch, latents)`.
        residual: `(batch, *event)`, held fixed; none without it.
        absolute: Whether signs are dropped, as Captum does by default.
        max_points: See `jacobian`.
        mode: See `jacobian`.

    Returns:
        `(batch, classes, latents)`.
    """
    args = () if residual is None else (residual,)
    gradients = jacobian(function, latents, *args, mode=mode, max_points=max_points)
    return gradients.abs() if absolute else gradients


def input_x_gradient(
    function: Function,
    latents: Tensor,
    residual: Tensor | None = None,
    *,
    max_points: int = 256,
    mode: Mode = "auto",
) -> Tensor:
    """Latents times gradients, to every class; equal to Captum's `InputXGradient`.

    References:
        Shrikumar, Greenside, Shcherbina, Kundaje: Not Just a Black Box, 2016,
        https://arxiv.org/abs/1605.01713

    Args:
        function: A `Trim`, or any function of latents (and residual) to `(batch, classes)`.
        latents: `(batch, latents)`.
        residual: `(batch, *event)`, held fixed; none without it.
        max_points: See `jacobian`.
        mode: See `jacobian`.

    Returns:
        `(batch, classes, latents)`.
    """
    gradients = saliency(
        function, latents, residual, absolute=False, max_points=max_points, mode=mode
    )
    return gradients * latents.detach().unsqueeze(1)


def check_counts(**counts: int) -> None:
    """Raise a ValueError unless every count is at least 1."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Got {value}. Use the default.")
