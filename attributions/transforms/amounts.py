"""One latent for each concept of a layer: how much of it there is, wherever it is."""

import torch
from torch import Tensor, nn

from attributions.transforms.features import Features


class Amounts(nn.Module):
    r"""A code with one latent for each concept, whose map over the places is held fixed.

    $$ u_{kp} = s_k\, m_{kp}, \qquad s_k = \pm \frac{1}{P} \sum_p |u_{kp}| $$

    with the coefficients $u$ of `Features` at places $p$: an amount $s$ and a map $m$, whose sign
    is that of the sum. What the code encodes and decodes is `read`: the amounts at every place, the
    maps, and what the basis leaves out. Maps and rest are in the residual that `Trim` holds fixed,
    so that integrated gradients of an amount are exactly the sum of those of the concept over its
    places. Where a concept is absent its map is 1 everywhere; without residual every map is.

    Args:
        features: Concepts of a layer.

    Examples:
        >>> from attributions import Trim
        >>> from attributions.transforms import PrincipalComponents
        >>> network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(54, 3))
        >>> pictures = torch.randn(20, 1, 5, 5)
        >>> features = Features(network, "1", PrincipalComponents, pictures, latent_size=2)
        >>> amounts = Amounts(features)
        >>> seen, trim = amounts.read(pictures), Trim(amounts.predictor, amounts.decode)
        >>> latents = amounts.encode(seen)
        >>> outputs = trim(latents, trim.residual(seen, latents))
        >>> torch.allclose(outputs, network(pictures), atol=1e-5)
        True
    """

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.predictor = _Together(features)
        """From what `read` gives to the network's outputs."""
        self.latent_names = features.concept_names
        super().train(False)

    def train(self, mode: bool = True) -> "Amounts":
        """Stay in eval mode."""
        return self

    @property
    def latent_size(self) -> int:
        """Concepts."""
        return len(self.latent_names)

    def read(self, inputs: Tensor) -> Tensor:
        """What the network sees of inputs `(batch, *event)` at the layer, taken apart.

        Returns:
            `(batch, concepts + concepts + channels, places)`: amounts, maps, and the rest.
        """
        features = self.predictor.features
        activations = features.activations(inputs)
        coefficients = features.coefficients(activations)
        rest = features.rows(activations - features.drawn(coefficients))
        sums = coefficients.sum(dim=2, keepdim=True)
        amounts = coefficients.abs().mean(dim=2, keepdim=True) * torch.where(sums < 0, -1, 1)
        present = amounts != 0
        maps = torch.where(present, coefficients / torch.where(present, amounts, 1), 1)
        return torch.cat([amounts.expand_as(maps), maps, rest.transpose(1, 2)], dim=1)

    def encode(self, seen: Tensor) -> Tensor:
        """What `read` gave to amounts `(batch, concepts)`."""
        return seen[:, : self.latent_size].mean(dim=2)

    def decode(self, latents: Tensor) -> Tensor:
        """Amounts `(batch, concepts)`, spread evenly, with no rest, in the form of `read`."""
        features = self.predictor.features
        amounts = latents.unsqueeze(2).expand(-1, -1, features.places)
        channels = features.basis.event_shape[0]
        rest = amounts.new_zeros(len(latents), channels, features.places)
        return torch.cat([amounts, torch.ones_like(amounts), rest], dim=1)


class _Together(nn.Module):
    """Amounts times maps, drawn, plus the rest; then the tail."""

    def __init__(self, features: Features) -> None:
        super().__init__()
        self.features = features

    def forward(self, seen: Tensor) -> Tensor:
        features = self.features
        concepts = len(features.concept_names)
        amounts, maps, rest = seen.tensor_split((concepts, 2 * concepts), dim=1)
        activations = features.drawn(amounts * maps)
        shaped = features.shaped(rest.transpose(1, 2))
        outputs: Tensor = features.tail(activations + shaped)
        return outputs
