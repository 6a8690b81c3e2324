"""Where in the input a latent's attribution acts: one map per latent, that adds up to it."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from attributions.checks import check_counts, check_mode
from attributions.methods.support import torch_supports
from attributions.trim import Trim


def pixel_attributions(
    trim: Trim,
    latents: Tensor,
    baselines: Tensor,
    target: Tensor,
    chosen: Tensor | list[int],
    *,
    residual: Tensor | None = None,
    n_steps: int = 32,
    max_points: int = 256,
) -> Tensor:
    r"""Split the integrated gradients of some latents among the decoder's outputs.

    $$ a_{ip} = (z_i - b_i) \int_0^1 \frac{\partial f}{\partial x_p}(x(\alpha))\,
       \frac{\partial D_p}{\partial z_i}(z(\alpha))\, d\alpha, \qquad
       \sum_p a_{ip} = a_i, \quad \sum_i \sum_p a_{ip} = f(z) - f(b) $$

    with the path $z(\alpha)$ from baseline to latents and its inputs $x = D(z) + r$. By the chain
    rule the maps of a latent add up to its attribution: what the latent moves in the picture,
    weighted by how the predictor answers there.

    Args:
        trim: The predictor behind the decoder.
        latents: `(batch, latents)`.
        baselines: `(batch, latents)` or `(1, latents)`.
        target: `(batch,)`, which explained output.
        chosen: Indices of the latents to map, as many maps.
        residual: `(batch, *event)`, held fixed; default: none.
        n_steps: Points of the Gauss-Legendre quadrature.
        max_points: Most path points decoded at once.

    Returns:
        `(batch, chosen, *event)`, without a graph.

    Raises:
        ValueError: A count is below 1, or a chosen latent does not exist.

    Examples:
        >>> decoder, predictor = torch.nn.Linear(2, 6), torch.nn.Linear(6, 3)
        >>> trim, latents = Trim(predictor, decoder), torch.randn(4, 2)
        >>> target = torch.ones(4, dtype=torch.long)
        >>> maps = pixel_attributions(trim, latents, torch.zeros(1, 2), target, [0, 1])
        >>> change = trim(latents)[:, 1] - trim(torch.zeros(1, 2))[:, 1]
        >>> torch.allclose(maps.flatten(1).sum(dim=1), change, atol=1e-5)
        True
    """
    check_counts(n_steps=n_steps, max_points=max_points)
    check_mode("trim")
    indices = [int(latent) for latent in chosen]
    size = latents.shape[1]
    if not all(0 <= index < size for index in indices):
        raise ValueError(
            f"`chosen` must be latents from 0 to {size - 1}. Got {indices}. Choose existing ones."
        )
    latents = latents.detach()
    start = baselines.detach().expand_as(latents)
    movement = _movement_of(trim, start[:1].clone())
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    maps = []
    # Every example's points at once, as many examples as fit.
    for rows in torch.arange(len(latents)).split(max(1, max_points // n_steps)):
        step = latents[rows] - start[rows]
        alphas, some_weights = (step.new_tensor(values / 2) for values in (nodes + 1, weights))
        points = start[rows].unsqueeze(1) + alphas.view(1, -1, 1) * step.unsqueeze(1)
        points = points.flatten(0, 1)
        fixed = None if residual is None else residual[rows].repeat_interleave(n_steps, dim=0)
        gradient = _gradient_by_input(trim, points, target[rows].repeat_interleave(n_steps), fixed)
        by_latent = []
        for index in indices:
            products = gradient * movement(trim, points, index)
            products = products.unflatten(0, (len(rows), n_steps))
            event = [1] * (products.ndim - 2)
            total = (products * some_weights.view(1, -1, *event)).sum(dim=1)
            by_latent.append(total * step[:, index].view(-1, *event))
        maps.append(torch.stack(by_latent, dim=1))
    return torch.cat(maps)


def _gradient_by_input(
    trim: Trim, points: Tensor, target: Tensor, residual: Tensor | None
) -> Tensor:
    """Gradient of what is explained by the decoded input, `(rows, *event)`."""
    with torch.no_grad():
        inputs = trim.decode(points)
    if residual is not None:
        inputs = inputs + residual
    with torch.enable_grad():
        inputs = inputs.detach().requires_grad_()
        outputs = trim.of_inputs(inputs).gather(1, target.unsqueeze(1))
        return torch.autograd.grad(outputs.sum(), inputs)[0]


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
