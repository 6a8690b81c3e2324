"""What every objective is made of: a batch's pass through the VAE, the two terms, schedules."""

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
    """p(z) over `(latent_size,)`, or one row per example where it is conditional."""
    latents: Tensor
    """A reparametrised sample of the posterior, `(batch, latent_size)`."""
    observation: Distribution
    """p(x given z) at the latents, over `(batch, *event)`."""
    dataset_size: int | None = None
    """How many examples the training set has, where that is known."""
    step: int = 0
    """Steps taken before this one, for schedules."""
    second_latents: Tensor | None = None
    """Codes of a second batch, `(batch, latent_size)`, without gradient; where asked for."""


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
        prior: Over `(latent_size,)`, or `(batch, latent_size)`.

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
class Ramp:
    """A weight that grows linearly and then stays: warm-up of a term, or growing capacity.

    Any weight of an objective may be a number or a `Ramp`.

    Args:
        end: Value from `steps` on.
        steps: Training steps until then.
        start: Value at the first step.

    Raises:
        ValueError: `steps` is below 1.

    Examples:
        >>> beta = Ramp(4.0, steps=100)
        >>> beta(0), beta(50), beta(1000)
        (0.0, 2.0, 4.0)
    """

    end: float
    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.steps < 1:
            raise ValueError(f"`steps` must be at least 1. Got {self.steps}. Use 10000.")

    def __call__(self, step: int) -> float:
        """Value at a step."""
        return self.start + (self.end - self.start) * min(step / self.steps, 1.0)


Weight = float | Ramp


def weight_at(weight: Weight, step: int) -> float:
    """Return the number itself, or a ramp's value at the step."""
    return weight(step) if isinstance(weight, Ramp) else weight


def check_weights(**weights: Weight) -> None:
    """Raise a ValueError that names the first weight that is negative or NaN."""
    for name, weight in weights.items():
        values = (weight.start, weight.end) if isinstance(weight, Ramp) else (weight,)
        if not all(value >= 0 for value in values):
            raise ValueError(
                f"`{name}` must be at least 0. Got {weight}. Use 1 for the term's own weight."
            )
