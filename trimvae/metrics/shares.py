"""InfoMEC: modularity, compactness and explicitness, all three in shares of information."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mutual_info_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trimvae.metrics.checks import Array, Seed, check_pair, levels_of
from trimvae.metrics.prediction import two_parts

# A latent whose range is below this share of the largest is not in use.
_LEAST_RANGE = 1 / 20


class InfoMEC(NamedTuple):
    """What `infomec` found; each from 0 to 1, more is better."""

    modularity: float
    """InfoM: whether a latent tells of one factor only. NaN where no latent tells of any, or there
    is a single factor."""
    compactness: float
    """InfoC: whether a factor is told by one latent only. NaN with fewer than two in use."""
    explicitness: float
    """InfoE: how much of the factors a linear reader gets from all latents, on held-out
    examples. Below 0 where it reads worse than a guess by frequency."""
    information: Array
    """`(latents, factors)`, mutual information over the factor's entropy."""
    active: Array
    """`(latents,)`, which are in use."""


def infomec(
    codes: Any,
    factors: Any,
    *,
    n_neighbors: int = 10,
    bins: int = 20,
    test_share: float = 1 / 3,
    seed: Seed = 0,
) -> InfoMEC:
    r"""Modularity, compactness and explicitness of a code.

    From the normalised information $N_{ij} = I(z_i; s_j) / H(s_j)$ of the $L$ latents in use and
    the $S$ factors,

    $$ \text{InfoM} = \frac{\operatorname{mean}_i (\max_j N_{ij} / \sum_j N_{ij}) - 1/S}{1 - 1/S}
    \qquad \text{InfoC} = \frac{\operatorname{mean}_j (\max_i N_{ij} / \sum_i N_{ij}) - 1/L}
    {1 - 1/L} $$

    and InfoE is the mean over factors of $(H_0 - H) / H_0$, the log losses of a guess by frequency
    and of a logistic reader. Information is estimated from the nearest neighbours of each
    example, without bins. A latent whose range is below a twentieth of the largest is not in use.

    The authors' code scores the reader on the examples that it was fitted to; here it is scored
    on others.

    References:
        Hsu, Dorrell, Whittington, Wu, Finn: Disentanglement via Latent Quantization, 2023,
        https://arxiv.org/abs/2305.18378; Ross: Mutual Information between Discrete and Continuous
        Data Sets, 2014, https://doi.org/10.1371/journal.pone.0087357 (the estimator)

    Args:
        codes: `(n, latent_size)` posterior means.
        factors: `(n, n_factors)`; whole numbers are levels, other values are cut into `bins`.
        n_neighbors: Neighbours of the estimator.
        bins: Equally filled levels of a continuous factor.
        test_share: Share of the examples on which the reader is scored.
        seed: Of the split, and of the noise that the estimator adds to break ties.

    Returns:
        The three figures, and what they are made of.

    Raises:
        ValueError: Shapes do not fit, values are not finite, a factor is constant, there are too
            few examples, or an option is out of range.

    Examples:
        >>> factors = np.random.default_rng(0).integers(0, 5, size=(600, 2))
        >>> codes = factors + 0.01 * np.random.default_rng(1).normal(size=(600, 2))
        >>> found = infomec(codes, factors)
        >>> bool(found.modularity > 0.9 and found.compactness > 0.9 and found.explicitness > 0.5)
        True
    """
    array, truth = check_pair(codes, factors, samples=max(20, n_neighbors + 2))
    if n_neighbors < 1:
        raise ValueError(f"`n_neighbors` must be at least 1. Got {n_neighbors}. Use 10.")
    levels = np.stack([levels_of(column, bins) for column in truth.T], axis=1)
    generator = np.random.default_rng(seed)
    parts = two_parts(len(array), test_share, generator)
    information = _information(array, levels, n_neighbors, generator)
    ranges = np.ptp(array, axis=0)
    active = ranges > _LEAST_RANGE * ranges.max()
    used = information[active]
    telling = used[used.sum(axis=1) > 0]
    return InfoMEC(
        modularity=_one_only(telling),
        compactness=_one_only(used.T[used.sum(axis=0) > 0]),
        explicitness=_explicitness(array, levels, parts),
        information=information,
        active=active,
    )


def _information(
    codes: Array, levels: Array, n_neighbors: int, generator: np.random.Generator
) -> Array:
    """Normalised information `(latents, factors)`."""
    scale = codes.std(axis=0)
    standard = (codes - codes.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    columns = []
    for level in levels.T:
        shared = mutual_info_classif(
            standard,
            level,
            discrete_features=False,
            n_neighbors=n_neighbors,
            random_state=int(generator.integers(2**31)),
        )
        columns.append(np.where(scale > 0, shared, 0.0) / mutual_info_score(level, level))
    return np.stack(columns, axis=1)


def _one_only(rows: Array) -> float:
    """Whether each row has its sum in one place: 0 where it is spread evenly, 1 where it is not."""
    count = rows.shape[1] if rows.size else 0
    if count < 2:
        return float("nan")
    share = float((rows.max(axis=1) / rows.sum(axis=1)).mean())
    return (share - 1 / count) / (1 - 1 / count)


def _explicitness(codes: Array, levels: Array, parts: tuple[Array, Array]) -> float:
    fitted, all_held_out = parts
    told = []
    for level in levels.T:
        # A level never seen cannot be read.
        held_out = all_held_out[np.isin(level[all_held_out], level[fitted])]
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=1e3, max_iter=500))
        reader.fit(codes[fitted], level[fitted])
        names, counts = np.unique(level[fitted], return_counts=True)
        guess = np.tile(counts / counts.sum(), (len(held_out), 1))
        blind = log_loss(level[held_out], guess, labels=names)
        read = log_loss(level[held_out], reader.predict_proba(codes[held_out]), labels=names)
        told.append((blind - read) / blind)
    return float(np.mean(told))
