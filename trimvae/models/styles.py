"""StyleGAN2's networks: styled convolutions, mapping, synthesis, discriminator."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Style = Literal["modulation", "adain"]

_GAIN = math.sqrt(2)  # of a leaky ReLU, so that variances stay


class EqualisedLinear(nn.Module):
    """A linear layer whose weights are normal and scaled when used, so that all learn alike."""

    def __init__(self, before: int, after: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.full((after,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(before), rate

    def forward(self, inputs: Tensor) -> Tensor:
        """`(batch, before)` to `(batch, after)`."""
        return F.linear(inputs, self.weight * self.scale, self.bias * self.rate)


class EqualisedConvolution(nn.Module):
    """A convolution of odd size that keeps the image's size, scaled like `EqualisedLinear`."""

    def __init__(self, before: int, after: int, size: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, size, size))
        self.bias = nn.Parameter(torch.zeros(after))
        self.scale, self.padding = 1 / math.sqrt(before * size**2), size // 2

    def forward(self, images: Tensor) -> Tensor:
        """`(batch, before, height, width)` to `(batch, after, height, width)`."""
        return F.conv2d(images, self.weight * self.scale, self.bias, padding=self.padding)


class StyledConvolution(nn.Module):
    r"""A convolution whose input channels are scaled by a style.

    With `"modulation"` (StyleGAN2) weights are scaled by $s_i$ and each output channel is brought
    back to unit variance,

    $$ w'_{oik} = s_i w_{oik} / \sqrt{\textstyle\sum_{ik} (s_i w_{oik})^2 + 10^{-8}}, $$

    so that only the relation of the styles matters. Scaling inputs and outputs instead is the
    same and needs no weights for each example. With `"adain"` (StyleGAN) the output is normalised
    for each example and channel, then scaled and shifted.

    References:
        Karras et al.: Analyzing and Improving the Image Quality of StyleGAN, 2020,
        https://arxiv.org/abs/1912.04958, equations 1 to 3
        Huang, Belongie: Arbitrary Style Transfer in Real-time with Adaptive Instance
        Normalization, 2017, https://arxiv.org/abs/1703.06868

    Args:
        before: Channels.
        after: Channels.
        w_dim: Length of the latent vector.
        size: Of the kernel.
        style: Which of the two.
        demodulate: Whether variances are brought back; not for the layer that draws colours.
    """

    def __init__(
        self,
        before: int,
        after: int,
        w_dim: int,
        *,
        size: int = 3,
        style: Style = "modulation",
        demodulate: bool = True,
    ) -> None:
        super().__init__()
        self.convolution = EqualisedConvolution(before, after, size)
        self.style, self.demodulate = style, demodulate
        if style == "adain" and demodulate:
            self.affine = EqualisedLinear(w_dim, 2 * after)
        else:
            self.affine = EqualisedLinear(w_dim, before, bias=1.0)

    def forward(self, images: Tensor, latents: Tensor) -> Tensor:
        """Images `(batch, before, height, width)` and latents `(batch, w_dim)`."""
        return self.styled(images, self.affine(latents))

    def styled(self, images: Tensor, styles: Tensor) -> Tensor:
        """Images `(batch, before, height, width)` and what `affine` makes of latents."""
        if self.style == "adain" and self.demodulate:
            scale, shift = (part[:, :, None, None] for part in styles.chunk(2, dim=1))
            normalised = F.instance_norm(self.convolution(images), eps=1e-8)
            shifted: Tensor = normalised * (1 + scale) + shift
            return shifted
        layer = self.convolution
        weight = layer.weight * layer.scale
        drawn = F.conv2d(images * styles[:, :, None, None], weight, padding=layer.padding)
        if self.demodulate:
            squares = weight.pow(2).sum(dim=(2, 3)) @ styles.pow(2).T  # (after, batch)
            drawn = drawn * (squares + 1e-8).rsqrt().T[:, :, None, None]
        return drawn + layer.bias[:, None, None]


class Mapping(nn.Module):
    """Normal noise on the unit sphere to latent vectors."""

    def __init__(self, w_dim: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EqualisedLinear(w_dim, w_dim, rate=0.01) for _ in range(layers))

    def forward(self, noise: Tensor) -> Tensor:
        """`(batch, w_dim)` to `(batch, w_dim)`."""
        latents = noise * (noise.pow(2).mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            latents = F.leaky_relu(layer(latents), 0.2) * _GAIN
        return latents


class StyledLayer(NamedTuple):
    """A layer of a synthesis network, and what makes its style."""

    name: str
    level: int
    """Resolution in pixels at which it draws."""
    reads: int
    """Which of the latent vectors."""
    affine: Any
    """An `EqualisedLinear` from that vector to the style."""

    @property
    def size(self) -> int:
        """Length of the style."""
        return int(self.affine.bias.numel())


class Synthesis(nn.Module):
    """Latent vectors, one per layer, to images; colours are added up over the scales.

    Args:
        image_shape: `(channels, side, side)`, the side a power of 2 from 8.
        w_dim: Length of a latent vector.
        channels: Width at every scale.
        style: `"modulation"`, or `"adain"` for the first StyleGAN's.
    """

    def __init__(self, image_shape: Sequence[int], w_dim: int, channels: int, style: Style) -> None:
        super().__init__()
        self.resolutions = [4 * 2**index for index in range(int(math.log2(image_shape[1])) - 1)]
        self.num_ws = 2 * len(self.resolutions)
        self.constant = nn.Parameter(torch.randn(1, channels, 4, 4))
        count = self.num_ws - 1
        self.convolutions = nn.ModuleList(
            StyledConvolution(channels, channels, w_dim, style=style) for _ in range(count)
        )
        self.to_colours = nn.ModuleList(
            StyledConvolution(channels, image_shape[0], w_dim, size=1, demodulate=False)
            for _ in self.resolutions
        )
        self.noise_strengths = nn.Parameter(torch.zeros(count))
        source = torch.Generator().manual_seed(0)
        for index in range(count):
            side = self.resolutions[(index + 1) // 2]
            self.register_buffer(f"noise_{index}", torch.randn(1, 1, side, side, generator=source))

    def forward(
        self,
        latents: Tensor,
        generator: torch.Generator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Latents `(batch, num_ws, w_dim)` to images around 0, `(batch, *image_shape)`.

        Args:
            latents: One vector for each layer.
            generator: Draws new noise; default: the fixed noise.
            features: Receives what each convolution draws, to look at.
        """
        return self.styled(self.styles(latents), generator, features)

    @property
    def layers(self) -> list[StyledLayer]:
        """Every layer that reads a style, in the order in which they draw."""
        found = []
        for scale, side in enumerate(self.resolutions):
            last = 2 * scale + 1
            for reads in range(max(0, last - 2), last):
                name, layer = f"layer {reads} ({side} px)", self.convolutions[reads]
                found.append(StyledLayer(name, side, reads, layer.affine))
            layer = self.to_colours[scale]
            found.append(StyledLayer(f"colours ({side} px)", side, last, layer.affine))
        return found

    def styles(self, latents: Tensor) -> list[Tensor]:
        """Latents `(batch, num_ws, w_dim)` to what each of `layers` makes of those it reads."""
        return [layer.affine(latents[:, layer.reads]) for layer in self.layers]

    def styled(
        self,
        styles: Sequence[Tensor],
        generator: torch.Generator | None = None,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """Styles of `layers` to images around 0, `(batch, *image_shape)`.

        Args:
            styles: As `styles` returns them.
            generator: Draws new noise; default: the fixed noise.
            features: Receives what each convolution draws, to look at.
        """
        left = iter(styles)
        drawn = self.constant.expand(len(styles[0]), -1, -1, -1)
        image = drawn  # replaced at the first scale
        layer = 0
        for scale in range(len(self.resolutions)):
            for repeat in range(1 if scale == 0 else 2):
                if scale and repeat == 0:
                    drawn = _doubled(drawn)
                convolution: Any = self.convolutions[layer]
                drawn = convolution.styled(drawn, next(left))
                drawn = drawn + self.noise_strengths[layer] * self._noise(layer, drawn, generator)
                drawn = F.leaky_relu(drawn, 0.2) * _GAIN
                if features is not None:
                    features.append(drawn)
                layer += 1
            convolution = self.to_colours[scale]
            colours = convolution.styled(drawn, next(left))
            image = _doubled(image) + colours if scale else colours
        return image

    def _noise(self, layer: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            noise: Tensor = getattr(self, f"noise_{layer}")
            return noise
        shape = (len(like), 1, *like.shape[2:])
        return torch.randn(shape, generator=generator, device=like.device)


class Trunk(nn.Module):
    """Residual blocks from the image down to 4x4, and a dense layer.

    Args:
        image_shape: `(channels, side, side)`, the side a power of 2 from 8.
        channels: Width of every layer.
        beside: Channels that stand beside the features at 4x4; default: none.
    """

    def __init__(self, image_shape: Sequence[int], channels: int, beside: int = 0) -> None:
        super().__init__()
        blocks = int(math.log2(image_shape[1])) - 2
        self.from_colours = EqualisedConvolution(image_shape[0], channels, 1)
        self.first, self.second, self.skip = (
            nn.ModuleList(EqualisedConvolution(channels, channels, size) for _ in range(blocks))
            for size in (3, 3, 1)
        )
        self.last = EqualisedConvolution(channels + beside, channels)
        self.dense = EqualisedLinear(16 * channels, channels)

    def blocks(self, images: Tensor) -> Tensor:
        """Images to features `(batch, channels, 4, 4)`."""
        features = F.leaky_relu(self.from_colours(images), 0.2) * _GAIN
        for first, second, skip in zip(self.first, self.second, self.skip, strict=True):
            beside = F.avg_pool2d(skip(features), 2)
            features = F.leaky_relu(first(features), 0.2) * _GAIN
            features = F.avg_pool2d(F.leaky_relu(second(features), 0.2) * _GAIN, 2)
            features = (features + beside) / math.sqrt(2)
        return features

    def top(self, features: Tensor) -> Tensor:
        """Features at 4x4, with what stands beside them, to `(batch, channels)`."""
        features = F.leaky_relu(self.last(features), 0.2) * _GAIN
        return F.leaky_relu(self.dense(features.flatten(1)), 0.2) * _GAIN


class Discriminator(Trunk):
    """Residual blocks from the image down to 4x4, the batch's deviation beside, and a score."""

    def __init__(self, image_shape: Sequence[int], channels: int) -> None:
        super().__init__(image_shape, channels, beside=1)
        self.score = EqualisedLinear(channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images to scores `(batch,)`."""
        features = self.blocks(images)
        spread = (features.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
        features = torch.cat([features, spread.expand(len(features), 1, 4, 4)], dim=1)
        scores: Tensor = self.score(self.top(features))[:, 0]
        return scores


def _doubled(images: Tensor) -> Tensor:
    return F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)
