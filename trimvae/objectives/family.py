"""The disentangling family: what weighs the KL term, a part of it, or the code's covariance."""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor
from torch.distributions import Normal

from trimvae.objectives.base import (
    Loss,
    Pass,
    Ramp,
    Weight,
    check_weights,
    kl,
    reconstruction,
    weight_at,
)
from trimvae.objectives.kl_parts import Estimator, batch_decomposition

Moments = Literal["I", "II"]
_PUBLISHED_CAPACITY = Ramp(25.0, steps=100_000)


def _elbo_terms(batch: Pass) -> dict[str, Tensor]:
    return {
        "reconstruction": reconstruction(batch.inputs, batch.observation),
        "kl": kl(batch.posterior, batch.prior),
    }


@dataclass(frozen=True)
class BetaVAE:
    r"""$-\log p(x|z) + \beta\, \mathrm{KL}(q(z|x) \,\|\, p(z))$; the plain VAE at $\beta = 1$.

    References:
        Higgins et al.: beta-VAE, 2017, https://openreview.net/forum?id=Sy2fzU9gl

    Args:
        beta: Weight of the KL term, a number or a `Ramp`. Nothing is averaged over pixels, which
            would silently rescale it by pixels over latents.

    Raises:
        ValueError: `beta` is negative.
    """

    beta: Weight = 1.0

    def __post_init__(self) -> None:
        """Check the argument."""
        check_weights(beta=self.beta)

    def __call__(self, batch: Pass) -> Loss:
        """Total and the terms `reconstruction` and `kl`, in nats."""
        terms = _elbo_terms(batch)
        beta = weight_at(self.beta, batch.step)
        return Loss(terms["reconstruction"] + beta * terms["kl"], terms)


@dataclass(frozen=True)
class CapacityVAE:
    r"""$-\log p(x|z) + \gamma\, |\mathrm{KL}(q(z|x) \,\|\, p(z)) - C|$ with growing capacity $C$.

    The absolute value is that of the batch mean. Taken example by example, as in pythae, KLs of 0
    and 50 nats would cost $25 \gamma$ at $C = 25$ although the code carries just that.

    References:
        Burgess et al.: Understanding disentangling in beta-VAE, 2018,
        https://arxiv.org/abs/1804.03599

    Args:
        capacity: $C$ in nats, a number or a `Ramp`.
        gamma: Weight.

    Raises:
        ValueError: An argument is negative.
    """

    capacity: Weight = _PUBLISHED_CAPACITY
    gamma: float = 1000.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        check_weights(capacity=self.capacity, gamma=self.gamma)

    def __call__(self, batch: Pass) -> Loss:
        """Total and the terms `reconstruction` and `kl`, in nats."""
        terms = _elbo_terms(batch)
        excess = (terms["kl"] - weight_at(self.capacity, batch.step)).abs()
        return Loss(terms["reconstruction"] + self.gamma * excess, terms)


@dataclass(frozen=True)
class BetaTCVAE:
    r"""$-\log p(x|z) + \alpha I(z; x) + \beta\, TC(z) + \gamma \sum_j \mathrm{KL}(q(z_j)\|p(z_j))$.

    The three parts sum to the KL term, which is known in closed form. So only their excess over
    weight 1 is estimated from the batch, $\mathrm{KL} + (\alpha - 1) I + (\beta - 1) TC +
    (\gamma - 1) \sum_j \mathrm{KL}_j$: the same mean with less noise.

    The terms named `batch_...` are the batch's estimate, to train with; the three parts that
    `fit` reports are of many more points.

    References:
        Chen et al.: Isolating Sources of Disentanglement in VAEs, 2018,
        https://arxiv.org/abs/1802.04942

    Args:
        beta: Weight of the total correlation, a number or a `Ramp`.
        alpha: Weight of the mutual information.
        gamma: Weight of the dimension-wise KL.
        estimator: `"mss"`, stratified sampling, or `"mws"`, weighted sampling; see
            `trimvae.objectives.batch_weights`.

    Raises:
        ValueError: A weight is negative or `estimator` is unknown.
    """

    beta: Weight = 6.4
    alpha: Weight = 1.0
    gamma: Weight = 1.0
    estimator: Estimator = "mss"

    def __post_init__(self) -> None:
        """Check the arguments."""
        check_weights(beta=self.beta, alpha=self.alpha, gamma=self.gamma)
        if self.estimator not in get_args(Estimator):
            raise ValueError(
                f"`estimator` must be one of {get_args(Estimator)}. Got {self.estimator!r}. "
                "Use 'mss'."
            )

    def __call__(self, batch: Pass) -> Loss:
        """Total and the terms `reconstruction`, `kl` and `batch_total_correlation`, in nats.

        Raises:
            ValueError: The batch has one example or the data set's size is unknown.
        """
        if batch.dataset_size is None:
            raise ValueError(
                "`dataset_size` must be known to BetaTCVAE. Got None, for data of unknown length. "
                "Pass a tensor or a Dataset with a length to fit."
            )
        terms = _elbo_terms(batch)
        parts = batch_decomposition(
            batch.latents, batch.posterior, batch.prior, batch.dataset_size, self.estimator
        )
        total = terms["reconstruction"] + terms["kl"]
        for weight, part in zip((self.alpha, self.beta, self.gamma), parts, strict=True):
            total = total + (weight_at(weight, batch.step) - 1) * part
        if self.estimator == "mss":  # the other one's terms are no figures
            terms["batch_total_correlation"] = parts.total_correlation
        return Loss(total, terms)


def covariance_penalties(posterior: Normal, moments: Moments = "II") -> tuple[Tensor, Tensor]:
    r"""Squared distance of the code's covariance $c$ from the identity, off and on the diagonal.

    $$ \sum_{i \ne j} c_{ij}^2, \qquad \sum_i (c_{ii} - 1)^2; \qquad
    c = \mathrm{Cov}[\mu(x)] \;(\mathrm{I}), \quad
    c = \mathrm{Cov}[\mu(x)] + \mathrm{diag}\, \mathbb{E}[\sigma^2(x)] \;(\mathrm{II}) $$

    Args:
        posterior: Over `(batch, latent_size)`, at least 2 examples.
        moments: `"I"` of the means alone; `"II"` of the samples.

    Returns:
        The two sums, scalars.

    Raises:
        ValueError: There is one example.

    Examples:
        >>> import torch
        >>> means = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
        >>> off, on = covariance_penalties(Normal(means, torch.ones(4, 2)), "I")
        >>> off.item(), on.item()
        (0.0, 0.0)
    """
    means = posterior.mean
    if len(means) < 2:
        raise ValueError(
            f"`posterior` must be over 2 examples or more. Got {len(means)}. "
            "Use a larger batch_size, or drop an incomplete last batch."
        )
    centred = means - means.mean(dim=0)
    covariance = centred.T @ centred / len(means)
    diagonal = covariance.diagonal()
    off_diagonal = covariance.square().sum() - diagonal.square().sum()
    if moments == "II":
        diagonal = diagonal + posterior.variance.mean(dim=0)
    return off_diagonal, (diagonal - 1).square().sum()


@dataclass(frozen=True)
class DIPVAE:
    r"""$-\log p(x|z) + \mathrm{KL} + \lambda_{od} \sum_{i \ne j} c_{ij}^2 + \lambda_d \sum_i (c_{ii} - 1)^2$.

    The covariance $c$ is that of the posterior means (I), or of samples of the posterior (II).

    References:
        Kumar, Sattigeri, Balakrishnan: Variational Inference of Disentangled Latent Concepts from
        Unlabeled Observations, 2018, https://arxiv.org/abs/1711.00848

    Args:
        off_diagonal: $\lambda_{od}$.
        diagonal: $\lambda_d$; default: 10 times `off_diagonal` for DIP-VAE I, as much for II.
        moments: `"I"` or `"II"`.

    Raises:
        ValueError: A weight is negative or `moments` is unknown.
    """  # noqa: E501 (one formula)

    off_diagonal: float = 10.0
    diagonal: float | None = None
    moments: Moments = "II"

    def __post_init__(self) -> None:
        """Check the arguments and complete them."""
        if self.moments not in get_args(Moments):
            raise ValueError(
                f"`moments` must be one of {get_args(Moments)}. Got {self.moments!r}. Use 'II'."
            )
        if self.diagonal is None:
            factor = 10.0 if self.moments == "I" else 1.0
            object.__setattr__(self, "diagonal", factor * self.off_diagonal)
        check_weights(off_diagonal=self.off_diagonal, diagonal=self._on_diagonal)

    def __call__(self, batch: Pass) -> Loss:
        """Total and the terms `reconstruction`, `kl`, `covariance` and `variance`."""
        terms = _elbo_terms(batch)
        terms["covariance"], terms["variance"] = covariance_penalties(batch.posterior, self.moments)
        total = terms["reconstruction"] + terms["kl"] + self.off_diagonal * terms["covariance"]
        return Loss(total + self._on_diagonal * terms["variance"], terms)

    @property
    def _on_diagonal(self) -> float:
        return self.off_diagonal if self.diagonal is None else self.diagonal
