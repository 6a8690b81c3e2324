"""Attributions that can stand in a loss: exact gradients along paths, kept in the graph."""

from contextlib import nullcontext
from typing import Any

import torch
from captum.attr._utils.attribution import GradientAttribution
from captum.log import log_usage
from torch import Tensor

from attributions.checks import check_counts, check_mode
from attributions.predictors import Function
from attributions.twice import twice_differentiable

Target = int | tuple[int, ...] | Tensor | list[int] | list[tuple[int, ...]] | None
"""The class explained, in any of Captum's forms."""


def graph_gradients(
    forward_fn: Function,
    inputs: tuple[Tensor, ...],
    target_ind: Any = None,
    additional_forward_args: Any = None,
) -> tuple[Tensor, ...]:
    """Captum's `compute_gradients`, with the graph kept wherever gradients are recorded.

    Raises:
        ValueError: There are several outputs and no target.
        RuntimeError: The outputs do not depend on the inputs.
    """
    from captum._utils.common import _run_forward

    recorded = torch.is_grad_enabled()
    with torch.enable_grad(), twice_differentiable() if recorded else nullcontext():
        # Copies: a function that works in place would otherwise move the point of the derivative.
        copies = tuple(each.clone() for each in inputs)
        outputs: Any = _run_forward(forward_fn, copies, target_ind, additional_forward_args)
        if outputs[0].numel() != 1:
            raise ValueError(
                "`target` must be given where there are several outputs. "
                f"Got {target_ind} for outputs of shape {tuple(outputs.shape)}. Pass an int or a "
                "(batch,) tensor of classes."
            )
        if not outputs.requires_grad:
            raise RuntimeError(
                "`forward_func` must be differentiable in its inputs. Got outputs without a "
                "graph. Remove argmax, `.detach()` and `torch.no_grad()` from decoder and "
                "predictor."
            )
        return torch.autograd.grad(outputs.sum(), inputs, create_graph=recorded)


def stratified(noise: Tensor) -> Tensor:
    """One point in each of `n_steps` equal parts of [0, 1], where uniform noise puts it.

    Args:
        noise: `(batch, n_steps)` in [0, 1].

    Returns:
        `(batch, n_steps)`, ascending.

    Examples:
        >>> stratified(torch.full((1, 4), 0.5)).tolist()
        [[0.125, 0.375, 0.625, 0.875]]
    """
    n_steps = noise.shape[1]
    return (torch.arange(n_steps, device=noise.device) + noise) / n_steps


def path_contributions(
    forward_func: Function,
    inputs: Tensor,
    baselines: Tensor | float | None = None,
    target: Target = None,
    additional_forward_args: Any = None,
    *,
    n_steps: int = 4,
    generator: torch.Generator | None = None,
    alphas: Tensor | None = None,
) -> Tensor:
    r"""Contributions along the straight path from baseline to inputs, kept apart by path point.

    $$ c_{ki} = (z_i - b_i)\, \partial_i f(b + \alpha_k (z - b)) $$

    Their mean over points is an unbiased estimate of integrated gradients when the $\alpha_k$ are
    drawn one from each of `n_steps` equal strata (the default); their spread shows where the
    output turns back along the path, which the mean hides. Differentiable in everything; under
    `torch.no_grad()` the same numbers without a graph.

    Args:
        forward_func: `(batch, latent_size)`, and what follows, to `(batch, classes)`; a `Trim`.
        inputs: `(batch, latent_size)`.
        baselines: `(batch, latent_size)`, `(1, latent_size)` or a number; default: 0, the prior
            mean.
        target: Class explained: int, `(batch,)`, or None for a single output.
        additional_forward_args: Tensor or tuple for `forward_func`, such as the residual.
        n_steps: Points per example, at least 1.
        generator: Source of the random points; default: torch's global one.
        alphas: `(batch, n_steps)` or `(1, n_steps)` in [0, 1], to choose the points yourself.

    Returns:
        `(batch, n_steps, latent_size)`.

    Raises:
        ValueError: `n_steps` is below 1.
        RuntimeError: The outputs do not depend on the inputs, or torch.inference_mode is on.

    Examples:
        >>> weight = torch.tensor([[1.0, -2.0]])
        >>> latents = torch.randn(3, 2)
        >>> contributions = path_contributions(lambda z: z @ weight.T, latents, target=0)
        >>> torch.allclose(contributions.mean(dim=1), latents * weight)
        True
    """
    check_counts(n_steps=n_steps)
    check_mode("forward_func")
    batch = len(inputs)
    if alphas is None:
        noise = torch.rand(
            batch, n_steps, generator=generator, device=inputs.device, dtype=inputs.dtype
        )
        alphas = stratified(noise)
    n_steps = alphas.shape[1]
    start = torch.zeros_like(inputs) if baselines is None else inputs.new_ones(()) * baselines
    step = (inputs - start).unsqueeze(1)
    alphas = alphas.to(inputs).expand(batch, -1)
    points = start.expand_as(inputs).unsqueeze(1) + alphas.unsqueeze(2) * step
    flat = points.flatten(0, 1)
    if not flat.requires_grad:
        flat.requires_grad_()
    (gradients,) = graph_gradients(
        forward_func,
        (flat,),
        _repeat_target(target, n_steps),
        _repeat(additional_forward_args, batch, n_steps),
    )
    contributions: Tensor = gradients.unflatten(0, (batch, n_steps)) * step
    return contributions


def _repeat_target(target: Target, times: int) -> Target:
    """Every example's target as many times in a row; one that holds for all as it is."""
    if isinstance(target, list):
        return [each for each in target for _ in range(times)]  # type: ignore[return-value]
    if isinstance(target, Tensor) and target.numel() > 1:
        return target.repeat_interleave(times, dim=0)
    return target


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

    Args:
        forward_func: `(batch, latent_size)`, and what follows, to `(batch, classes)`; a `Trim`.

    Examples:
        >>> method = ExpectedGradients(lambda latents: latents.pow(2).sum(1))
        >>> latents = torch.ones(1, 2)
        >>> scores = method.attribute(latents, n_steps=1000)
        >>> torch.allclose(scores, torch.ones(1, 2), atol=1e-2)
        True
    """

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether attributions have the output's units: always."""
        return True

    @log_usage()  # type: ignore[untyped-decorator]  # NoiseTunnel asks what it wraps
    def attribute(
        self,
        inputs: Tensor,
        baselines: Tensor | float | None = None,
        target: Target = None,
        additional_forward_args: Any = None,
        n_steps: int = 4,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Attributions `(batch, latent_size)`; arguments as in `IntegratedGradients`.

        Args:
            inputs: `(batch, latent_size)`.
            baselines: A number or one row for all examples; or a distribution
                `(n, latent_size)` of which each path draws one row (Captum's convention in
                `GradientShap`); default: 0.
            target: Class explained, int or `(batch,)`; default: the only output.
            additional_forward_args: Tensor or tuple for `forward_func`, such as the residual.
            n_steps: Random path points per example.
            generator: Source of randomness; default: torch's global one.

        Returns:
            `(batch, latent_size)`.

        Raises:
            ValueError: `n_steps` is below 1.
        """
        check_counts(n_steps=n_steps)
        if not isinstance(baselines, Tensor) or len(baselines) == 1:
            return path_contributions(
                self.forward_func,
                inputs,
                baselines,
                target,
                additional_forward_args,
                n_steps=n_steps,
                generator=generator,
            ).mean(dim=1)
        # Every path has its own baseline: one point on each of n_steps paths per example.
        batch = len(inputs)
        rows = torch.randint(
            len(baselines), (batch * n_steps,), generator=generator, device=inputs.device
        )
        contributions = path_contributions(
            self.forward_func,
            inputs.repeat_interleave(n_steps, dim=0),
            baselines[rows],
            _repeat_target(target, n_steps),
            _repeat(additional_forward_args, batch, n_steps),
            n_steps=1,
            generator=generator,
        )
        by_example: Tensor = contributions.unflatten(0, (batch, n_steps))
        return by_example.mean(dim=(1, 2))
