r"""The KL term in three parts: mutual information, total correlation, dimension-wise KL.

$$ \mathbb{E}\, \mathrm{KL}(q(z|x) \| p(z)) = \underbrace{I(z; x)}_{\log \frac{q(z|x)}{q(z)}}
+ \underbrace{TC(z)}_{\log \frac{q(z)}{\prod_j q(z_j)}}
+ \underbrace{\sum_j \mathrm{KL}(q(z_j) \| p(z_j))}_{\log \frac{\prod_j q(z_j)}{p(z)}} $$

Each part needs $q(z)$, the mean of all posteriors of the training set. A batch gives an estimate
of it that is good enough to train with (`batch_decomposition`) and too poor to report: its
logarithm is biased. Report `decomposition`, of many points against many posteriors.

References:
    Chen et al.: Isolating Sources of Disentanglement in VAEs, 2018,
    https://arxiv.org/abs/1802.04942
"""

import math
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.distributions import Normal

Estimator = Literal["mss", "mws"]


class Decomposition(NamedTuple):
    """The KL term in nats, in three parts that sum to it."""

    mutual_information: Tensor
    """I(z; x), scalar, at most the logarithm of the data set's size."""
    total_correlation: Tensor
    """TC(z), scalar: 0 if latents are independent over the data set."""
    dimension_wise_kl: Tensor
    """Scalar: how far each latent's own distribution is from the prior."""


def batch_weights(
    batch: int,
    dataset_size: int,
    estimator: Estimator = "mss",
    *,
    device: torch.device | str | None = None,
) -> Tensor:
    r"""Weights of a batch's posteriors in the estimate of $q(z_i)$, one row per sample $z_i$.

    Stratified sampling (`"mss"`, Chen et al. 2018, equation S6): with $M + 1$ examples of $N$,
    the sample's own posterior weighs $1/N$, one other $(N - M) / NM$, the rest $1/M$. A row sums
    to 1 and the estimate's mean over batches is $q(z)$ exactly. Weighted sampling (`"mws"`) gives
    every posterior $1 / N(M + 1)$, which is no density: a surrogate to train with, whose terms are
    no figures.

    The codes of disvae, pythae and of the paper itself put $1/N$ into the first column instead
    of the diagonal; their mean estimate of $q(z)$ is off by half at batches of 16.

    Args:
        batch: Number of examples, $M + 1$, at least 2.
        dataset_size: $N$.
        estimator: Which of the two.
        device: Of the result.

    Returns:
        `(batch, batch)`.

    Raises:
        ValueError: `batch` is below 2, `dataset_size` below `batch`, or `estimator` unknown.

    Examples:
        >>> weights = batch_weights(4, dataset_size=10).double()
        >>> torch.allclose(weights.sum(dim=1), torch.ones(4).double())
        True
    """
    if batch < 2:
        raise ValueError(
            f"`batch` must hold at least 2 examples to estimate q(z). Got {batch}. "
            "Use a larger batch_size, or drop an incomplete last batch."
        )
    if dataset_size < batch:
        raise ValueError(
            f"`dataset_size` must be at least the batch's {batch} examples. Got {dataset_size}. "
            "Pass the size of the whole training set."
        )
    if estimator == "mws":
        return torch.full((batch, batch), 1 / (dataset_size * batch), device=device)
    if estimator != "mss":
        raise ValueError(
            f"`estimator` must be one of {get_args(Estimator)}. Got {estimator!r}. Use 'mss'."
        )
    others = batch - 1
    weights = torch.full((batch, batch), 1 / others, device=device)
    weights.fill_diagonal_(1 / dataset_size)
    rows = torch.arange(batch, device=device)
    weights[rows, (rows + 1) % batch] = (dataset_size - others) / (dataset_size * others)
    return weights


def batch_decomposition(
    latents: Tensor,
    posterior: Normal,
    prior: Normal,
    dataset_size: int,
    estimator: Estimator = "mss",
) -> Decomposition:
    """Decompose the one-sample KL of a batch; differentiable, to train with.

    The parts sum to the mean of log q(z given x) - log p(z) exactly. Each is biased, since the
    logarithm of an unbiased estimate is not unbiased.

    Args:
        latents: `(batch, latent_size)`, one sample of each posterior.
        posterior: Over the same shape.
        prior: Over `(latent_size,)` or `(batch, latent_size)`.
        dataset_size: Number of examples in the training set.
        estimator: `"mss"`, minibatch stratified sampling, or `"mws"`, minibatch weighted sampling.

    Returns:
        Three scalars.

    Raises:
        ValueError: The batch has fewer than 2 examples or more than the data set, or the estimator
            is unknown.

    Examples:
        >>> posterior = Normal(torch.randn(8, 2), torch.rand(8, 2) + 0.1)
        >>> latents, prior = posterior.rsample(), Normal(torch.zeros(2), torch.ones(2))
        >>> parts = batch_decomposition(latents, posterior, prior, dataset_size=100)
        >>> one_sample = (posterior.log_prob(latents) - prior.log_prob(latents)).sum(1).mean()
        >>> torch.allclose(sum(parts), one_sample, atol=1e-5)
        True
    """
    weights = batch_weights(len(latents), dataset_size, estimator, device=latents.device)
    log_weights = weights.log().to(latents.dtype)
    pairs = posterior.log_prob(latents.unsqueeze(1))
    joint = (pairs.sum(dim=2) + log_weights).logsumexp(dim=1)
    marginals = (pairs + log_weights.unsqueeze(2)).logsumexp(dim=1).sum(dim=1)
    return _parts(
        posterior.log_prob(latents).sum(dim=1),
        joint,
        marginals,
        prior.log_prob(latents).sum(dim=1),
    )


def decomposition(
    posterior: Normal,
    prior: Normal,
    *,
    dataset_size: int | None = None,
    n_points: int = 10_000,
    generator: torch.Generator | None = None,
    max_pairs: int = 2**18,
) -> Decomposition:
    """Decompose the KL of a data set: the figures to report.

    Points are drawn from the posteriors and compared with *all* posteriors given. With those of
    the whole data set the only error is that of finitely many points; with a part of it
    the own posterior of a point weighs one in `dataset_size` and the others share the rest.

    Args:
        posterior: Over `(n, latent_size)`, of the examples at hand.
        prior: Over `(latent_size,)` or `(n, latent_size)`.
        dataset_size: Size of the whole data set; default: `n`.
        n_points: Most points drawn, each from another posterior.
        generator: Source of randomness, on the posterior's device; default: torch's global one.
        max_pairs: Most pairs of point and posterior held at once.

    Returns:
        Three scalars, in nats; the mutual information is at most `log(dataset_size)`.

    Raises:
        ValueError: There are fewer than 2 posteriors, `dataset_size` is below their number, or a
            posterior is not finite.

    Examples:
        >>> apart = Normal(torch.tensor([[-9.0], [9.0]]), torch.ones(2, 1))
        >>> parts = decomposition(apart, Normal(torch.zeros(1), torch.ones(1)))
        >>> torch.allclose(parts.mutual_information, torch.tensor(2.0).log())
        True
    """
    means, deviations = posterior.mean.detach(), posterior.stddev.detach()
    n = len(means)
    dataset_size = n if dataset_size is None else dataset_size
    if n < 2 or dataset_size < n:
        raise ValueError(
            "`posterior` must be over 2 examples or more and not over more than `dataset_size`. "
            f"Got {n} of {dataset_size}. Encode more examples, or leave dataset_size out."
        )
    if not bool(torch.isfinite(means).all() and torch.isfinite(deviations).all()):
        raise ValueError("`posterior` must be finite. Got NaN or infinity. Train with less noise.")
    device = means.device
    chosen = torch.randperm(n, generator=generator, device=device)[:n_points]
    noise = torch.randn(
        (len(chosen), means.shape[1]), generator=generator, device=device, dtype=means.dtype
    )
    latents = means[chosen] + deviations[chosen] * noise
    log_own = math.log(1 / dataset_size)
    log_others = math.log((1 - 1 / dataset_size) / (n - 1))
    # log q(z_j | x_n) = peak - (scale (z_j - mean))^2, for dimension j and example n.
    scales = (deviations * 2**0.5).reciprocal().T.contiguous()
    peaks = -(deviations * math.sqrt(2 * math.pi)).log().T.contiguous()
    floor = 0.9 * math.log(torch.finfo(means.dtype).tiny)
    columns = means.T.contiguous()
    joints, marginals = [], []
    for rows in torch.arange(len(chosen), device=device).split(max(1, max_pairs // n)):
        diagonal = torch.arange(len(rows), device=device), chosen[rows]
        joint = torch.full((len(rows), n), log_others, dtype=means.dtype, device=device)
        joint[diagonal] = log_own
        marginal = torch.zeros_like(joint[:, 0])
        for mean, scale, peak, column in zip(columns, scales, peaks, latents[rows].T, strict=True):
            pairs = (column.unsqueeze(1) - mean).mul_(scale).square_()
            pairs = torch.sub(peak, pairs, out=pairs)
            joint += pairs
            # A point lies near its own posterior's mean, so that the sum cannot underflow. Single
            # terms would: denormal numbers are a hundred times slower and add nothing.
            densities = pairs.clamp_min_(floor).exp_()
            own = densities[diagonal]
            others = densities.sum(dim=1) - own
            marginal += (math.exp(log_others) * others + math.exp(log_own) * own).log()
        largest = joint.amax(dim=1, keepdim=True)
        joints.append(largest[:, 0] + (joint - largest).clamp_min_(floor).exp_().sum(dim=1).log())
        marginals.append(marginal)
    return _parts(
        Normal(means[chosen], deviations[chosen]).log_prob(latents).sum(dim=1),
        torch.cat(joints),
        torch.cat(marginals),
        _rows(prior, chosen, n).log_prob(latents).sum(dim=1),
    )


def _rows(prior: Normal, chosen: Tensor, n: int) -> Normal:
    if prior.mean.ndim == 1:
        return prior
    if len(prior.mean) != n:
        raise ValueError(
            f"`prior` must have one row for all, or one for each of {n} posteriors. "
            f"Got {len(prior.mean)}. Condition it on the same examples."
        )
    return Normal(prior.mean[chosen], prior.stddev[chosen], validate_args=False)


def _parts(given: Tensor, joint: Tensor, marginals: Tensor, prior: Tensor) -> Decomposition:
    return Decomposition(
        (given - joint).mean(), (joint - marginals).mean(), (marginals - prior).mean()
    )
