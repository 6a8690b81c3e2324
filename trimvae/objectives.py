"""What a VAE minimises: sums over the event, means over the batch.

An objective is any callable from a `Pass` to an `Objective` result: its own total, and named terms
to log. Prediction loss and penalties are added by `fit`, whatever the objective.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor
from torch.distributions import Distribution, Normal, kl_divergence


class Pass(NamedTuple):
    """One batch through the VAE."""

    inputs: Tensor
    """`(batch, *event)`."""
    posterior: Normal
    """q(z given x) over `(batch, latent_size)`."""
    prior: Normal
    """p(z) over `(latent_size,)`."""
    latents: Tensor
    """A reparametrised sample of the posterior, `(batch, latent_size)`."""
    observation: Distribution
    """p(x given z) at the latents, over `(batch, *event)`."""


class Loss(NamedTuple):
    """A scalar to minimise, and its terms by name before they are weighted."""

    total: Tensor
    terms: dict[str, Tensor]


class Objective(Protocol):
    """Anything that turns a `Pass` into a `Loss`."""

    def __call__(self, batch: Pass) -> Loss:
        """Total and terms of one batch."""
        ...


def reconstruction(inputs: Tensor, observation: Distribution) -> Tensor:
    r"""Minus the log-likelihood, $-\log p(x | z)$ in nats: sum over the event, mean over the batch.

    Args:
        inputs: `(batch, *event)`.
        observation: p(x given z), over the same shape.

    Returns:
        Scalar.
    """
    return -observation.log_prob(inputs).flatten(1).sum(dim=1).mean()


def kl(posterior: Normal, prior: Normal) -> Tensor:
    r"""$\mathrm{KL}(q(z|x) \,\|\, p(z))$ in nats: sum over latents, mean over the batch.

    Args:
        posterior: Over `(batch, latent_size)`.
        prior: Over `(latent_size,)`.

    Returns:
        Scalar.

    Examples:
        >>> import torch
        >>> prior = Normal(torch.zeros(3), torch.ones(3))
        >>> kl(Normal(torch.ones(2, 3), torch.ones(2, 3)), prior).item()
        1.5
    """
    return kl_divergence(posterior, prior).sum(dim=1).mean()


@dataclass(frozen=True)
class BetaVAE:
    r"""$-\log p(x|z) + \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z))$; the plain VAE at $\beta = 1$.

    References:
        Higgins et al.: beta-VAE, 2017, https://openreview.net/forum?id=Sy2fzU9gl

    Args:
        beta: Weight of the KL term. Nothing is averaged over pixels, which would silently
            rescale it by pixels over latents.

    Raises:
        ValueError: `beta` is negative.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        """Check the argument."""
        if not self.beta >= 0:
            raise ValueError(f"`beta` must be at least 0. Got {self.beta}. Use 1 for a plain VAE.")

    def __call__(self, batch: Pass) -> Loss:
        """Total and the terms `reconstruction` and `kl`, in nats."""
        terms = {
            "reconstruction": reconstruction(batch.inputs, batch.observation),
            "kl": kl(batch.posterior, batch.prior),
        }
        return Loss(terms["reconstruction"] + self.beta * terms["kl"], terms)
