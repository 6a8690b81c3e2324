"""Encoder and decoder of residual blocks, for pictures of 16 to 256 pixels; shapes only."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from trimvae.models.networks import (
    GaussianHead,
    Grid,
    channels_last,
    dense_layers,
    initialise,
)

# Widths double with every halving of the picture, up to this many times the first.
_WIDEST = 16
# Blocks stand on this many of the smallest grids; on larger ones they cost most of a step's time.
_WITH_BLOCK = 2


class ResidualBlock(nn.Module):
    """Two convolutions behind group normalisation and SiLU, added to what comes in.

    A block starts as what it is added to: its last convolution is 0.

    References:
        He et al.: Identity Mappings in Deep Residual Networks, 2016,
        https://arxiv.org/abs/1603.05027
        Wu, He: Group Normalization, 2018, https://arxiv.org/abs/1803.08494

    Args:
        channels: Width of what comes in and of what goes out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normalised(channels),
            nn.Conv2d(channels, channels, 3, padding=1),
            *_normalised(channels),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """`(batch, channels, height, width)`, as it comes in and goes out."""
        added: Tensor = features + self.layers(features)
        return added


class Growth(nn.Conv2d):
    r"""Each pixel repeated to 2 x 2, then a 3 x 3 convolution: twice as high and wide, in one step.

    A pixel and its copies meet weights together, so that the two are one transposed convolution of
    stride 2, whose kernel is the flipped one convolved with ones,
    :math:`k = \text{flip}(w) * 1_{2 \times 2}`: four products for each pixel drawn, not nine. All
    nine weights are in each of them, so that what is even stays even, without a checkerboard.

    References:
        Odena, Dumoulin, Olah: Deconvolution and Checkerboard Artifacts, 2016,
        https://distill.pub/2016/deconv-checkerboard

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> growth, small = Growth(3, 2), torch.randn(1, 3, 4, 5)
        >>> repeated = nn.Upsample(scale_factor=2)(small)
        >>> expected = nn.functional.conv2d(repeated, growth.weight, growth.bias, padding=1)
        >>> torch.allclose(growth(small), expected, atol=1e-5)
        True
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3)

    def forward(self, features: Tensor) -> Tensor:
        """`(batch, inputs, height, width)` to `(batch, outputs, 2 height, 2 width)`."""
        flipped = self.weight.flip(2, 3).transpose(0, 1)
        shifted = [F.pad(flipped, (x, 1 - x, y, 1 - y)) for x in (0, 1) for y in (0, 1)]
        kernel = torch.stack(shifted).sum(0).contiguous(memory_format=torch.channels_last)
        return F.conv_transpose2d(features, kernel, self.bias, stride=2, padding=1)


class ResidualEncoder(nn.Module):
    """Halvings of the picture, blocks on the two smallest grids, a dense layer, a Gaussian head.

    Args:
        image_shape: `(channels, height, width)`.
        latent_size: Number of latents.
        channels: Width after the first halving; it doubles with each, to sixteen times as much.
        hidden: Width of the dense layer.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_size: int,
        channels: int = 8,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.grid = Grid(*image_shape[1:])
        widths = _widths(channels, self.grid.layers)
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise([image_shape[0], *widths]), start=1):
            block = _on_grid(self.grid.layers - number, outputs)
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), block]
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

    Pictures grow by repeated pixels and a convolution (`Growth`), without a checkerboard.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_size: int,
        channels: int = 8,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        self.grid = Grid(*image_shape[1:])
        widths = _widths(channels, self.grid.layers)[::-1]
        self.bottom = (widths[0], *self.grid.bottom)
        self.dense = dense_layers([latent_size, hidden, math.prod(self.bottom)])
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise([*widths, image_shape[0]])):
            layers += [_on_grid(number, inputs), Growth(inputs, outputs)]
        self.convolutions = nn.Sequential(*layers)
        _start(self)

    def forward(self, latents: Tensor) -> Tensor:
        """Images `(batch, *image_shape)` of latents `(batch, latent_size)`."""
        features = self.dense(latents).view(-1, *self.bottom)
        # A predictor may look at images with `view`, which takes no other order.
        return self.grid.crop(self.convolutions(features)).contiguous()


def _widths(channels: int, layers: int) -> list[int]:
    return [channels * min(2**layer, _WIDEST) for layer in range(layers)]


def _on_grid(number: int, channels: int) -> nn.Module:
    """What works on a grid, counted from the smallest: a block, or no more than SiLU."""
    return ResidualBlock(channels) if number < _WITH_BLOCK else nn.SiLU()


def _normalised(channels: int) -> list[nn.Module]:
    return [nn.GroupNorm(math.gcd(8, channels), channels), nn.SiLU()]


def _start(network: nn.Module) -> None:
    initialise(network)
    for module in network.modules():
        if isinstance(module, ResidualBlock):
            nn.init.zeros_(module.layers[-1].weight)  # type: ignore[arg-type]
    channels_last(network)
