"""Encoder and decoder of residual blocks, for pictures of 16 to 256 pixels; shapes only."""

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.distributions import Normal

from trimvae.models.networks import (
    GaussianHead,
    Grid,
    channels_last,
    dense_layers,
    initialise,
)

# Widths double with every halving of the picture, up to this many times the first.
_WIDEST = 4


class ResidualBlock(nn.Module):
    """Two convolutions behind group normalisation and SiLU, added to what comes in.

    A block starts as what it is added to: its last convolution is 0.

    References:
        He et al.: Identity Mappings in Deep Residual Networks, 2016,
        https://arxiv.org/abs/1603.05027
        Wu, He: Group Normalization, 2018, https://arxiv.org/abs/1803.08494

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out; where they differ, a 1 x 1 convolution leads past.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normalised(inputs),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            *_normalised(outputs),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.past: nn.Module = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """`(batch, inputs, height, width)` to `(batch, outputs, height, width)`."""
        added: Tensor = self.past(features) + self.layers(features)
        return added


class ResidualEncoder(nn.Module):
    """Halvings of the picture, a residual block after each, a dense layer, a Gaussian head.

    Args:
        image_shape: `(channels, height, width)`.
        latent_size: Number of latents.
        channels: Width of the first block; it doubles with each halving, to four times as much.
        hidden: Width of the dense layer.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_size: int,
        channels: int = 32,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.grid = Grid(*image_shape[1:])
        widths = _widths(channels, self.grid.layers)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([image_shape[0], *widths]):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), ResidualBlock(outputs, outputs)]
        self.convolutions = nn.Sequential(*layers, *_normalised(widths[-1]))
        self.dense = dense_layers([widths[-1] * math.prod(self.grid.bottom), hidden])
        self.head = GaussianHead(hidden, latent_size)
        _start(self)
        self.head.shrink()

    def forward(self, images: Tensor) -> Normal:
        """Posterior of images `(batch, *image_shape)`."""
        features = self.convolutions(self.grid.pad(images))
        posterior: Normal = self.head(self.dense(features.flatten(1)))
        return posterior


class ResidualDecoder(nn.Module):
    """`ResidualEncoder` mirrored: latents to images before the likelihood's link function.

    Pictures grow by repeated pixels and a convolution, which leaves no checkerboard.

    References:
        Odena, Dumoulin, Olah: Deconvolution and Checkerboard Artifacts, 2016,
        https://distill.pub/2016/deconv-checkerboard
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_size: int,
        channels: int = 32,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.grid = Grid(*image_shape[1:])
        widths = _widths(channels, self.grid.layers)[::-1]
        self.bottom = (widths[0], *self.grid.bottom)
        self.dense = dense_layers([latent_size, hidden, math.prod(self.bottom)])
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([widths[0], *widths]):
            grown = _grown(inputs, outputs) if layers else []
            layers += [*grown, ResidualBlock(outputs, outputs)]
        self.convolutions = nn.Sequential(
            *layers, *_normalised(widths[-1]), *_grown(widths[-1], image_shape[0])
        )
        _start(self)

    def forward(self, latents: Tensor) -> Tensor:
        """Images `(batch, *image_shape)` of latents `(batch, latent_size)`."""
        features = self.dense(latents).view(-1, *self.bottom)
        # A predictor may look at images with `view`, which takes no other order.
        return self.grid.crop(self.convolutions(features)).contiguous()


def _widths(channels: int, layers: int) -> list[int]:
    return [channels * min(2**layer, _WIDEST) for layer in range(layers)]


def _normalised(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(math.gcd(8, channels), channels), nn.SiLU()]


def _grown(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]


def _start(network: nn.Module) -> None:
    initialise(network)
    for module in network.modules():
        if isinstance(module, ResidualBlock):
            nn.init.zeros_(module.layers[-1].weight)  # type: ignore[arg-type]
    channels_last(network)
