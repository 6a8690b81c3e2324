"""What of a latent's picture is used: its attribution split over a second, fixed transform."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from attributions.checks import check_counts, check_mode
from attributions.methods.quadrature import Rule, quadrature_of
from attributions.methods.support import torch_supports
from attributions.transforms.base import Transform
from attributions.trim import Trim


def within_attributions(
    trim: Trim,
    latents: Tensor,
    baselines: Tensor,
    chosen: Tensor | list[int],
    transform: Transform,
    *,
    target: Tensor | None = None,
    residual: Tensor | None = None,
    n_steps: int = 32,
    rule: Rule = "gauss",
    max_points: int = 256,
) -> Tensor:
    r"""Split the integrated gradients of some latents among the parts of what they draw.

    A latent draws a bundle, such as position and texture. An attribution to it may be true and its
    reading false. A transform $T$ with an exact inverse sees the picture's change in parts, here
    groups $G$ of coefficients, and by the chain rule the same integral splits among them:

    $$ a_{icG} = (z_i - b_i) \int_0^1 \sum_{k \in G}
       \Bigl(T^{-\top} \frac{\partial f_c}{\partial x}(x(\alpha))\Bigr)_k
       \Bigl(T \frac{\partial D}{\partial z_i}(z(\alpha))\Bigr)_k\, d\alpha, \qquad
       \sum_G a_{icG} = a_{ic} $$

    with the path $z(\alpha)$ from baseline to latents and its inputs $x = D(z) + r$. It is TRIM
    inside TRIM: exact, whatever decoder and predictor are.

    References:
        Singh, Ha, Lanusse, Boehm, Liu, Yu: Transformation Importance with Applications to
        Cosmology, 2020, https://arxiv.org/abs/2003.01926

    Args:
        trim: The predictor behind the decoder.
        latents: `(batch, latents)`.
        baselines: `(batch, latents)` or `(1, latents)`.
        chosen: Indices of the latents to split.
        transform: Linear (a shift does no harm) and exactly invertible, for the inputs' shape:
            frequencies, wavelets, all principal components, or `Parts` of the inputs.
        target: `(batch,)`, the one explained output of each example; default: all.
        residual: `(batch, *event)`, held fixed; default: none.
        n_steps: Points of the quadrature.
        rule: `"gauss"` as in `integrated_gradients` of `n_steps`, or `"simpson"`, as in one that
            chose that number itself.
        max_points: Most path points decoded at once.

    Returns:
        `(batch, chosen, classes, groups)`, without a graph; one class where `target` is given.

    Raises:
        TypeError: `transform` is none.
        ValueError: It does not fit the inputs, is not linear, or loses something; a count is below
            1, `n_steps` does not fit the rule, or a chosen latent does not exist.

    Examples:
        >>> from attributions.methods import integrated_gradients
        >>> from attributions.transforms import Fourier
        >>> trim = Trim(torch.nn.Linear(6, 3), torch.nn.Linear(2, 6))
        >>> latents, zero = torch.randn(4, 2), torch.zeros(1, 2)
        >>> parts = within_attributions(trim, latents, zero, [0, 1], Fourier((6,)))
        >>> whole = integrated_gradients(trim, latents, zero).attributions
        >>> torch.allclose(parts.sum(dim=3).transpose(1, 2), whole, atol=1e-5)
        True
    """
    check_counts(n_steps=n_steps, max_points=max_points)
    n_steps, max_points = int(n_steps), int(max_points)
    check_mode("trim")
    indices = checked_choice(chosen, latents.shape[1])
    latents = latents.detach()
    start = baselines.detach().expand_as(latents)
    path = _Path(trim, start, latents - start, target, residual)
    with torch.no_grad():
        check_splitting(transform, trim.decode(start[:1]))
    moving = _movement_of(trim, start[:1].clone())
    points = quadrature_of(n_steps, latents, rule)
    found = []
    # Every example's points at once, as many examples as fit.
    every = torch.arange(len(latents), device=latents.device)
    for rows in every.split(max(1, max_points // n_steps)):
        part, total = path.of(rows), latents.new_zeros(())
        pieces = (tensor.split(max_points) for tensor in points)
        for alphas, weights in zip(*pieces, strict=True):
            at, fixed, asked = part.points(alphas)
            moved = [transform_change(transform, moving(trim, at, index)) for index in indices]
            by_class = [
                torch.stack([transform.by_group(pulled * change) for change in moved], dim=1)
                for pulled in _pulled_back(trim, transform, at, asked, fixed)
            ]
            products = torch.stack(by_class, dim=2).unflatten(0, (len(rows), -1))
            total = total.to(products) + (weights.view(1, -1, 1, 1, 1) * products).sum(dim=1)
        found.append(total * part.step[:, indices, None, None])
    return torch.cat(found)


def transform_change(transform: Transform, changes: Tensor) -> Tensor:
    """A change of the inputs `(rows, *event)` in coefficients `(rows, coefficients)`."""
    with torch.no_grad():
        return transform.encode(changes) - transform.encode(torch.zeros_like(changes[:1]))


def transform_gradient(transform: Transform, gradients: Tensor) -> Tensor:
    """A gradient by the inputs `(rows, *event)` as one by coefficients `(rows, coefficients)`."""
    with torch.enable_grad():
        zeros = gradients.new_zeros(len(gradients), transform.latent_size, requires_grad=True)
        return torch.autograd.grad(transform.decode(zeros), zeros, gradients)[0]


def check_splitting(transform: Transform, like: Tensor) -> None:
    """Raise unless a transform splits every change of such inputs exactly.

    Args:
        transform: Tried on two random changes, which come from a generator of their own.
        like: `(batch, *event)`, whose shape, device and dtype count.

    Raises:
        TypeError: It is no `Transform`.
        ValueError: Its shape or device is another, it is not linear, or it loses something.
    """
    if not isinstance(transform, Transform):
        raise TypeError(
            "`transform` must be one of attributions.transforms. Got "
            f"{type(transform).__name__}. Take Cosine, Wavelet or Parts of the inputs' shape."
        )
    if transform.event_shape != tuple(like.shape[1:]):
        raise ValueError(
            f"`transform` must be made for inputs of shape {tuple(like.shape[1:])}. Got one for "
            f"{transform.event_shape}. Make it for this shape."
        )
    if transform.groups.device != like.device:
        raise ValueError(
            f"`transform` must be on the device of the inputs, {like.device}. Got one on "
            f"{transform.groups.device}. Call transform.to('{like.device}')."
        )
    generator = torch.Generator(device=like.device).manual_seed(0)
    one, other = (
        torch.randn(1, *like.shape[1:], generator=generator, dtype=like.dtype, device=like.device)
        for _ in range(2)
    )
    rounding = 1e3 * torch.finfo(like.dtype).eps
    changes = (one, other, -one, one + 2 * other)
    parts = [transform_change(transform, change) for change in changes]
    size = sum(part.norm() for part in parts)
    if not all(
        bool(off.norm() <= rounding * size)
        for off in (parts[0] + parts[2], parts[0] + 2 * parts[1] - parts[3])
    ):
        raise ValueError(
            f"`transform` must be linear. Got {type(transform).__name__}, by which the parts of a "
            "sum are not the sums of parts. Take frequencies, wavelets or principal components."
        )
    product = (transform_gradient(transform, other) * parts[0]).sum()
    if not bool((product - (one * other).sum()).abs() <= rounding * one.norm() * other.norm()):
        raise ValueError(
            f"`transform` must give back every input. Got {type(transform).__name__}, which loses "
            "some of it. Keep all its components."
        )


def checked_choice(chosen: Tensor | list[int], size: int) -> list[int]:
    """Return indices of latents as numbers.

    Raises:
        ValueError: One of them does not exist.
    """
    indices = [int(latent) for latent in chosen]
    if not all(0 <= index < size for index in indices):
        raise ValueError(
            f"`chosen` must be latents from 0 to {size - 1}. Got {indices}. Choose existing ones."
        )
    return indices


class _Path(NamedTuple):
    """Straight paths of some examples, with what belongs to each."""

    trim: Trim
    start: Tensor
    step: Tensor
    target: Tensor | None
    residual: Tensor | None

    def of(self, rows: Tensor) -> "_Path":
        """The paths of some examples."""
        return self._replace(
            start=self.start[rows],
            step=self.step[rows],
            target=None if self.target is None else self.target[rows],
            residual=None if self.residual is None else self.residual[rows],
        )

    def points(self, alphas: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Points of every path, example by example, with their residuals and targets."""
        points = self.start.unsqueeze(1) + alphas.view(1, -1, 1) * self.step.unsqueeze(1)
        fixed, asked = (
            None if held is None else held.repeat_interleave(len(alphas), dim=0)
            for held in (self.residual, self.target)
        )
        return points.flatten(0, 1), fixed, asked


def _pulled_back(
    trim: Trim,
    transform: Transform,
    points: Tensor,
    target: Tensor | None,
    residual: Tensor | None,
) -> Iterator[Tensor]:
    """Gradients of what is explained by the coefficients, `(rows, coefficients)` a class."""
    with torch.no_grad():
        inputs = trim.decode(points)
    if residual is not None:
        inputs = inputs + residual
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        outputs = trim.of_inputs(inputs)
        if target is not None:
            outputs = outputs.gather(1, target.unsqueeze(1))
        totals = list(outputs.sum(dim=0))
    for index, total in enumerate(totals):
        (gradient,) = torch.autograd.grad(total, inputs, retain_graph=index + 1 < len(totals))
        yield transform_gradient(transform, gradient)


def _movement_of(trim: Trim, point: Tensor) -> Callable[[Trim, Tensor, int], Tensor]:
    """The cheaper way to follow a latent into the input that torch supports, tried at a point."""
    if torch_supports(lambda: _forward_movement(trim, point, 0)):
        return _forward_movement
    return _double_backward_movement


def _forward_movement(trim: Trim, points: Tensor, latent: int) -> Tensor:
    """How the decoded input moves with one latent, `(rows, *event)`."""
    with torch.no_grad(), forward_ad.dual_level():
        dual = forward_ad.make_dual(points, _direction(points, latent))
        primal, tangent = forward_ad.unpack_dual(trim.decode(dual))
        return torch.zeros_like(primal) if tangent is None else tangent.clone()


def _double_backward_movement(trim: Trim, points: Tensor, latent: int) -> Tensor:
    """The same, for decoders with an operator that has no forward derivative."""
    direction = _direction(points, latent)
    moved: Tensor = torch.autograd.functional.jvp(trim.decode, points, direction)[1]
    return moved


def _direction(points: Tensor, latent: int) -> Tensor:
    direction = torch.zeros_like(points)
    direction[:, latent] = 1
    return direction
