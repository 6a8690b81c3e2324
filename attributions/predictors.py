"""Calling a predictor as users have them: frozen, in eval mode, whatever it returns."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

Function = Callable[..., Any]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Hold every submodule in eval mode; hand each one's own mode back, also after an error."""
    training = [submodule for submodule in module.modules() if submodule.training]
    for submodule in training:
        submodule.training = False
    try:
        yield
    finally:
        for submodule in training:
            submodule.training = True


def call_frozen(function: Function, *arguments: Any) -> Any:
    """Call a function or module in eval mode and with its parameters out of the graph.

    The parameters are replaced by detached views for the length of the call, so gradients pass
    *through* the module to its inputs, and no gradient, not even one of second order, can land on
    the module's own parameters. No flag of the module is touched except train/eval, which is
    handed back.
    """
    if not isinstance(function, nn.Module):
        return function(*arguments)
    with evaluating(function):
        if isinstance(function, torch.jit.ScriptModule):
            return function(*arguments)
        parameters = {name: value.detach() for name, value in function.named_parameters()}
        return functional_call(function, parameters, arguments)


def as_outputs(returned: Any) -> Tensor:
    """Bring what a predictor returned into the form `(batch, classes)`.

    A mapping or an object with `.logits` (Hugging Face style) gives its logits, a tuple or list
    its first element; `(batch,)` becomes `(batch, 1)`.

    Raises:
        TypeError: Nothing in `returned` is a floating-point tensor.
        ValueError: The tensor has no batch dimension or more than two dimensions.
    """
    if isinstance(returned, Mapping):
        if "logits" not in returned:
            raise TypeError(
                "`predictor` must return a tensor, a tuple or a mapping with the key 'logits'. "
                f"Got a mapping with the keys {sorted(map(str, returned))}. "
                "Wrap it in a module that returns the logits."
            )
        returned = returned["logits"]
    elif isinstance(getattr(returned, "logits", None), Tensor):
        returned = returned.logits
    elif isinstance(returned, tuple | list) and returned:
        returned = returned[0]
    if not isinstance(returned, Tensor):
        raise TypeError(
            "`predictor` must return a tensor, a tuple or a mapping with the key 'logits'. "
            f"Got {type(returned).__name__}. Wrap it in a module that returns the logits."
        )
    if not returned.is_floating_point():
        raise TypeError(
            "`predictor` must return floating-point outputs that can be differentiated. "
            f"Got dtype {returned.dtype}. Return the logits, not their argmax."
        )
    if returned.ndim not in (1, 2):
        raise ValueError(
            "`predictor` must return outputs of shape (batch, classes), (batch, 1) or (batch,). "
            f"Got shape {tuple(returned.shape)}. Reduce the other dimensions in a wrapping module."
        )
    return returned.unsqueeze(1) if returned.ndim == 1 else returned


def predict(predictor: Function, inputs: Tensor, preprocess: Function | None = None) -> Tensor:
    """Outputs `(batch, classes)` of the frozen predictor, differentiable in `inputs`.

    Args:
        predictor: Module or function; see `as_outputs` for what it may return.
        inputs: `(batch, *event)`.
        preprocess: Applied to `inputs` first (a resize, three channels, mean and deviation ...).

    Returns:
        `(batch, classes)`, in no lower precision than `inputs`: also under autocast.
    """
    precision = inputs.dtype
    if preprocess is not None:
        inputs = call_frozen(preprocess, inputs)
    outputs = as_outputs(call_frozen(predictor, inputs))
    return outputs.to(torch.promote_types(outputs.dtype, precision))


def predict_in_batches(
    predictor: Function, inputs: Tensor, preprocess: Function | None = None, batch_size: int = 512
) -> Tensor:
    """`predict` without a graph, a few hundred examples at a time: `(batch, classes)`."""
    with torch.no_grad():
        batches = [predict(predictor, batch, preprocess) for batch in inputs.split(batch_size)]
    return torch.cat(batches)


def as_logits(outputs: Tensor, are_probabilities: bool) -> Tensor:
    """Logits of outputs `(batch, classes)`: of probabilities their logarithms, never infinite."""
    if not are_probabilities:
        return outputs
    return outputs.clamp_min(torch.finfo(outputs.dtype).tiny).log()


def log_probabilities(predictor: Function, inputs: Tensor) -> Tensor:
    """Logits `(batch, classes)` of a predictor that ends in a softmax: its logarithms."""
    return as_logits(predict(predictor, inputs), True)


def are_probabilities(outputs: Tensor) -> bool:
    """Whether every row of `(batch, classes)` is a probability distribution (a softmax's output).

    Examples:
        >>> logits = torch.randn(5, 3)
        >>> are_probabilities(logits.softmax(1)) and not are_probabilities(logits)
        True
    """
    if outputs.shape[1] < 2:
        return False
    row_sums = outputs.sum(dim=1)
    return bool((outputs >= 0).all() and torch.allclose(row_sums, row_sums.new_ones(()), atol=1e-3))


def check_predictor(
    predictor: Function, inputs: Tensor, preprocess: Function | None = None
) -> tuple[Tensor, bool]:
    """Refuse a predictor that cannot be explained, saying why.

    The predictor is called a few times on `inputs`; it, they and the random generators are left
    as they were.

    Args:
        predictor: Module or function to be explained.
        inputs: A few examples, `(batch, *event)`.
        preprocess: See `predict`.

    Returns:
        The outputs at `inputs`, `(batch, classes)`, and whether they are probabilities rather
        than logits (then a warning has said so).

    Raises:
        TypeError: The outputs are not a floating-point tensor.
        ValueError: Device or dtype differ from those of the inputs; the outputs have another
            batch size, are not finite, or change from call to call in eval mode.
        RuntimeError: No gradient arrives at the inputs.
    """
    _check_placement(predictor, inputs)
    buffers = _buffers(predictor)
    point = inputs.detach().clone().requires_grad_()
    device_indices = range(torch.cuda.device_count()) if inputs.is_cuda else ()
    with torch.random.fork_rng(devices=device_indices), torch.enable_grad():
        outputs = predict(predictor, point, preprocess)
        again = predict_in_batches(predictor, inputs, preprocess, len(inputs))
    changed = [name for name, (buffer, before) in buffers.items() if not _same(buffer, before)]
    for name in changed:
        buffer, before = buffers[name]
        with torch.no_grad():
            buffer.copy_(before)
    _check_outputs(outputs.detach(), again, inputs, changed)
    _check_gradient(outputs, point)
    probabilities = are_probabilities(outputs.detach())
    if probabilities:
        warnings.warn(
            "`predictor` ends in a softmax: its outputs are probabilities. Their logarithms are "
            "explained instead, since attributions of saturated probabilities vanish. "
            "Return the logits to silence this.",
            UserWarning,
            stacklevel=3,
        )
    return outputs.detach(), probabilities


def _buffers(predictor: Function) -> dict[str, tuple[Tensor, Tensor]]:
    if not isinstance(predictor, nn.Module):
        return {}
    return {name: (buffer, buffer.clone()) for name, buffer in predictor.named_buffers()}


def _same(left: Tensor, right: Tensor) -> bool:
    return torch.equal(torch.nan_to_num(left), torch.nan_to_num(right))


def _check_placement(predictor: Function, inputs: Tensor) -> None:
    if not isinstance(predictor, nn.Module):
        return
    for parameter in predictor.parameters():
        if parameter.device != inputs.device:
            raise ValueError(
                "`predictor` must be on the device of the inputs. Got a predictor on "
                f"{parameter.device} and inputs on {inputs.device}. "
                f"Call predictor.to('{inputs.device}')."
            )
        if parameter.is_floating_point() and parameter.dtype != inputs.dtype:
            raise ValueError(
                "`predictor` must have the dtype of the inputs. Got a predictor in "
                f"{parameter.dtype} and inputs in {inputs.dtype}. "
                "Convert one of the two, or convert inside `preprocess`."
            )


def _check_outputs(outputs: Tensor, again: Tensor, inputs: Tensor, changed: list[str]) -> None:
    if len(outputs) != len(inputs):
        raise ValueError(
            "`predictor` must return one row of outputs per example. "
            f"Got {len(outputs)} rows for {len(inputs)} examples. "
            "Keep the batch dimension first."
        )
    if not torch.isfinite(outputs).all():
        raise ValueError(
            "`predictor` must return finite outputs. Got NaN or infinity. "
            "Check its weights and the range of its inputs (see `preprocess`)."
        )
    if changed or not torch.allclose(outputs, again, rtol=1e-4, atol=1e-5):
        what = f"buffers that changed ({', '.join(changed)})" if changed else "other outputs"
        raise ValueError(
            "`predictor` must not change in eval mode. Got "
            f"{what} when it was called twice on the same inputs. "
            "Use nn.Dropout and nn.BatchNorm as modules, so that eval() reaches them."
        )


def _check_gradient(outputs: Tensor, point: Tensor) -> None:
    gradient = None
    if outputs.requires_grad:
        # A random combination of outputs: the plain sum of a softmax is constant.
        (gradient,) = torch.autograd.grad(
            (outputs * torch.linspace(-1, 2, outputs.numel()).view_as(outputs).to(outputs)).sum(),
            point,
            allow_unused=True,
        )
    if gradient is None:
        raise RuntimeError(
            "`predictor` must be differentiable. Got outputs that no gradient connects with the "
            "inputs. Remove argmax, rounding, `.detach()` and `torch.no_grad()` from its forward "
            "pass (and from `preprocess`)."
        )
    if not torch.isfinite(gradient).all():
        raise ValueError(
            "`predictor` must have finite gradients. Got NaN or infinity at the inputs. "
            "Look for a division or logarithm at zero."
        )
