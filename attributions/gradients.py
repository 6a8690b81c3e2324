"""Attributions that can stand in a loss: exact gradients to decoder and encoder, or an error."""

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from captum.attr import InputXGradient, IntegratedGradients, Saliency
from captum.attr._utils.attribution import GradientAttribution
from torch import Tensor

from attributions.predictors import Function

Target = int | Tensor | None
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
    gradient to everything the attributions depend on, has the same class and is called the same
    way. What would only seem differentiable is refused.

    Args:
        method: A Captum `Saliency`, `InputXGradient` or `IntegratedGradients`, or our
            `ExpectedGradients` (which already is differentiable).

    Returns:
        A copy; `method` itself is unchanged.

    Raises:
        TypeError: The method's attributions cannot be differentiated exactly; the reason and the
            remedy are named. `attribute` of the copy likewise refuses `internal_batch_size`
            (it detaches every chunk but the first) and calls under `torch.no_grad()`.

    Examples:
        >>> decoder, predictor = torch.nn.Linear(2, 4), torch.nn.Linear(4, 3)
        >>> method = differentiable(InputXGradient(lambda latents: predictor(decoder(latents))))
        >>> latents = torch.randn(5, 2, requires_grad=True)
        >>> method.attribute(latents, target=0).abs().sum().backward()
        >>> decoder.weight.grad.abs().sum() > 0
        tensor(True)
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
    twin.gradient_func = _graph_gradients
    return twin


def _graph_gradients(
    forward_fn: Function,
    inputs: Tensor | tuple[Tensor, ...],
    target_ind: Any = None,
    additional_forward_args: Any = None,
) -> tuple[Tensor, ...]:
    """Captum's `compute_gradients`, with the graph kept."""
    from captum._utils.common import _run_forward

    outputs = _run_forward(forward_fn, inputs, target_ind, additional_forward_args)
    if outputs[0].numel() != 1:
        raise ValueError(
            "`target` must be given where there are several outputs. "
            f"Got None for outputs of shape {tuple(outputs.shape)}. Pass an int or a (batch,) "
            "tensor of classes."
        )
    if not outputs.requires_grad:
        raise RuntimeError(
            "`forward_func` must be differentiable in its inputs. Got outputs without a graph. "
            "Remove argmax, `.detach()` and `torch.no_grad()` from decoder and predictor."
        )
    return torch.autograd.grad(outputs.sum(), inputs, create_graph=True)


def _checked_attribute(known: type[GradientAttribution]) -> Callable[..., Any]:
    def attribute(self: GradientAttribution, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            raise RuntimeError(
                "`attribute` must run where gradients are recorded. Got a call under "
                "torch.no_grad(). Leave that block, or use the plain Captum method."
            )
        if kwargs.get("internal_batch_size") is not None or len(args) > 5:
            raise TypeError(
                "`internal_batch_size` must be None in a differentiable method. Got "
                f"{kwargs.get('internal_batch_size', args[5:6])}. Captum detaches every chunk but "
                "the first (a wrong gradient): pass fewer examples or fewer n_steps instead."
            )
        # Captum would set and unset requires_grad on the caller's own tensors.
        tensors = inputs if isinstance(inputs, tuple) else (inputs,)
        tracked = tuple(
            tensor if tensor.requires_grad else tensor.detach().requires_grad_()
            for tensor in tensors
        )
        return known.attribute(
            self, tracked if isinstance(inputs, tuple) else tracked[0], *args, **kwargs
        )

    attribute.__doc__ = known.attribute.__doc__
    return attribute


def _differentiable_classes() -> dict[type, type]:
    """Each accepted class, ours included, to the one whose attributions stay in the graph."""
    classes: dict[type, type] = {}
    for method in (Saliency, InputXGradient, IntegratedGradients):
        twin = type(method.__name__, (method,), {"attribute": _checked_attribute(method)})
        classes |= {method: twin, twin: twin}
    return classes


_DIFFERENTIABLE = _differentiable_classes()


def stratified(noise: Tensor) -> Tensor:
    """One point in each of `n_points` equal parts of [0, 1], where uniform noise puts it.

    Args:
        noise: `(batch, n_points)` in [0, 1].

    Returns:
        `(batch, n_points)`, ascending.
    """
    n_points = noise.shape[1]
    return (torch.arange(n_points, device=noise.device) + noise) / n_points


def path_contributions(
    forward_func: Function,
    inputs: Tensor,
    baselines: Tensor | float | None = None,
    target: Target = None,
    additional_forward_args: Any = None,
    *,
    n_points: int = 4,
    generator: torch.Generator | None = None,
    alphas: Tensor | None = None,
) -> Tensor:
    r"""Contributions along the straight path from baseline to inputs, kept apart by path point.

    $$ c_{ki} = (z_i - b_i)\, \partial_i f(b + \alpha_k (z - b)) $$

    Their mean over points is an unbiased estimate of integrated gradients when the $\alpha_k$ are
    drawn one from each of `n_points` equal strata (the default); their spread shows where the
    output turns back along the path, which the mean hides. Differentiable in everything.

    Args:
        forward_func: `(batch, latent_size)`, and what follows, to `(batch, classes)`; a `Trim`.
        inputs: `(batch, latent_size)`.
        baselines: `(batch, latent_size)`, `(1, latent_size)` or a number; 0 (the prior mean)
            without it.
        target: Class explained: int, `(batch,)`, or None for a single output.
        additional_forward_args: Tensor or tuple for `forward_func`, such as the residual.
        n_points: Points per example, at least 1.
        generator: Source of the random points; torch's global one without it.
        alphas: `(batch, n_points)` or `(1, n_points)` in [0, 1], to choose the points yourself.

    Returns:
        `(batch, n_points, latent_size)`.

    Raises:
        ValueError: `n_points` is below 1.

    Examples:
        >>> weight = torch.tensor([[1.0, -2.0]])
        >>> latents = torch.randn(3, 2)
        >>> contributions = path_contributions(lambda z: z @ weight.T, latents, target=0)
        >>> torch.allclose(contributions.mean(dim=1), latents * weight)
        True
    """
    if n_points < 1:
        raise ValueError(f"`n_points` must be at least 1. Got {n_points}. Use 2 to 4 in training.")
    batch = len(inputs)
    if alphas is None:
        noise = torch.rand(
            batch, n_points, generator=generator, device=inputs.device, dtype=inputs.dtype
        )
        alphas = stratified(noise)
    n_points = alphas.shape[1]
    start = torch.zeros_like(inputs) if baselines is None else inputs.new_ones(()) * baselines
    step = (inputs - start).unsqueeze(1)
    points = start.expand_as(inputs).unsqueeze(1) + alphas.expand(batch, -1).unsqueeze(2) * step
    flat = points.flatten(0, 1)
    if not flat.requires_grad:
        flat.requires_grad_()
    if isinstance(target, Tensor) and target.ndim == 1 and len(target) > 1:
        target = target.repeat_interleave(n_points)
    (gradients,) = _graph_gradients(
        forward_func, (flat,), target, _repeat(additional_forward_args, batch, n_points)
    )
    return gradients.unflatten(0, (batch, n_points)) * step


def _repeat(additional_forward_args: Any, batch: int, times: int) -> Any:
    if additional_forward_args is None:
        return None
    if not isinstance(additional_forward_args, tuple):
        additional_forward_args = (additional_forward_args,)
    return tuple(
        argument.repeat_interleave(times, dim=0)
        if isinstance(argument, Tensor) and argument.ndim > 0 and len(argument) == batch
        else argument
        for argument in additional_forward_args
    )


class ExpectedGradients(GradientAttribution):
    """Integrated gradients by a few random path points: cheap, unbiased, differentiable.

    The form for training: one to four points per example and step. To report, use
    `IntegratedGradients` with 32 steps or more. Made from a `forward_func`, as every Captum method.

    References:
        Erion, Janizek, Sturmfels, Lundberg, Lee: Improving performance of deep learning models
        with axiomatic attribution priors and expected gradients, 2021,
        https://arxiv.org/abs/1906.10670

    Examples:
        >>> method = ExpectedGradients(lambda latents: latents.pow(2).sum(1))
        >>> latents = torch.ones(1, 2)
        >>> scores = method.attribute(latents, n_samples=1000)
        >>> torch.allclose(scores, torch.ones(1, 2), atol=1e-2)
        True
    """

    def attribute(
        self,
        inputs: Tensor,
        baselines: Tensor | float | None = None,
        target: Target = None,
        additional_forward_args: Any = None,
        n_samples: int = 4,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Attributions `(batch, latent_size)`; arguments as in `IntegratedGradients`.

        Args:
            inputs: `(batch, latent_size)`.
            baselines: A number or one row for all examples; or a distribution
                `(n, latent_size)` of which each path draws one row (Captum's convention in
                `GradientShap`).
            target: Class explained, int or `(batch,)`.
            additional_forward_args: Tensor or tuple for `forward_func`.
            n_samples: Random path points per example.
            generator: Source of randomness; torch's global one without it.

        Returns:
            `(batch, latent_size)`.
        """
        options: dict[str, Any] = {"n_points": n_samples, "generator": generator}
        if not isinstance(baselines, Tensor) or len(baselines) == 1:
            return path_contributions(
                self.forward_func, inputs, baselines, target, additional_forward_args, **options
            ).mean(dim=1)
        # Every path has its own baseline: one point on each of n_samples paths per example.
        batch = len(inputs)
        rows = torch.randint(
            len(baselines), (batch * n_samples,), generator=generator, device=inputs.device
        )
        if isinstance(target, Tensor) and target.ndim == 1 and len(target) > 1:
            target = target.repeat_interleave(n_samples)
        contributions = path_contributions(
            self.forward_func,
            inputs.repeat_interleave(n_samples, dim=0),
            baselines[rows],
            target,
            _repeat(additional_forward_args, batch, n_samples),
            **{**options, "n_points": 1},
        )
        return contributions.unflatten(0, (batch, n_samples)).mean(dim=(1, 2))
