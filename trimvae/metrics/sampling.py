"""Metrics that draw groups of examples which share a factor: Higgins', FactorVAE's, IRS."""

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from trimvae.metrics.checks import Array, Seed, check_pair, levels_of


class _Groups:
    """Examples by level of every factor, to draw partners that share a level."""

    def __init__(self, levels: Array, bins: int) -> None:
        self.levels = np.stack([levels_of(column, bins) for column in levels.T], axis=1)
        self.orders, self.starts, self.sizes = [], [], []
        for k, column in enumerate(self.levels.T):
            sizes = np.bincount(column)
            if sizes.min() < 2:
                raise ValueError(
                    "`factors` must have every level at least twice for this metric. Got a level "
                    f"of factor {k} once. Encode more examples, or use fewer `bins`."
                )
            self.orders.append(np.argsort(column, kind="stable"))
            self.sizes.append(sizes)
            self.starts.append(np.cumsum(sizes) - sizes)

    def partners(self, k: int, rows: Array, generator: np.random.Generator) -> Array:
        """For every entry of `rows` an example with the same level of factor `k`."""
        level = self.levels[rows, k]
        offset = np.floor(generator.random(rows.shape) * self.sizes[k][level]).astype(np.int64)
        found: Array = self.orders[k][self.starts[k][level] + offset]
        return found


def higgins_metric(
    codes: Any,
    factors: Any,
    *,
    pairs: int = 64,
    n_train: int = 10_000,
    n_test: int = 5_000,
    bins: int = 20,
    seed: Seed = 0,
) -> float:
    """The beta-VAE metric: can a linear classifier say which factor two examples share?

    For each point a factor is chosen and `pairs` pairs of examples that share its level;
    the classifier sees the mean absolute difference of their codes. Saturates at 1 early;
    chance is one over the number of factors.

    References:
        Higgins et al.: beta-VAE, 2017, https://openreview.net/forum?id=Sy2fzU9gl; the protocol:
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359

    Args:
        codes: `(n, latent_size)`; pairs are drawn from these.
        factors: `(n, n_factors)`, at least 2; every level at least twice.
        pairs: Pairs per point.
        n_train: Points that the classifier is fitted to.
        n_test: Points of which the accuracy is reported.
        bins: Levels of a continuous factor.
        seed: Of every draw.

    Returns:
        Accuracy, from 0 to 1.

    Raises:
        ValueError: Shapes do not fit, values are not finite, a factor is constant or a level
            occurs once, or a count is below 1.

    Examples:
        >>> factors = np.random.default_rng(0).integers(0, 5, (2000, 3))
        >>> higgins_metric(factors, factors, n_train=500, n_test=500)
        1.0
    """
    array, groups = _check(codes, factors, bins, pairs=pairs, n_train=n_train, n_test=n_test)
    generator = np.random.default_rng(seed)
    points = n_train + n_test
    chosen = generator.integers(groups.levels.shape[1], size=points)
    features = np.empty((points, array.shape[1]))
    for k in range(groups.levels.shape[1]):
        (mine,) = np.nonzero(chosen == k)
        for part in np.array_split(mine, max(1, len(mine) * pairs // 200_000)):
            rows = generator.integers(len(array), size=(len(part), pairs))
            partners = groups.partners(k, rows, generator)
            features[part] = np.abs(array[rows] - array[partners]).mean(axis=1)
    train, test = slice(n_train), slice(n_train, None)
    if len(np.unique(chosen[train])) < 2:
        raise ValueError(
            "`factors` must have at least 2 columns that are drawn. Got one. Use more factors or "
            "a larger `n_train`."
        )
    model = LogisticRegression(max_iter=1000).fit(features[train], chosen[train])
    return float(model.score(features[test], chosen[test]))


def factor_vae_metric(
    codes: Any,
    factors: Any,
    *,
    group: int = 64,
    n_train: int = 10_000,
    n_test: int = 5_000,
    prune: float = 0.05,
    prior_variance: float = 1.0,
    bins: int = 20,
    seed: Seed = 0,
) -> float:
    """The FactorVAE metric: does the latent that stays still name the factor that was fixed?

    For each vote a factor and a level are chosen and `group` examples with it; the vote is the
    latent with the least variance, relative to its variance over all codes. A majority vote per
    latent predicts the factor. Latents below `prune` of the prior's variance do not vote; if none
    is left the score is 0.

    References:
        Kim, Mnih: Disentangling by Factorising, 2018, https://arxiv.org/abs/1802.05983; the
        protocol and its threshold: Locatello et al., 2019, https://arxiv.org/abs/1811.12359

    Args:
        codes: `(n, latent_size)`; groups are drawn from these.
        factors: `(n, n_factors)`; every level at least twice.
        group: Examples per vote.
        n_train: Votes that the majority is taken of.
        n_test: Votes of which the accuracy is reported.
        prune: Least share of the prior's variance; 0 keeps every latent that varies.
        prior_variance: Of a latent.
        bins: Levels of a continuous factor.
        seed: Of every draw.

    Returns:
        Accuracy, from 0 to 1.

    Raises:
        ValueError: Shapes do not fit, values are not finite, a factor is constant or a level
            occurs once, `group` is below 2 or another count below 1.

    Examples:
        >>> factors = np.random.default_rng(0).integers(0, 5, (2000, 3))
        >>> factor_vae_metric(factors, factors, n_train=500, n_test=500)
        1.0
    """
    array, groups = _check(codes, factors, bins, group=group, n_train=n_train, n_test=n_test)
    variance = array.var(axis=0, ddof=1)
    kept = (variance >= prune * prior_variance) & (variance > 0)
    if not kept.any():
        return 0.0
    scaled = array[:, kept] / np.sqrt(variance[kept])
    generator = np.random.default_rng(seed)
    votes = n_train + n_test
    n_factors = groups.levels.shape[1]
    chosen = generator.integers(n_factors, size=votes)
    stillest = np.empty(votes, dtype=np.int64)
    for k in range(n_factors):
        (mine,) = np.nonzero(chosen == k)
        for part in np.array_split(mine, max(1, len(mine) * group // 200_000)):
            first = generator.integers(len(array), size=(len(part), 1))
            rows = groups.partners(k, np.broadcast_to(first, (len(part), group)), generator)
            stillest[part] = scaled[rows].var(axis=1, ddof=1).argmin(axis=1)
    counts = np.zeros((scaled.shape[1], n_factors))
    np.add.at(counts, (stillest[:n_train], chosen[:n_train]), 1)
    return float((counts.argmax(axis=1)[stillest[n_train:]] == chosen[n_train:]).mean())


def irs(codes: Any, factors: Any, *, quantile: float = 0.99, bins: int = 20) -> float:
    r"""Interventional robustness: how little a latent moves while its own factor stays.

    For every level of a factor the `quantile` of the latent's distance from its mean there,
    averaged over levels, relative to its largest distance overall; 1 minus that for the
    best factor, averaged over latents with their largest distances as weights. Constant
    latents are left out.

    References:
        Suter et al.: Robustly Disentangled Causal Mechanisms, 2019,
        https://arxiv.org/abs/1811.00007

    Args:
        codes: `(n, latent_size)`.
        factors: `(n, n_factors)`.
        quantile: In place of the maximum, which one outlier decides.
        bins: Levels of a continuous factor.

    Returns:
        From 0 to 1; 0 if all latents are constant.

    Raises:
        ValueError: Shapes do not fit, values are not finite, a factor is constant, or `quantile`
            is not in (0, 1].

    Examples:
        >>> factors = np.random.default_rng(0).integers(0, 5, (2000, 3))
        >>> irs(factors, factors)
        1.0
    """
    if not 0 < quantile <= 1:
        raise ValueError(f"`quantile` must be in (0, 1]. Got {quantile}. Use 0.99.")
    array, levels = check_pair(codes, factors)
    array = array[:, array.std(axis=0) > 0]
    if not array.shape[1]:
        return 0.0
    largest = np.abs(array - array.mean(axis=0)).max(axis=0)
    moved = np.empty((array.shape[1], levels.shape[1]))
    for k, column in enumerate(levels.T):
        own = levels_of(column, bins)
        order = np.argsort(own, kind="stable")
        parts = np.split(array[order], np.cumsum(np.bincount(own))[:-1])
        moved[:, k] = np.mean(
            [np.quantile(np.abs(part - part.mean(axis=0)), quantile, axis=0) for part in parts],
            axis=0,
        )
    robust = (1 - moved / largest[:, None]).max(axis=1)
    return float(np.average(robust, weights=largest))


def _check(codes: Any, factors: Any, bins: int, **counts: int) -> tuple[Array, _Groups]:
    for name, count in counts.items():
        if count < (2 if name == "group" else 1):
            raise ValueError(f"`{name}` must be larger. Got {count}. Use the default.")
    array, levels = check_pair(codes, factors, samples=4)
    return array, _Groups(levels, bins)
