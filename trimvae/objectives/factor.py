"""FactorVAE: total correlation by a discriminator that learns beside the VAE."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attributions.replicas import frozen
from trimvae.objectives.base import Loss, Pass, Weight, check_weights, weight_at
from trimvae.objectives.family import BetaVAE


def permuted(latents: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Shuffle every column on its own: samples of the product of the latents' marginals.

    Args:
        latents: `(batch, latent_size)`.
        generator: Source of randomness, on the latents' device; default: torch's global one.

    Returns:
        The same shape.

    Examples:
        >>> latents = torch.arange(6.0).view(3, 2)
        >>> torch.equal(permuted(latents).sort(dim=0).values, latents)
        True
    """
    noise = torch.rand(latents.shape, generator=generator, device=latents.device)
    return latents.gather(0, noise.argsort(dim=0))


class FactorVAE(nn.Module):
    r"""$-\log p(x|z) + \mathrm{KL} + \gamma\, \mathbb{E}_{q(z)}[d_{joint}(z) - d_{product}(z)]$.

    The discriminator $d$ tells codes of a batch from codes of a *second* batch, shuffled latent by
    latent; the difference of its logits estimates the total correlation. The VAE's step
    sees the discriminator frozen, and the discriminator's step sees codes without gradient. (In
    disvae and pythae it does not, and the discriminator's own loss pulls at the encoder.) The
    two losses share no parameter, so `fit` takes both steps with one backward pass and one
    optimiser that has a group for each.

    A step reads two batches: `fit` takes `2 * batch_size` examples a step, so an epoch has half
    as many steps.

    References:
        Kim, Mnih: Disentangling by Factorising, 2018, https://arxiv.org/abs/1802.05983

    Args:
        gamma: Weight of the total correlation, a number or a `Ramp`.
        width: Units in each hidden layer of the discriminator.
        depth: Hidden layers of the discriminator.
        learning_rate: Of the discriminator; its Adam has betas (.5, .9).

    Raises:
        ValueError: An argument is out of range.
    """

    n_batches = 2
    betas = (0.5, 0.9)

    def __init__(
        self,
        gamma: Weight = 6.4,
        *,
        width: int = 1000,
        depth: int = 6,
        learning_rate: float = 1e-4,
    ) -> None:
        super().__init__()
        check_weights(gamma=gamma)
        if width < 1 or depth < 1 or not learning_rate > 0:
            raise ValueError(
                "`width`, `depth` and `learning_rate` must be positive. "
                f"Got {width}, {depth}, {learning_rate}. Use 1000, 6, 1e-4."
            )
        self.gamma, self.width, self.depth = gamma, width, depth
        self.learning_rate = learning_rate
        self.discriminator: nn.Sequential | None = None

    def build(self, latent_size: int) -> None:
        """Make the discriminator of a code, unless there is one of that size (`fit` calls this)."""
        if self.discriminator is not None and self.discriminator[0].in_features == latent_size:
            return
        layers: list[nn.Module] = []
        for layer in range(self.depth):
            layers += [
                nn.Linear(self.width if layer else latent_size, self.width),
                nn.LeakyReLU(0.2),
            ]
        self.discriminator = nn.Sequential(*layers, nn.Linear(self.width, 2))

    def forward(self, batch: Pass) -> Loss:
        """Total of both steps; terms `reconstruction`, `kl`, `density_ratio`, `discriminator`.

        Without a second batch the terms of the VAE alone.

        Raises:
            RuntimeError: `build` was not called.
        """
        if self.discriminator is None:
            raise RuntimeError(
                "`build` must be called before. Got no discriminator. Call "
                "objective.build(vae.latent_size), or use fit."
            )
        total, terms = BetaVAE()(batch)
        if batch.second_latents is None:
            return Loss(total, terms)
        joint, product = frozen(self.discriminator)(batch.latents).unbind(dim=1)
        terms["density_ratio"] = (joint - product).mean()
        terms["discriminator"] = self._classify(batch.latents, batch.second_latents)
        gamma = weight_at(self.gamma, batch.step)
        return Loss(total + gamma * terms["density_ratio"] + terms["discriminator"], terms)

    def _classify(self, latents: Tensor, shuffled: Tensor) -> Tensor:
        assert self.discriminator is not None  # checked by forward
        joint = self.discriminator(latents.detach())
        product = self.discriminator(shuffled.detach())
        zeros = torch.zeros(len(latents), dtype=torch.long, device=latents.device)
        ones = torch.ones(len(shuffled), dtype=torch.long, device=latents.device)
        return 0.5 * (F.cross_entropy(joint, zeros) + F.cross_entropy(product, ones))

    def __repr__(self) -> str:
        """As one would write it."""
        return f"FactorVAE(gamma={self.gamma}, width={self.width}, depth={self.depth})"
