"""Attributions to every class in one pass: latents are few, classes may be many."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import jvp, vmap

from attributions.checks import check_counts, check_mode
from attributions.methods.support import torch_supports
from attributions.predictors import Function

Mode = Literal["auto", "forward", "reverse"]
"""By columns (one per latent), by rows (one per class), or whichever is cheaper."""

Arguments: TypeAlias = tuple[Tensor | None, ...]
Derivatives: TypeAlias = Callable[[Function, Tensor, Arguments], Tensor]

# A forward-mode column costs about this many reverse-mode rows (convolutions on a CPU).
_COLUMN_OVER_ROW = 2.0

_NO_GRAPH = (
    "`function` must be differentiable in the latents. Got outputs without a graph. "
    "Remove argmax, `.detach()` and `torch.no_grad()` from decoder and predictor."
)


def jacobian(
    function: Function,
    latents: Tensor,
    *args: Tensor | None,
    mode: Mode = "auto",
    max_points: int = 256,
) -> Tensor:
    """Derivatives of every output by every latent, `(batch, classes, latents)`.

    Forward mode passes all latents' tangents at once beside one shared pass of values, reverse
    mode goes once forward and once backward per class; the cheaper one is chosen. Whether torch
    can take the function's derivatives in that way is asked once, at the first example; where an
    operator lacks forward mode or vmap, another way gives the same.

    Args:
        function: Latents `(batch, latents)`, and `args`, to `(batch, classes)`, example by
            example (eval mode); a `Trim`.
        latents: `(batch, latents)`.
        *args: Passed on, such as a residual; those of the batch's length go with its examples.
        mode: `"forward"`, `"reverse"` or `"auto"`, the cheaper of the two.
        max_points: Most rows (values and tangents) that pass at once: bounds the memory.

    Returns:
        `(batch, classes, latents)`, without a graph.

    Raises:
        ValueError: `max_points` is below 1.
        RuntimeError: The function is not differentiable in the latents, or torch.inference_mode
            is on.

    Examples:
        >>> weight = torch.randn(3, 2)
        >>> rows = jacobian(lambda latents: latents @ weight.T, torch.randn(5, 2))
        >>> torch.allclose(rows, weight.expand(5, 3, 2))
        True
    """
    check_counts(max_points=max_points)
    latents = latents.detach()
    derivatives = derivatives_of(function, latents, args, mode)
    return in_chunks(derivatives, function, latents, args, max_points)


def derivatives_of(function: Function, latents: Tensor, args: Arguments, mode: Mode) -> Derivatives:
    """Find the way to take a function's derivatives; good for all points of its domain.

    Args:
        function: As in `jacobian`.
        latents: `(batch, latents)`, of which the first is tried.
        args: As in `jacobian`.
        mode: As in `jacobian`.

    Returns:
        What gives `(batch, classes, latents)` for the function, latents and their arguments.
    """
    check_mode("function")
    first, of_first = latents[:1].detach(), _rows(args, latents, slice(1))
    chosen = mode
    if mode == "auto":
        with torch.no_grad():
            classes = function(first.clone(), *of_first).shape[1]
        chosen = "forward" if classes > _COLUMN_OVER_ROW * latents.shape[1] else "reverse"
    if chosen == "reverse":
        return _reverse_rows
    if mode == "forward":
        _tangent(function, first, of_first, torch.ones_like(first))  # torch says what lacks it
    elif not torch_supports(lambda: _tangent(function, first, of_first, torch.ones_like(first))):
        return _reverse_rows
    if torch_supports(lambda: _forward_columns(function, first, of_first)):
        return _forward_columns
    return _forward_loop


def in_chunks(
    derivatives: Derivatives,
    function: Function,
    latents: Tensor,
    args: Arguments,
    max_points: int,
) -> Tensor:
    """Derivatives `(batch, classes, latents)`, of at most `max_points` rows at once."""
    rows_per_example = 1 if derivatives is _reverse_rows else 1 + latents.shape[1]
    size = max(1, int(max_points) // rows_per_example)
    chunks = [slice(first, first + size) for first in range(0, len(latents), size)]
    return torch.cat([derivatives(function, latents[c], _rows(args, latents, c)) for c in chunks])


def with_targets(
    function: Function, residual: Tensor | None, targets: Tensor | None
) -> tuple[Function, tuple[Tensor, ...]]:
    """A function of latents that gives the outputs wanted alone, and what it takes beside them.

    Args:
        function: Latents `(batch, latents)`, and the residual where there is one, to
            `(batch, classes)`.
        residual: `(batch, *event)`, or None.
        targets: `(batch, wanted)`, numbers of outputs; None for all.

    Returns:
        A function of latents and of what goes with its examples; and that, in a tuple.

    Raises:
        ValueError: `targets` are no rows of whole numbers.
    """
    args = () if residual is None else (residual,)
    if targets is None:
        return function, args
    if targets.ndim != 2 or targets.is_floating_point():
        raise ValueError(
            "`targets` must be whole numbers (batch, wanted), a row for each example. Got "
            f"{targets.dtype} of shape {tuple(targets.shape)}. Pass (batch, 1) for one class each."
        )

    def wanted(latents: Tensor, *args_and_targets: Tensor) -> Tensor:
        *others, numbers = args_and_targets
        outputs: Tensor = function(latents, *others).gather(1, numbers)
        return outputs

    return wanted, (*args, targets)


def _rows(args: Arguments, latents: Tensor, rows: slice) -> Arguments:
    return tuple(
        arg[rows] if isinstance(arg, Tensor) and arg.ndim and len(arg) == len(latents) else arg
        for arg in args
    )


def _forward_columns(function: Function, latents: Tensor, args: Arguments) -> Tensor:
    directions = torch.eye(latents.shape[1], device=latents.device, dtype=latents.dtype)

    def column(direction: Tensor) -> Tensor:
        tangent = direction.expand_as(latents)
        pushed = jvp(lambda point: function(point.clone(), *args), (latents,), (tangent,))
        column_of_all: Tensor = pushed[1]
        return column_of_all

    with torch.no_grad():
        return vmap(column, out_dims=2)(directions)


def _forward_loop(function: Function, latents: Tensor, args: Arguments) -> Tensor:
    """For operators without vmap."""
    directions = torch.eye(latents.shape[1], device=latents.device, dtype=latents.dtype)
    columns = [_tangent(function, latents, args, each.expand_as(latents)) for each in directions]
    return torch.stack(columns, dim=2)


def _tangent(function: Function, latents: Tensor, args: Arguments, direction: Tensor) -> Tensor:
    _make_ready()
    with torch.no_grad(), forward_ad.dual_level():
        dual = forward_ad.make_dual(latents.clone(), direction.contiguous())
        tangent: Tensor | None = forward_ad.unpack_dual(function(dual, *args)).tangent
        if tangent is None:
            raise RuntimeError(_NO_GRAPH)
        return tangent.clone()


@cache
def _make_ready() -> None:
    """Let torch load what forward mode needs, without its warning that it uses TorchScript."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
        with forward_ad.dual_level():
            forward_ad.make_dual(torch.zeros(()), torch.zeros(()))


def _reverse_rows(function: Function, latents: Tensor, args: Arguments) -> Tensor:
    with torch.enable_grad():
        point = latents.clone().requires_grad_()
        outputs = function(point.clone(), *args)
        if not outputs.requires_grad:
            raise RuntimeError(_NO_GRAPH)
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
    targets: Tensor | None = None,
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
        residual: `(batch, *event)`, held fixed; default: none.
        targets: `(batch, wanted)`, the classes wanted of each example; default: all.
        absolute: Whether signs are dropped, as Captum does by default.
        max_points: Most rows (values and tangents) that pass at once: bounds the memory.
        mode: `"forward"`, `"reverse"` or `"auto"`, the cheaper of the two.

    Returns:
        `(batch, classes, latents)`.
    """
    function, args = with_targets(function, residual, targets)
    gradients = jacobian(function, latents, *args, mode=mode, max_points=max_points)
    return gradients.abs() if absolute else gradients


def input_x_gradient(
    function: Function,
    latents: Tensor,
    residual: Tensor | None = None,
    *,
    targets: Tensor | None = None,
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
        residual: `(batch, *event)`, held fixed; default: none.
        targets: `(batch, wanted)`, the classes wanted of each example; default: all.
        max_points: Most rows (values and tangents) that pass at once: bounds the memory.
        mode: `"forward"`, `"reverse"` or `"auto"`, the cheaper of the two.

    Returns:
        `(batch, classes, latents)`.
    """
    gradients = saliency(
        function,
        latents,
        residual,
        targets=targets,
        absolute=False,
        max_points=max_points,
        mode=mode,
    )
    return gradients * latents.detach().unsqueeze(1)
