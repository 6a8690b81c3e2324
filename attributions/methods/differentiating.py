"""Captum's gradient methods with attributions that can stand in a loss, or an error."""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from captum.attr import InputXGradient, IntegratedGradients, Saliency
from captum.attr._utils.attribution import GradientAttribution
from torch import Tensor

from attributions.checks import check_mode
from attributions.methods.gradients import ExpectedGradients, graph_gradients

Method = TypeVar("Method", bound=GradientAttribution)

_REFUSALS = {
    "DeepLift": "its hooks replace gradients by rules that have no second derivative",
    "DeepLiftShap": "its hooks replace gradients by rules that have no second derivative",
    "GradientShap": "it runs under no_grad inside NoiseTunnel",
    "NoiseTunnel": "it runs the wrapped method under no_grad",
}


def differentiable(method: Method) -> Method:
    """Return a copy of a Captum method whose attributions stay in the autograd graph.

    Captum never passes `create_graph`: a loss on its attributions gives the decoder no gradient
    and the encoder a wrong one (Captum issues #361, #536, #652, #762). The copy gives the exact
    gradient to everything that the attributions depend on, has the same class and takes the same
    arguments. What would only seem differentiable is refused.

    `NoiseTunnel` around the copy works and gives Captum's values, which have no graph, as always.
    So has the convergence delta.

    Args:
        method: A Captum `Saliency`, `InputXGradient` or `IntegratedGradients`, or our
            `ExpectedGradients` (which already is differentiable).

    Returns:
        A copy; `method` itself is unchanged.

    Raises:
        TypeError: The method's attributions cannot be differentiated exactly; the error names
            the reason and the remedy. `attribute` of the copy likewise refuses
            `internal_batch_size`, which detaches every chunk but the first.
        RuntimeError: From `attribute` of the copy, under `torch.no_grad()`.

    Examples:
        >>> decoder, predictor = torch.nn.Linear(2, 4), torch.nn.Linear(4, 3)
        >>> method = differentiable(InputXGradient(lambda latents: predictor(decoder(latents))))
        >>> latents = torch.randn(5, 2, requires_grad=True)
        >>> method.attribute(latents, target=0).abs().sum().backward()
        >>> bool(decoder.weight.grad.abs().sum() > 0)
        True
    """
    if isinstance(method, ExpectedGradients):
        return method
    known = _DIFFERENTIABLE.get(type(method))
    if known is None:
        name = type(method).__name__
        reason = _REFUSALS.get(name, "only methods whose every step is known to be exact are")
        if hasattr(method, "layer"):
            reason = "layer and neuron methods return activations that were cut from the graph"
        raise TypeError(
            f"`method` must be Saliency, InputXGradient, IntegratedGradients or ExpectedGradients. "
            f"Got {name}, which is not differentiable here: {reason}. "
            "Use one of the four in a loss, and any method to explain."
        )
    twin = copy.copy(method)
    twin.__class__ = known
    twin.gradient_func = graph_gradients
    return twin


def _checked_attribute(captums: Callable[..., Any]) -> Callable[..., Any]:
    """Captum's `attribute`, which stays reachable as `__wrapped__`: NoiseTunnel asks it there."""
    signature = inspect.signature(captums)

    @functools.wraps(captums)
    def attribute(self: GradientAttribution, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        check_mode("attribute")
        if not torch.is_grad_enabled():
            raise RuntimeError(
                "`attribute` must run where gradients are recorded. Got a call under "
                "torch.no_grad(). Leave that block, or use the plain Captum method."
            )
        given = signature.bind(self, inputs, *args, **kwargs).arguments
        batch_size = given.get("internal_batch_size")
        if batch_size is not None:
            raise TypeError(
                "`internal_batch_size` must be None in a differentiable method. Got "
                f"{batch_size}. Captum detaches every chunk but the first (a wrong gradient): "
                "pass fewer examples or fewer n_steps instead."
            )
        return captums(self, _tracked(inputs), *args, **kwargs)

    return attribute


def _tracked(inputs: Any) -> Any:
    """Inputs that require gradients: Captum would switch that on and off on the caller's own."""
    if isinstance(inputs, tuple):
        return tuple(_tracked(tensor) for tensor in inputs)
    if isinstance(inputs, Tensor) and inputs.is_floating_point() and not inputs.requires_grad:
        return inputs.detach().requires_grad_()
    return inputs


def _differentiable_classes() -> dict[type, type]:
    """Each accepted class, ours included, to the one whose attributions stay in the graph."""
    classes: dict[type, type] = {}
    for method in (Saliency, InputXGradient, IntegratedGradients):
        members = {"attribute": _checked_attribute(method.attribute), "__doc__": method.__doc__}
        twin = type(method.__name__, (method,), members)
        classes |= {method: twin, twin: twin}
    return classes


_DIFFERENTIABLE = _differentiable_classes()
