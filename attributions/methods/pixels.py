"""Where in the input a latent's attribution acts: one map per latent, that adds up to it."""

import torch
from torch import Tensor

from attributions.checks import check_counts, check_mode
from attributions.methods.within import within_attributions
from attributions.placement import made_on
from attributions.transforms.base import Identity
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
    with torch.no_grad():
        shape = trim.decode(baselines[:1].detach()).shape[1:]
    with made_on(latents.device):
        pixels = Identity(shape)
    maps = within_attributions(
        trim,
        latents,
        baselines,
        chosen,
        pixels,
        target=target,
        residual=residual,
        n_steps=n_steps,
        max_points=max_points,
    )
    by_pixel: Tensor = maps[:, :, 0].unflatten(2, shape)
    return by_pixel
