"""ALAE: an autoencoder in latent space, learned by a game, without any loss of pixels."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from trimvae.models.game_networks import check_sides, generator, perceptron, trunk
from trimvae.models.generative import GenerativeCode, Terms, Update, gradient_penalty, nonsaturating
from trimvae.models.recipe import Recipe


class ALAE(GenerativeCode):
    r"""Adversarial latent autoencoder: noise to $w$ (F), image (G), $w$ again (E), score (D).

    For each batch, with $w = F(n)$:

    1. E, D: $\mathrm{softplus}(D(E(G(w)))) + \mathrm{softplus}(-D(E(x))) +
       \tfrac{\gamma}{2} \lVert \nabla_x D(E(x)) \rVert^2$
    2. F, G: $\mathrm{softplus}(-D(E(G(w))))$
    3. E, G: $\lambda \lVert E(G(w)) - w \rVert^2 / \mathrm{Var}(w)$, with $w$ held fixed

    The reconstruction is asked for in latents alone: what the image looks like is up to the game.
    Prediction loss and penalties join the third step, at $E(x)$ of real images: they say nothing to
    F. (On the second, where E stands still, F gave up the game for sparse attributions.)
    $w$ is explained. Without the third loss E and G do not belong together.

    References:
        Pidhorskyi, Adjeroh, Doretto: Adversarial Latent Autoencoders, 2020,
        https://arxiv.org/abs/2004.04467

    Args:
        image_shape: `(channels, height, width)`, sides divisible by 4.
        latent_size: Length of $w$, and of the noise.
        channels: Width of the convolutions.
        gamma: Weight of the gradient penalty.
        latent_weight: $\lambda$.

    Raises:
        ValueError: The sides are not divisible by 4.

    Examples:
        >>> model = ALAE((1, 8, 8), latent_size=5, channels=4)
        >>> model.decode(model.encode(torch.rand(3, 1, 8, 8))).shape == (3, 1, 8, 8)
        True
    """

    recipe: ClassVar[Recipe] = GenerativeCode.recipe._replace(prediction_weight=2.0)

    def __init__(
        self,
        image_shape: Sequence[int],
        latent_size: int = 32,
        *,
        channels: int = 32,
        gamma: float = 0.3,
        latent_weight: float = 0.3,
    ) -> None:
        check_sides(image_shape)
        super().__init__(image_shape, latent_size)
        self.configuration = {
            "image_shape": list(image_shape),
            "latent_size": latent_size,
            "channels": channels,
            "gamma": gamma,
            "latent_weight": latent_weight,
        }
        self.gamma, self.latent_weight = gamma, latent_weight
        self.latent_names = tuple(f"w{index}" for index in range(latent_size))
        self.blocks = ()
        self.mapping = perceptron(latent_size, 128, latent_size)
        self.generator = generator(latent_size, image_shape, channels)
        self.encoder = nn.Sequential(trunk(image_shape, channels, 256), nn.Linear(256, latent_size))
        self.discriminator = perceptron(latent_size, 128, 1)

    def encode(self, inputs: Tensor) -> Tensor:
        """Images to $w$."""
        latents: Tensor = self.encoder(inputs)
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """$w$ to images in (0, 1)."""
        images: Tensor = self.generator(latents)
        return images

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """$w$ of `n` draws of noise."""
        device = self.device_of
        noise = torch.randn((n, self.latent_size), generator=generator, device=device)
        latents: Tensor = self.mapping(noise)
        return latents

    def baseline(self, n: int = 1) -> Tensor:
        """The mean of $w$ over 2,048 draws, `(n, latent_size)`."""
        source = torch.Generator(device=self.device_of).manual_seed(0)
        with torch.no_grad():
            return self.draw(2048, source).mean(dim=0).repeat(n, 1)

    def inferred(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """`encode`, whatever the randomness."""
        return self.encode(inputs)

    def updates(self) -> Sequence[Update]:
        """The three steps of a batch."""
        return (
            Update("discriminator", (self.encoder, self.discriminator), self._discriminate, 5e-4),
            Update("generator", (self.mapping, self.generator), self._generate, 1e-3),
            Update("latent", (self.encoder, self.generator), self._cycle, 5e-4, explains=True),
        )

    def _score(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.discriminator(self.encoder(inputs))[:, 0]
        return scores

    def _discriminate(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            fake = self.decode(self.draw(len(inputs), generator))
        inputs = inputs.detach().requires_grad_()
        real = self._score(inputs)
        game = nonsaturating(real, self._score(fake))
        penalty = gradient_penalty(real, inputs)
        return game + self.gamma * penalty, {"discriminator": game, "gradient": penalty}

    def _generate(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        game = nonsaturating(None, self._score(self.decode(self.draw(len(inputs), generator))))
        return game, {"generator": game}

    def _cycle(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        with torch.no_grad():
            latents = self.draw(len(inputs), generator)
        error = (self.encode(self.decode(latents)) - latents).pow(2).sum(dim=1).mean()
        error = error / latents.var(dim=0).mean().clamp_min(1e-6)
        return self.latent_weight * error, {"latent": error}
