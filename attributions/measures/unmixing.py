"""Are latents mixtures of directions that are more independent than they are?"""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attributions.checks import check_counts
from attributions.measures.intervals import DEVIATIONS, Estimate, Interval
from attributions.randomness import seed_of

# Halves with fewer examples have entropies by chance.
_LEAST_EXAMPLES = 200

# Ways to part the examples in halves.
_SPLITS = 8

# More latents take too long, and too many examples.
_MOST_LATENTS = 20

# A latent whose posteriors hold more of its variance tells little of the inputs.
_MOST_NOISE = 0.7

# Below this, one of the latents is nearly a mixture of the others, and has no direction of its own.
_LEAST_EIGENVALUE = 0.05


class Unmixing(NamedTuple):
    """What latents gain when they are taken apart into independent directions."""

    gain: Estimate
    """Total correlation that goes, in nats; about 0 where they are as independent as can be."""
    purity: Tensor
    """`(latents,)`, largest absolute correlation of each with one of the directions: 1 where it is
    that direction; NaN for those that were left out."""
    correlation: float
    """Largest absolute correlation of two of the latents."""


def unmix(
    latents: Tensor,
    deviations: Tensor | None = None,
    *,
    n_shuffled: int = 20,
    generator: torch.Generator | None = None,
) -> Unmixing | None:
    r"""How much more independent do latents become when they are taken apart by ICA?

    A rotation of independent factors draws the same pictures and keeps every decision, so that no
    figure of decoder and predictor sees it. Where factors are not normal, their mixtures depend on
    each other, and an unmixing $W$ takes that away:

    $$ \sum_i H(z_i) - \sum_i H\bigl((Wz)_i\bigr) + \log \lvert\det W\rvert
       = \mathrm{TC}(z) - \mathrm{TC}(Wz) $$

    $W$ is found on one half of the examples (FastICA) and the entropies are estimated on the other
    (Vasicek's, from spacings), and the other way round; of eight ways to part them, the mean. As
    chance and noise gain as well, or lose, the same is done with latents whose values are shuffled,
    each on its own, which nothing can make more independent: their mean is taken off. The interval
    is that of the larger deviation, from half to half or from shuffle to shuffle.

    Latents are samples of their posteriors where `deviations` are given. Left out are those that do
    not vary, and those of which 70 % of the variance or more is the posteriors'.

    References:
        Hyvärinen, Oja: Independent Component Analysis: Algorithms and Applications, 2000,
        https://doi.org/10.1016/S0893-6080(00)00026-5; Vasicek: A Test for Normality Based on Sample
        Entropy, 1976; Locatello et al.: Challenging Common Assumptions in the Unsupervised Learning
        of Disentangled Representations, 2019, https://arxiv.org/abs/1811.12359

    Args:
        latents: `(n, latents)`, real.
        deviations: `(n, latents)`, posterior standard deviations; default: none.
        n_shuffled: How often latents are shuffled.
        generator: Of samples, halves and shuffles, on the CPU; default: one that is seeded with 0.

    Returns:
        What was found; None of fewer than 200 examples, of fewer than two latents that are not left
        out or more than 20, of latents that take few values only, and where one of them is nearly
        a mixture of the others.

    Raises:
        ValueError: Shapes do not fit, or `n_shuffled` is below 2.

    Examples:
        >>> generator = torch.Generator().manual_seed(0)
        >>> factors = torch.rand(400, 2, generator=generator)
        >>> turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
        >>> turned, straight = unmix(factors @ turn), unmix(factors)
        >>> turned.gain.interval.low > 0.15, straight.gain.interval.high < 0.15
        (True, True)
        >>> bool(turned.purity.max() < 0.9), bool(straight.purity.min() > 0.9)
        (True, True)
    """
    _check(latents, deviations, n_shuffled)
    generator = generator or torch.Generator().manual_seed(0)
    if len(latents) < _LEAST_EXAMPLES or latents.shape[1] < 2:
        return None
    chosen = _live(latents, deviations).nonzero()[:, 0]
    if not 2 <= len(chosen) <= _MOST_LATENTS:
        return None
    values = latents[:, chosen].detach().double().cpu()
    if deviations is not None:
        noise = torch.randn(values.shape, generator=generator, dtype=values.dtype)
        values = values + noise * deviations[:, chosen].detach().to(values)
    values = values[torch.randperm(len(values), generator=generator)]
    if _has_ties(values):
        return None
    values = (values - values.mean(dim=0)) / values.std(dim=0)
    correlation = torch.corrcoef(values.T)
    if not torch.linalg.eigvalsh(correlation)[0] > _LEAST_EIGENVALUE:
        return None
    draws = np.random.default_rng(seed_of(generator))
    rows = values.numpy()
    chance = [_gain(draws.permuted(rows, axis=0)) for _ in range(n_shuffled)]
    gains = [_gain(draws.permutation(rows)) for _ in range(_SPLITS)]
    gain = float(np.mean(gains) - np.mean(chance))
    spread = max(float(np.std(each, ddof=1)) for each in (chance, gains))
    purity = torch.full_like(latents[0], torch.nan)
    purity[chosen] = _purity(rows).to(purity)
    ends = Interval(gain - DEVIATIONS * spread, gain + DEVIATIONS * spread)
    most = float(correlation.fill_diagonal_(0).abs().max())
    return Unmixing(Estimate(gain, ends), purity, most)


def _unmixing_of(rows: np.ndarray) -> np.ndarray:
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    fitted = FastICA(whiten="unit-variance", fun="cube", max_iter=30, random_state=0)
    with warnings.catch_warnings():
        # Of normal latents no direction is better than another, and none is found.
        warnings.simplefilter("ignore", ConvergenceWarning)
        matrix: np.ndarray = fitted.fit(rows).components_
    return matrix


def _check(latents: Tensor, deviations: Tensor | None, n_shuffled: int) -> None:
    check_counts(n_shuffled=n_shuffled)
    if n_shuffled < 2:
        raise ValueError(
            f"`n_shuffled` must be 2 or more, for a deviation. Got {n_shuffled}. Use about 20."
        )
    if latents.ndim != 2 or (deviations is not None and deviations.shape != latents.shape):
        others = "none" if deviations is None else str(tuple(deviations.shape))
        raise ValueError(
            "`latents` must have shape (n, latents), and `deviations` the same. Got "
            f"{tuple(latents.shape)} and {others}. Pass those of the same examples."
        )


def _live(latents: Tensor, deviations: Tensor | None) -> Tensor:
    """`(latents,)`, which vary, and more than their posteriors do."""
    variance = latents.double().var(dim=0)
    noise = 0 if deviations is None else deviations.double().square().mean(dim=0)
    return (variance > 1e-12) & (noise <= _MOST_NOISE * (variance + noise))


def _has_ties(values: Tensor) -> bool:
    """Whether more than a tenth of a latent's values stand twice: then it has no density."""
    distinct = min(len(column.unique()) for column in values.T)
    return distinct < 0.9 * len(values)


def _gain(rows: np.ndarray) -> float:
    """Mean over both halves of the total correlation that goes by the other half's unmixing."""
    half = len(rows) // 2
    parts = rows[:half], rows[half:]
    return float(np.mean([_gain_on(parts[1 - part], parts[part]) for part in range(2)]))


def _gain_on(rows: np.ndarray, others: np.ndarray) -> float:
    matrix = _unmixing_of(others)
    return _entropies(rows) - _entropies(rows @ matrix.T) + float(np.linalg.slogdet(matrix)[1])


def _entropies(rows: np.ndarray) -> float:
    """Sum of the columns' differential entropies, in nats."""
    from scipy.stats import differential_entropy

    return float(differential_entropy(rows, axis=0, method="vasicek").sum())


def _purity(rows: np.ndarray) -> Tensor:
    apart = rows @ _unmixing_of(rows).T
    count = rows.shape[1]
    correlations = np.corrcoef(rows.T, apart.T)[:count, count:]
    return torch.from_numpy(np.abs(correlations).max(axis=1))
