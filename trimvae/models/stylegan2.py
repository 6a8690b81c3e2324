"""StyleGAN2: one latent vector for each scale of the image. Written from the papers' equations."""

import copy
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attributions.codes import Block
from trimvae.models.generative import GenerativeCode, Terms, Update, gradient_penalty, nonsaturating
from trimvae.models.inversion import invert
from trimvae.models.recipe import Recipe
from trimvae.models.styles import Discriminator, Mapping, Style, Synthesis

Space = Literal["w", "w+", "style"]


class StyleGAN2(GenerativeCode):
    r"""A style-based generator, explained by scale.

    In W+ the flat latents hold one vector for each layer, a block with its resolution: which
    *scale* of the image the classifier uses. In style space they hold what the layers make of those
    vectors, a number for each channel ("style 3, 14"). Trained with non-saturating losses, lazy R1
    and path length, style mixing and averaged weights, which draw in eval mode. Explain in W, W+ or
    style space, never at the noise.

    References:
        Karras, Laine, Aila: A Style-Based Generator Architecture for GANs, 2019,
        https://arxiv.org/abs/1812.04948
        Karras et al.: Analyzing and Improving the Image Quality of StyleGAN, 2020,
        https://arxiv.org/abs/1912.04958
        Wu, Lischinski, Shechtman: StyleSpace Analysis: Disentangled Controls for StyleGAN Image
        Generation, 2021, https://arxiv.org/abs/2011.12799

    Args:
        image_shape: `(channels, height, width)`; drawn on a square whose side is a power of 2, of
            which the middle is taken.
        w_dim: Length of a latent vector.
        channels: Width of every layer.
        mapping_layers: Of the mapping network.
        space: `"w+"`, a block for each layer, `"w"`, one vector for all, or `"style"`, the styles
            of every layer.
        style: `"modulation"`, or `"adain"` for the first StyleGAN's.
        r1_weight: $\gamma$ of the gradient penalty, every 16 batches.
        path_weight: Weight of the path-length regulariser, every 8 batches.
        mixing: Share of images drawn with two styles in training.
        inversion_steps: Of `encode`.

    Raises:
        ValueError: The image is too small, or a word is unknown.

    Examples:
        >>> model = StyleGAN2((1, 8, 8), w_dim=4, channels=4).eval()
        >>> model.decode(model.draw(3)).shape == (3, 1, 8, 8)
        True
    """

    # Nothing encodes real images in training, so that they cannot be drawn again.
    recipe: ClassVar[Recipe] = GenerativeCode.recipe._replace(prediction_weight=0.0)
    r1_every, path_every = 16, 8
    w_avg: Tensor
    path_average: Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        w_dim: int = 64,
        channels: int = 32,
        mapping_layers: int = 4,
        space: Space = "w+",
        style: Style = "modulation",
        r1_weight: float = 1.0,
        path_weight: float = 2.0,
        mixing: float = 0.9,
        inversion_steps: int = 300,
    ) -> None:
        side = 2 ** math.ceil(math.log2(max(image_shape[1:])))
        if side < 8:
            raise ValueError(
                f"`image_shape` must have sides of 5 pixels or more. Got {tuple(image_shape)}. "
                "Enlarge the images."
            )
        if space not in ("w", "w+", "style") or style not in ("modulation", "adain"):
            raise ValueError(
                "`space` must be 'w', 'w+' or 'style' and `style` 'modulation' or 'adain'. Got "
                f"{space!r} and {style!r}. Use the defaults."
            )
        super().__init__(image_shape, w_dim)
        self.configuration: dict[str, Any] = {
            "image_shape": list(image_shape),
            "w_dim": w_dim,
            "channels": channels,
            "mapping_layers": mapping_layers,
            "space": space,
            "style": style,
            "r1_weight": r1_weight,
            "path_weight": path_weight,
            "mixing": mixing,
            "inversion_steps": inversion_steps,
        }
        self.w_dim, self.space = w_dim, space
        self.r1_weight, self.path_weight, self.mixing = r1_weight, path_weight, mixing
        self.inversion_steps = inversion_steps
        self.mapping = Mapping(w_dim, mapping_layers)
        self.side = side
        whole = (image_shape[0], side, side)
        self.synthesis = Synthesis(whole, w_dim, channels, style)
        self.discriminator = Discriminator(whole, channels)
        self.num_ws = self.synthesis.num_ws
        self.averaged = copy.deepcopy(nn.ModuleList([self.mapping, self.synthesis]))
        self.averaged.requires_grad_(False)
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.register_buffer("path_average", torch.zeros(()))
        self._name_latents()

    def _name_latents(self) -> None:
        """Say how many latents the space has, and which of them belong together."""
        layers = self.synthesis.layers
        if self.space == "w":
            parts: list[tuple[str, int, int | None]] = [("w", self.w_dim, None)]
        elif self.space == "w+":
            levels = [4 * 2 ** ((layer + 1) // 2) for layer in range(self.num_ws - 1)] + [self.side]
            parts = [
                (f"layer {layer} ({level} px)", self.w_dim, level)
                for layer, level in enumerate(levels)
            ]
        else:
            parts = [(layer.name, layer.size, layer.level) for layer in layers]
            self.latent_names = tuple(
                f"style {index}, {channel}"
                for index, layer in enumerate(layers)
                for channel in range(layer.size)
            )
        blocks, start = [], 0
        for name, size, level in parts:
            blocks.append(Block(name, start, start + size, level=level))
            start += size
        self.blocks, self.latent_size = tuple(blocks), start

    @property
    def makers(self) -> tuple[nn.Module, ...]:
        """What the generator's step moves, and what is averaged."""
        return self.mapping, self.synthesis

    def decode(self, latents: Tensor) -> Tensor:
        """Flat latents to images, about [0, 1], unclamped; averaged weights draw in eval mode."""
        synthesis = self._synthesis
        if self.space == "style":
            sizes = [block.stop - block.start for block in self.blocks]
            return self._cut(synthesis.styled(latents.split(sizes, dim=1)))
        points = latents.view(len(latents), -1, self.w_dim).expand(-1, self.num_ws, -1)
        return self._cut(synthesis(points))

    def encode(self, inputs: Tensor) -> Tensor:
        """Latents that draw the inputs, by optimisation from the average."""
        start = self.baseline(1).to(inputs)
        return invert(self.decode, inputs, start, n_steps=self.inversion_steps).latents

    def draw(
        self, n: int, generator: torch.Generator | None = None, *, truncation: float = 1.0
    ) -> Tensor:
        """Latents of `n` draws of noise, drawn towards the average by `truncation` below 1."""
        noise = torch.randn((n, self.w_dim), generator=generator, device=self.device_of)
        latents: Tensor = (self.mapping if self.training else self.averaged[0])(noise)
        return self._flat(self.w_avg + truncation * (latents - self.w_avg))

    def baseline(self, n: int = 1) -> Tensor:
        """The average latent in every layer, `(n, latent_size)`."""
        return self._flat(self.w_avg.repeat(n, 1))

    def after_batch(self) -> None:
        """Keep the averages of weights and latents."""
        with torch.no_grad():
            live = nn.ModuleList(self.makers).parameters()
            for mean, parameter in zip(self.averaged.parameters(), live, strict=True):
                mean.lerp_(parameter, self._rate_of_averages)

    def updates(self) -> Sequence[Update]:
        """Discriminator with its penalty, generator with its regulariser, each on one Adam."""
        rate, betas = 2e-3, (0.0, 0.99)
        judge, maker = (self.discriminator,), self.makers
        return (
            Update("discriminator", judge, self._discriminate, rate, betas),
            Update("r1", judge, self._penalise, rate, betas, self.r1_every, shares="discriminator"),
            Update("generator", maker, self._generate, rate, betas, explains=True),
            Update(
                "path", maker, self._path_length, rate, betas, self.path_every, shares="generator"
            ),
        )

    def mixed(self, n: int, generator: torch.Generator) -> Tensor:
        """Latents `(n, num_ws, w_dim)`, some with a second style from a random layer on."""
        device = self.device_of
        noise = torch.randn((2, n, self.w_dim), generator=generator, device=device)
        first, second = self.mapping(noise[0]), self.mapping(noise[1])
        with torch.no_grad():
            self.w_avg.lerp_(first.mean(dim=0).to(self.w_avg), 0.005)
        cut = torch.randint(1, self.num_ws, (n, 1), generator=generator, device=device)
        keep = torch.rand((n, 1), generator=generator, device=device) >= self.mixing
        from_first = (torch.arange(self.num_ws, device=device) < cut) | keep
        return torch.where(from_first.unsqueeze(2), first.unsqueeze(1), second.unsqueeze(1))

    @property
    def _rate_of_averages(self) -> float:
        """Early averages forget faster: after a short training no random start is left in them."""
        return max(0.005, 9 / (10 + int(self.batches)))

    @property
    def _synthesis(self) -> Synthesis:
        """What draws: in training the weights that learn, otherwise their averages."""
        drawing: Any = self.synthesis if self.training else self.averaged[1]
        synthesis: Synthesis = drawing
        return synthesis

    def _flat(self, vectors: Tensor) -> Tensor:
        """One vector `(batch, w_dim)` for all layers as flat latents."""
        if self.space != "style":
            return vectors.repeat(1, self.latent_size // self.w_dim)
        points = vectors.unsqueeze(1).expand(-1, self.num_ws, -1)
        return torch.cat(self._synthesis.styles(points), dim=1)

    def _cut(self, drawn: Tensor) -> Tensor:
        """The middle of drawn squares, in [0, 1]."""
        _, height, width = self.image_shape
        top, left = (self.side - height) // 2, (self.side - width) // 2
        return (drawn[..., top : top + height, left : left + width] + 1) / 2

    def _real(self, inputs: Tensor) -> Tensor:
        """Images in [0, 1], padded with 0 to a side that doubles from 4, in [-1, 1]."""
        below, right = (self.side - size for size in self.image_shape[1:])
        edges = (right // 2, right - right // 2, below // 2, below - below // 2)
        return 2 * F.pad(inputs, edges) - 1

    def _fakes(self, inputs: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Squares that the discriminator is to tell from real ones."""
        return [self.synthesis(self.mixed(len(inputs), generator), generator)]

    def _judged(self, squares: Sequence[Tensor]) -> Tensor:
        """Each batch on its own, since the discriminator looks at the deviation within one."""
        return torch.cat([self.discriminator(batch) for batch in squares])

    def _discriminate(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            fakes = self._fakes(inputs, generator)
        fake = self._judged(fakes)
        loss = nonsaturating(self.discriminator(self._real(inputs)), fake)
        return loss, {"discriminator": loss}

    def _penalise(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        inputs = self._real(inputs).detach().requires_grad_()
        penalty = gradient_penalty(self.discriminator(inputs), inputs)
        return self.r1_every * self.r1_weight * penalty, {"r1": penalty}

    def _generate(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        loss = nonsaturating(None, self._judged(self._fakes(inputs, generator)))
        return loss, {"generator": loss}

    def _path_length(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        r"""$(\lVert J_w^\top y \rVert - a)^2$ with images of noise $y$ and the running mean $a$."""
        latents = self.mixed(max(1, len(inputs) // 2), generator)
        images = self.synthesis(latents, generator)
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        weighted = (images * noise).sum() / math.sqrt(images.shape[2] * images.shape[3])
        (gradient,) = torch.autograd.grad(weighted, latents, create_graph=True)
        lengths = (gradient.pow(2).sum(dim=2).mean(dim=1) + 1e-12).sqrt()
        with torch.no_grad():
            self.path_average.lerp_(lengths.mean().to(self.path_average), 0.01)
        penalty = (lengths - self.path_average).pow(2).mean()
        return self.path_every * self.path_weight * penalty, {"path_length": lengths.mean()}
