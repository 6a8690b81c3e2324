"""From an image to the latents that a generator would draw it from."""

import math
import warnings
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attributions.codes import Code
from attributions.predictors import Function, as_predictor
from attributions.replicas import frozen


class Inversion(NamedTuple):
    """Latents found for some images."""

    latents: Tensor
    """`(batch, latents)`."""
    error: Tensor
    """`(batch,)`, squared error over that of the batch's mean image: 0 is exact, 1 no better than
    the mean."""


def invert(
    decode: Callable[[Tensor], Tensor],
    images: Tensor,
    start: Tensor,
    *,
    free: Tensor | None = None,
    n_steps: int = 300,
    learning_rate: float = 0.05,
    predictor: Function | None = None,
    prediction_weight: float = 1.0,
    warn_above: float | None = 0.5,
) -> Inversion:
    r"""Find latents that draw given images, all images at once.

    Minimises $\lVert x - G(s) \rVert^2$ over the image's own pixels and, with a predictor, the
    squared distance of its outputs, by Adam with a cosine schedule.

    References:
        Abdal, Qin, Wonka: Image2StyleGAN, 2019, https://arxiv.org/abs/1904.03189

    Args:
        decode: Latents `(batch, latents)` to images; a module, or a method of one, is asked frozen
            and in eval mode.
        images: `(batch, *event)`.
        start: `(batch, latents)` or `(1, latents)`.
        free: `(latents,)`, which latents may move; default: all.
        n_steps: Steps of Adam.
        learning_rate: Its largest.
        predictor: The reconstruction must keep its outputs: a function of images, or an
            `attributions.predictors.Predictor`, which may carry a `preprocess`.
        prediction_weight: Weight of that part, beside the mean squared pixel error.
        warn_above: Warn where the mean error stays above; None for never.

    Returns:
        Latents and the error reached.

    Raises:
        ValueError: `decode` returns another shape than the images', or a count is below 1.

    Warns:
        UserWarning: The search did not come near the images.
    """
    if n_steps < 1:
        raise ValueError(f"`n_steps` must be at least 1. Got {n_steps}. Use 300.")
    decode = frozen(decode)
    asked = None if predictor is None else as_predictor(predictor)
    images = images.detach()
    start = start.detach().expand(len(images), -1)
    mask = torch.ones_like(start[0]) if free is None else free.to(start)
    with torch.enable_grad():
        moved = torch.zeros_like(start).requires_grad_()
        optimizer = torch.optim.Adam([moved], lr=learning_rate, betas=(0.9, 0.99))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        wanted = None if asked is None else asked.in_batches(images)
        for _ in range(n_steps):
            drawn = decode(start + mask * moved)
            if drawn.shape != images.shape:
                raise ValueError(
                    f"`decode` must return the shape of the images. Got {tuple(drawn.shape)} for "
                    f"{tuple(images.shape)}. Resize the images to what the generator draws."
                )
            # Summed over the batch: examples do not slow each other down.
            loss = (drawn - images).pow(2).flatten(1).mean(dim=1).sum()
            if asked is not None and wanted is not None:
                missed = (asked(drawn) - wanted).pow(2).mean(dim=1).sum()
                loss = loss + prediction_weight * missed
            (gradient,) = torch.autograd.grad(loss, moved)
            moved.grad = gradient
            optimizer.step()
            schedule.step()
    latents = (start + mask * moved).detach()
    error = relative_error(decode, images, latents)
    if warn_above is not None and float(error.mean()) > warn_above:
        warnings.warn(
            f"`n_steps` must suffice to come near the images. Got {n_steps}, after which "
            f"{error.mean():.0%} of their variance is left. Raise it, or invert images of the kind "
            "that the generator was trained on.",
            UserWarning,
            stacklevel=2,
        )
    return Inversion(latents, error)


def relative_error(decode: Callable[[Tensor], Tensor], images: Tensor, latents: Tensor) -> Tensor:
    """Squared error over the mean variance of the images, `(batch,)`."""
    with torch.no_grad():
        missed = (decode(latents) - images).pow(2).flatten(1).sum(dim=1)
        spread = (images - images.mean(dim=0)).pow(2).flatten(1).sum(dim=1).mean()
    return missed / spread.clamp_min(1e-12) if len(images) > 1 else missed / images.pow(2).sum()


class ConvolutionalInverter(nn.Module):
    """A feed-forward encoder for a generator, fitted on the generator's own samples.

    Args:
        image_shape: `(channels, height, width)`.
        latent_size: Length of the latents.
        channels: Width of the first convolution.
    """

    def __init__(self, image_shape: Sequence[int], latent_size: int, channels: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        height, width = image_shape[1:]
        before, width_of_layer = image_shape[0], channels
        while min(height, width) > 4:
            layers += [nn.Conv2d(before, width_of_layer, 3, 2, 1), nn.SiLU()]
            before, width_of_layer = width_of_layer, min(4 * channels, 2 * width_of_layer)
            height, width = math.ceil(height / 2), math.ceil(width / 2)
        self.network = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(before * height * width, 256), nn.SiLU(),
            nn.Linear(256, latent_size),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        """Images to latents `(batch, latent_size)`."""
        latents: Tensor = self.network(images)
        return latents


def fit_inverter(
    code: Code,
    image_shape: Sequence[int],
    latent_size: int,
    *,
    n_steps: int = 1000,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    generator: torch.Generator | None = None,
) -> ConvolutionalInverter:
    """Fit a feed-forward encoder on latents drawn from a generator, and the images they draw.

    Minimises the squared error of the latents (in their own deviations) and of the images drawn
    again. Fast where an optimisation would be slow, less exact: refine it with `invert`.

    Args:
        code: With `draw` and `decode`.
        image_shape: `(channels, height, width)`.
        latent_size: Length of the latents.
        n_steps: Steps of Adam.
        batch_size: Samples per step.
        learning_rate: Its largest.
        generator: Source of randomness.

    Returns:
        The encoder, in eval mode.
    """
    # A renderer has a picture for a buffer, and no parameter.
    device = next(chain(code.parameters(), code.buffers())).device  # type: ignore[attr-defined]
    inverter = ConvolutionalInverter(image_shape, latent_size).to(device)
    optimizer = torch.optim.Adam(inverter.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    code = frozen(code)
    with torch.enable_grad():
        for _ in range(n_steps):
            with torch.no_grad():
                latents = code.draw(batch_size, generator)  # type: ignore[attr-defined]
                images = code.decode(latents)
                deviation = latents.std(dim=0).clamp_min(1e-3)
            found = inverter(images)
            loss = ((found - latents) / deviation).pow(2).mean()
            loss = loss + F.mse_loss(code.decode(found), images) / images.var().clamp_min(1e-6)
            gradients = torch.autograd.grad(loss, list(inverter.parameters()))
            for parameter, gradient in zip(inverter.parameters(), gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
            schedule.step()
    return inverter.eval()
