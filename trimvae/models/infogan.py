"""InfoGAN: a code that a generator must show and a recogniser must read."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attributions.codes import Block
from trimvae.models.game_networks import check_sides, generator, trunk
from trimvae.models.generative import GenerativeCode, Terms, Update, nonsaturating
from trimvae.models.inversion import invert


class InfoGAN(GenerativeCode):
    r"""Categories and continuous codes that images must show, beside noise.

    $$ \min_{G, Q} \max_D\; V(D, G) - \lambda\, E \log Q(c \mid G(c, n)) $$

    with the non-saturating game $V$, cross-entropy for the categories and a Gaussian of fixed
    deviation for the continuous codes, uniform in [-1, 1]. The codes are explained; the noise is
    decoded but, by default, not explained. `encode` reads the codes by $Q$ and finds the noise by
    optimisation, since nothing encodes it.

    That the codes can be read from generated images (recovery) is what training asks for, and
    whether they name a class of the predictor (purity) is to be measured: code-to-class accuracy on
    real images proves nothing, a recogniser of random codes has it as well.

    References:
        Chen et al.: InfoGAN, 2016, https://arxiv.org/abs/1606.03657

    Args:
        image_shape: `(channels, height, width)`, sides divisible by 4.
        n_categories: Length of the one-hot code.
        n_continuous: Number of continuous codes.
        noise_size: Length of the noise.
        channels: Width of the convolutions.
        information_weight: $\lambda$.
        inversion_steps: Steps in which `encode` looks for the noise; 0 leaves it at 0.

    Raises:
        ValueError: The sides are not divisible by 4, or there is no code.

    Examples:
        >>> model = InfoGAN((1, 8, 8), n_categories=3, n_continuous=1, noise_size=4, channels=4)
        >>> model.decode(model.draw(5)).shape == (5, 1, 8, 8)
        True
    """

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        n_categories: int = 10,
        n_continuous: int = 2,
        noise_size: int = 30,
        channels: int = 32,
        information_weight: float = 1.0,
        inversion_steps: int = 300,
    ) -> None:
        check_sides(image_shape)
        if n_categories < 2 and n_continuous < 1:
            raise ValueError(
                "`n_categories` must be at least 2, or `n_continuous` at least 1. Got "
                f"{n_categories} and {n_continuous}. Use 10 and 2."
            )
        super().__init__(image_shape, n_categories + n_continuous + noise_size)
        self.configuration = {
            "image_shape": list(image_shape),
            "n_categories": n_categories,
            "n_continuous": n_continuous,
            "noise_size": noise_size,
            "channels": channels,
            "information_weight": information_weight,
            "inversion_steps": inversion_steps,
        }
        self.n_categories, self.n_continuous, self.noise_size = (
            n_categories,
            n_continuous,
            noise_size,
        )
        self.information_weight, self.inversion_steps = information_weight, inversion_steps
        ends = [n_categories, n_categories + n_continuous, self.latent_size]
        parts = (
            Block("category", 0, ends[0], "categorical"),
            Block("continuous", ends[0], ends[1]),
            Block("noise", ends[1], ends[2], "noise"),
        )
        self.blocks = tuple(part for part in parts if part.start < part.stop)
        self.latent_names = (
            *(f"category {index}" for index in range(n_categories)),
            *(f"continuous {index}" for index in range(n_continuous)),
            *(f"noise {index}" for index in range(noise_size)),
        )
        self.generator = generator(self.latent_size, image_shape, channels)
        self.trunk = trunk(image_shape, channels, features=256)
        self.discriminator = nn.Linear(256, 1)
        self.recogniser = nn.Sequential(
            nn.Linear(256, 128),
            nn.BatchNorm1d(128),
            nn.LeakyReLU(0.2),
            nn.Linear(128, n_categories + n_continuous),
        )

    def decode(self, latents: Tensor) -> Tensor:
        """Latents to images in (0, 1)."""
        images: Tensor = self.generator(latents)
        return images

    def recognise(self, inputs: Tensor) -> Tensor:
        """Codes that $Q$ reads, `(batch, n_categories + n_continuous)`: probabilities and means."""
        logits, means = self._read(self.trunk(inputs))
        return torch.cat([logits.softmax(dim=1), means], dim=1)

    def encode(self, inputs: Tensor) -> Tensor:
        """Codes by $Q$, and the noise that draws the inputs best with them."""
        with torch.no_grad():
            codes = self.recognise(inputs)
        start = torch.cat([codes, codes.new_zeros(len(codes), self.noise_size)], dim=1)
        if not self.inversion_steps or not self.noise_size:
            return start
        free = torch.zeros_like(start[0], dtype=torch.bool)
        free[-self.noise_size :] = True
        found = invert(
            self.decode, inputs, start, free=free, n_steps=self.inversion_steps, warn_above=None
        )
        return found.latents

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """A category, continuous codes in [-1, 1] and normal noise for each of `n`."""
        options: dict[str, Any] = {"generator": generator, "device": self.device_of}
        category = torch.randint(max(self.n_categories, 1), (n,), **options)
        parts = [
            F.one_hot(category, max(self.n_categories, 1)).float()[:, : self.n_categories],
            2 * torch.rand((n, self.n_continuous), **options) - 1,
            torch.randn((n, self.noise_size), **options),
        ]
        return torch.cat(parts, dim=1)

    def baseline(self, n: int = 1) -> Tensor:
        """Every category equally, everything else 0."""
        start = torch.zeros((n, self.latent_size), device=self.device_of)
        start[:, : self.n_categories] = 1 / max(self.n_categories, 1)
        return start

    def inferred(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """The codes that $Q$ reads, with new noise: the codes alone must keep the output."""
        codes = self.recognise(inputs)
        return torch.cat([codes, self.draw(len(inputs), generator)[:, codes.shape[1] :]], dim=1)

    def information_loss(self, features: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the categories and squared error of the continuous codes, as read."""
        logits, means = self._read(features)
        category = latents[:, : self.n_categories]
        continuous = latents[:, self.n_categories : self.n_categories + self.n_continuous]
        cross_entropy = -(category * logits.log_softmax(dim=1)).sum(dim=1).mean()
        return cross_entropy, 0.5 * (means - continuous).pow(2).sum(dim=1).mean()

    def updates(self) -> Sequence[Update]:
        """The discriminator's step, and that of generator and recogniser."""
        return (
            Update("discriminator", (self.trunk, self.discriminator), self._discriminate, 5e-4),
            Update(
                "generator", (self.generator, self.recogniser), self._generate, 1e-3, explains=True
            ),
        )

    def _read(self, features: Tensor) -> tuple[Tensor, Tensor]:
        found = self.recogniser(features)
        return found[:, : self.n_categories], found[:, self.n_categories :]

    def _score(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.discriminator(self.trunk(inputs))[:, 0]
        return scores

    def _discriminate(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            fake = self.decode(self.draw(len(inputs), generator))
        loss = nonsaturating(self._score(inputs), self._score(fake))
        return loss, {"discriminator": loss}

    def _generate(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        latents = self.draw(len(inputs), generator)
        features = self.trunk(self.decode(latents))
        game = nonsaturating(None, self.discriminator(features)[:, 0])
        cross_entropy, error = self.information_loss(features, latents)
        total = game + self.information_weight * (cross_entropy + error)
        return total, {"generator": game, "category": cross_entropy, "continuous": error}
