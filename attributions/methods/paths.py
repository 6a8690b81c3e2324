"""Integrated and expected gradients to every class: Jacobians along paths from baselines."""

import warnings
from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attributions.checks import check_counts
from attributions.methods.jacobians import (
    Derivatives,
    Mode,
    derivatives_of,
    in_chunks,
    with_targets,
)
from attributions.methods.quadrature import quadrature_of
from attributions.outputs import visible_change
from attributions.predictors import Function

# The adaptive rule stops here: an output that is still off is not a path one can integrate.
_MOST_INTERVALS = 1024


class PathAttributions(NamedTuple):
    """Integrated gradients to every class, and what their sum over the path hides."""

    attributions: Tensor
    """`(batch, classes, latents)`."""
    total_variation: Tensor
    """`(batch, classes, latents)`: the same integral of absolute contributions."""
    n_steps: Tensor
    """`(batch,)`: path points that each example took."""


def expected_gradients(
    function: Function,
    latents: Tensor,
    baselines: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    targets: Tensor | None = None,
    n_steps: int = 50,
    generator: torch.Generator | None = None,
    max_points: int = 256,
    mode: Mode = "auto",
) -> Tensor:
    r"""Integrated gradients averaged over baselines, one random path point each, to every class.

    $$ a_i = \mathbb{E}_{b, \alpha}\, (z_i - b_i)\, \partial_i f(b + \alpha (z - b)) $$

    Points are stratified along the paths. Complete in expectation: the sum estimates the output
    minus its mean over the baselines.

    References:
        Erion et al.: Improving performance of deep learning models with axiomatic attribution
        priors and expected gradients, 2021, https://arxiv.org/abs/1906.10670

    Args:
        function: A `Trim`, or any function of latents (and residual) to `(batch, classes)`.
        latents: `(batch, latents)`.
        baselines: `(n, latents)`, a distribution of which every path draws one row; default: 0.
        residual: `(batch, *event)`, held fixed along the path; default: none.
        targets: `(batch, wanted)`, the classes wanted of each example; default: all.
        n_steps: Path points per example.
        generator: Source of randomness; default: torch's global one.
        max_points: Most rows (values and tangents) that pass at once: bounds the memory.
        mode: `"forward"`, `"reverse"` or `"auto"`, the cheaper of the two.

    Returns:
        `(batch, classes, latents)`.

    Raises:
        ValueError: `n_steps` or `max_points` is below 1.

    Examples:
        >>> weight = torch.tensor([[1.0, -2.0]])
        >>> scores = expected_gradients(lambda z: z @ weight.T, torch.ones(3, 2))
        >>> torch.allclose(scores, weight.expand(3, 1, 2))
        True
    """
    check_counts(n_steps=n_steps, max_points=max_points)
    latents = latents.detach()
    options: dict[str, Any] = {"generator": generator, "device": latents.device}
    if baselines is None:
        baselines = torch.zeros_like(latents[:1])
    function, args = with_targets(function, residual, targets)
    derivatives = derivatives_of(function, latents, args, mode)
    total = latents.new_zeros(())
    for stratum in range(n_steps):
        rows = torch.randint(len(baselines), (len(latents),), **options)
        noise = torch.rand((len(latents), 1), dtype=latents.dtype, **options)
        start = baselines[rows].detach()
        step = latents - start
        points = start + (stratum + noise) / n_steps * step
        gradients = in_chunks(derivatives, function, points, args, max_points)
        total = total.to(latents) + gradients * step.unsqueeze(1) / n_steps
    return total


def integrated_gradients(
    function: Function,
    latents: Tensor,
    baselines: Tensor | None = None,
    residual: Tensor | None = None,
    *,
    targets: Tensor | None = None,
    n_steps: int | None = 50,
    tolerance: float = 0.01,
    max_points: int = 256,
    mode: Mode = "auto",
    progress: Callable[[int], None] | None = None,
) -> PathAttributions:
    r"""Integrated gradients to every class at once.

    With `n_steps`, by Gauss-Legendre quadrature: equal to Captum's `IntegratedGradients` class by
    class. Without, by Simpson's rule, whose points are doubled for each example until its
    attributions to every class are complete: $|\sum_i a_{ci} - \Delta_c| \le$ `tolerance`
    $\max(|\Delta_c|, \max_k |\Delta_k| / 2)$ with the change $\Delta$ of the output from baseline
    to latents.

    References:
        Sundararajan, Taly, Yan: Axiomatic Attribution for Deep Networks, 2017,
        https://arxiv.org/abs/1703.01365

    Args:
        function: A `Trim`, or any function of latents (and residual) to `(batch, classes)`.
        latents: `(batch, latents)`.
        baselines: `(batch, latents)` or `(1, latents)`; default: 0.
        residual: `(batch, *event)`, held fixed along the path; default: none.
        targets: `(batch, wanted)`, the classes wanted of each example; default: all.
        n_steps: Quadrature points, or None for as many as `tolerance` needs (9 to 1,025).
        tolerance: Relative completeness error allowed for each example where `n_steps` is None.
        max_points: Most path points decoded at once: bounds the memory.
        mode: `"forward"` (once per latent), `"reverse"` (once per class) or `"auto"`, the cheaper.
        progress: Called with the number of examples done so far.

    Returns:
        Attributions and total variation, each `(batch, classes, latents)`, and the points taken.

    Raises:
        ValueError: `n_steps` or `max_points` is below 1, or `tolerance` is not positive.

    Warns:
        UserWarning: Some examples miss `tolerance` at 1,025 points (a function with steps).

    Examples:
        >>> result = integrated_gradients(lambda z: z.pow(2).cumsum(1), torch.ones(1, 2))
        >>> torch.allclose(result.attributions, torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]))
        True
    """
    check_counts(max_points=max_points)
    if n_steps is not None:
        check_counts(n_steps=n_steps)
    elif not isinstance(tolerance, Real):
        raise TypeError(f"`tolerance` must be a number. Got {tolerance!r}. Use 0.01.")
    elif not tolerance > 0:
        raise ValueError(f"`tolerance` must be above 0. Got {tolerance}. Use 0.01.")
    latents = latents.detach()
    start = torch.zeros_like(latents) if baselines is None else baselines.expand_as(latents)
    function, args = with_targets(function, residual, targets)
    derivatives = derivatives_of(function, latents, args, mode)
    step = latents - start.detach()
    path = _Path(function, derivatives, start.detach(), step, args, int(max_points))
    examples_at_once = max(1, max_points // (n_steps or 4))
    parts, missed = [], 0
    for first in range(0, len(latents), examples_at_once):
        part = path.of(slice(first, first + examples_at_once))
        if n_steps is None:
            result, short = _adaptive(part, tolerance)
            missed += short
        else:
            result = _gauss(part, n_steps)
        parts.append(result)
        if progress is not None:
            progress(min(first + examples_at_once, len(latents)))
    if missed:
        warnings.warn(
            f"`tolerance` must be within reach. Got {tolerance}, missed by {missed} of "
            f"{len(latents)} examples at {_MOST_INTERVALS + 1} points. Look for steps or "
            "probabilities in the predictor, or raise it.",
            UserWarning,
            stacklevel=2,
        )
    return PathAttributions(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


class _Path(NamedTuple):
    """Straight paths of some examples, and the function along them."""

    function: Function
    derivatives: Derivatives
    start: Tensor
    step: Tensor
    args: tuple[Tensor, ...]
    max_points: int

    def of(self, examples: slice | Tensor) -> "_Path":
        args = tuple(arg[examples] for arg in self.args)
        return self._replace(start=self.start[examples], step=self.step[examples], args=args)

    def integrals(self, alphas: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted sums of contributions and of their absolute values over the path points.

        `max_points` holds also for a single example.
        """
        net = total = alphas.new_zeros(())
        pairs = zip(alphas.split(self.max_points), weights.split(self.max_points), strict=True)
        for some_alphas, some_weights in pairs:
            points = self.start.unsqueeze(1) + some_alphas.view(1, -1, 1) * self.step.unsqueeze(1)
            args = tuple(arg.repeat_interleave(len(some_alphas), dim=0) for arg in self.args)
            gradients = in_chunks(
                self.derivatives, self.function, points.flatten(0, 1), args, self.max_points
            )
            contributions = gradients.unflatten(0, (len(self.step), -1))
            contributions = contributions * self.step[:, None, None]
            some_weights = some_weights.view(1, -1, 1, 1)
            net = net.to(contributions) + (some_weights * contributions).sum(dim=1)
            total = total.to(contributions) + (some_weights * contributions.abs()).sum(dim=1)
        return net, total

    def ends(self) -> tuple[Tensor, Tensor]:
        """What is explained at the start and at the end, each `(batch, classes)`."""
        with torch.no_grad():
            end = self.function(self.start + self.step, *self.args)
            return self.function(self.start.clone(), *self.args), end


def _gauss(path: _Path, n_steps: int) -> PathAttributions:
    net, total = path.integrals(*quadrature_of(n_steps, path.step))
    return PathAttributions(net, total, _filled(path, n_steps))


def _adaptive(path: _Path, tolerance: float) -> tuple[PathAttributions, int]:
    """Simpson's rule from nested trapezoids: every gradient is used again by the finer rule.

    Also returns how many examples miss the tolerance.
    """
    first, last = path.ends()
    change = last - first
    # Below this a difference of outputs is rounding.
    rounding = 32 * torch.finfo(change.dtype).eps * (first.abs() + last.abs()).amax(dim=1)
    allowed = torch.maximum(tolerance * visible_change(change), rounding.unsqueeze(1))
    whole_path = path.step.new_tensor([0.0, 1.0])
    coarse = path.integrals(whole_path, torch.full_like(whole_path, 0.5))
    result = (torch.zeros_like(coarse[0]), torch.zeros_like(coarse[1]))
    n_steps = _filled(path, _MOST_INTERVALS + 1)
    left = torch.arange(len(change), device=change.device)
    intervals = 1
    while len(left) and intervals < _MOST_INTERVALS:
        middles = (torch.arange(intervals, device=left.device).to(change) + 0.5) / intervals
        added = path.integrals(middles, torch.full_like(middles, 0.5 / intervals))
        fine = [old / 2 + new for old, new in zip(coarse, added, strict=True)]
        simpson = [(4 * new - old) / 3 for old, new in zip(coarse, fine, strict=True)]
        for whole, part in zip(result, simpson, strict=True):
            whole[left] = part
        intervals *= 2
        error = (simpson[0].sum(dim=2) - change[left]).abs()
        missed = (error > allowed[left]).any(dim=1)
        if intervals < 8:  # complete by chance is not yet right
            missed = torch.ones_like(missed)
        n_steps[left[~missed]] = intervals + 1
        coarse = (fine[0][missed], fine[1][missed])
        left, path = left[missed], path.of(missed)
    return PathAttributions(*result, n_steps), len(left)


def _filled(path: _Path, count: int) -> Tensor:
    return torch.full((len(path.step),), count, device=path.step.device)
