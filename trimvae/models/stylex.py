"""StylEx: a StyleGAN2 with an encoder, so that real images are drawn again for the classifier."""

import copy
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from trimvae.models.generative import GenerativeCode, Terms, nonsaturating
from trimvae.models.recipe import Recipe
from trimvae.models.stylegan2 import Space, StyleGAN2
from trimvae.models.styles import EqualisedLinear, Style, Trunk


class Encoder(Trunk):
    """The discriminator's blocks without the batch's deviation: an image's latents are its own."""

    def __init__(self, image_shape: Sequence[int], channels: int, w_dim: int) -> None:
        super().__init__(image_shape, channels)
        self.latents = EqualisedLinear(channels, w_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Images to latent vectors `(batch, w_dim)`."""
        latents: Tensor = self.latents(self.top(self.blocks(images)))
        return latents


class StylEx(StyleGAN2):
    r"""A style-based generator G and an encoder E that learn together, through the classifier.

    With $w = E(x)$ and $x' = G(w)$, encoder, mapping and generator minimise

    $$ L_\text{game} + \lambda_x \lVert x - x' \rVert_1 + \lambda_w \lVert w - E(x') \rVert_1, $$

    and `fit` adds the classifier's part, the KL of its outputs at $x$ and $x'$, as its prediction
    loss. The discriminator sees images of drawn noise and images drawn again, half of the game
    each. The pixels' norm is a sum over the image: $\lambda_x$ is the weight of a mean divided by
    the number of pixels and channels.

    Two things differ from the paper. It concatenates the classifier's output to $w$; here nothing
    tells the generator the answer, because an attribution to the answer would be a tautology. And
    there is no perceptual loss beside that of the pixels: the model does not know the classifier.

    Explain in W, in W+, or in style space, where the paper looks for attributes
    (`attributions.measures.attfind`). `encode` asks the encoder, at once.

    References:
        Lang et al.: Explaining in Style: Training a GAN to explain a classifier in StyleSpace,
        2021, https://arxiv.org/abs/2104.13369, section 3.1
        Karras et al.: Analyzing and Improving the Image Quality of StyleGAN, 2020,
        https://arxiv.org/abs/1912.04958

    Args:
        image_shape: `(channels, height, width)`; drawn on a square whose side is a power of 2, of
            which the middle is taken.
        w_dim: Length of a latent vector.
        channels: Width of every layer.
        mapping_layers: Of the mapping network.
        space: `"w"`, one vector for all layers, `"style"`, the styles of every layer, or `"w+"`,
            the vector again for each layer.
        style: `"modulation"`, or `"adain"` for the first StyleGAN's.
        r1_weight: $\gamma$ of the gradient penalty, every 16 batches.
        path_weight: Weight of the path-length regulariser, every 8 batches.
        mixing: Share of drawn images with two styles in training.
        pixel_weight: $\lambda_x$.
        latent_weight: $\lambda_w$.

    Raises:
        ValueError: The image is too small, or a word is unknown.

    Examples:
        >>> import torch
        >>> model = StylEx((1, 8, 8), w_dim=4, channels=4).eval()
        >>> images = torch.rand(3, 1, 8, 8)
        >>> in_styles = StylEx((1, 8, 8), w_dim=4, channels=4, space="style").eval()
        >>> _ = in_styles.load_state_dict(model.state_dict())
        >>> drawn = model.decode(model.encode(images))
        >>> torch.allclose(in_styles.decode(in_styles.encode(images)), drawn, atol=1e-6)
        True
    """

    recipe: ClassVar[Recipe] = GenerativeCode.recipe._replace(prediction_weight=5.0)
    encoded_average: Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        *,
        w_dim: int = 64,
        channels: int = 32,
        mapping_layers: int = 4,
        space: Space = "w",
        style: Style = "modulation",
        r1_weight: float = 1.0,
        path_weight: float = 2.0,
        mixing: float = 0.9,
        pixel_weight: float = 0.1,
        latent_weight: float = 0.1,
    ) -> None:
        super().__init__(
            image_shape,
            w_dim=w_dim,
            channels=channels,
            mapping_layers=mapping_layers,
            space=space,
            style=style,
            r1_weight=r1_weight,
            path_weight=path_weight,
            mixing=mixing,
            inversion_steps=0,  # nothing is searched for
        )
        del self.configuration["inversion_steps"]
        self.configuration |= {"pixel_weight": pixel_weight, "latent_weight": latent_weight}
        self.pixel_weight, self.latent_weight = pixel_weight, latent_weight
        whole = (image_shape[0], self.side, self.side)
        self.encoder = Encoder(whole, channels, w_dim)
        self.averaged.append(copy.deepcopy(self.encoder).requires_grad_(False))
        self.register_buffer("encoded_average", torch.zeros(w_dim))

    @property
    def makers(self) -> tuple[torch.nn.Module, ...]:
        """What the generator's step moves, and what is averaged."""
        return (*super().makers, self.encoder)

    def encode(self, inputs: Tensor) -> Tensor:
        """Images to flat latents; averaged weights read them in eval mode."""
        encoder = self.encoder if self.training else self.averaged[2]
        return self._flat(encoder(self._real(inputs)))

    def baseline(self, n: int = 1) -> Tensor:
        """The average latent of real images, `(n, latent_size)`."""
        return self._flat(self.encoded_average.repeat(n, 1))

    def inferred(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """`encode`, whatever the randomness."""
        return self.encode(inputs)

    def _redrawn(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Latent vectors of real images, and the squares that they draw."""
        vectors = self.encoder(self._real(inputs))
        return vectors, self.synthesis(vectors.unsqueeze(1).expand(-1, self.num_ws, -1))

    def _fakes(self, inputs: Tensor, generator: torch.Generator) -> list[Tensor]:
        return [*super()._fakes(inputs, generator), self._redrawn(inputs)[1]]

    def _generate(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Terms]:
        drawn = super()._fakes(inputs, generator)
        vectors, again = self._redrawn(inputs)
        with torch.no_grad():
            mean = vectors.mean(dim=0).to(self.encoded_average)
            self.encoded_average.lerp_(mean, self._rate_of_averages)
        game = nonsaturating(None, self._judged([*drawn, again]))
        images = self._cut(again)
        pixels = (images - inputs).abs().flatten(1).sum(dim=1).mean()
        latents = (self.encoder(self._real(images)) - vectors).abs().sum(dim=1).mean()
        loss = game + self.pixel_weight * pixels + self.latent_weight * latents
        return loss, {"generator": game, "pixels": pixels, "latents": latents}
