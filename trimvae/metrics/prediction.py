"""Metrics that fit a model: DCI, SAP, explicitness."""

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from scipy.stats import rankdata
from sklearn import config_context
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from trimvae.metrics.checks import Array, Seed, check_pair, is_continuous, levels_of

Trees = Literal["random_forest", "gradient_boosting"]


class DCI(NamedTuple):
    """Disentanglement, completeness and informativeness, each from 0 to 1."""

    disentanglement: float
    """Whether each latent matters for one factor only."""
    completeness: float
    """Whether each factor needs one latent only."""
    informativeness: float
    """How well factors are predicted: accuracy on held-out examples, R² where continuous."""
    importance: Array
    """`(latent_size, n_factors)`, each column sums to 1."""


def dci(
    codes: Any,
    factors: Any,
    *,
    trees: Trees = "random_forest",
    test_share: float = 1 / 3,
    seed: Seed = 0,
) -> DCI:
    r"""Disentanglement, completeness and informativeness from the importances of trees.

    $$ D = \sum_j \rho_j \Big(1 + \sum_k P_{jk} \log_K P_{jk}\Big), \quad
    P_{jk} = \frac{R_{jk}}{\sum_k R_{jk}}, \quad \rho_j \propto \sum_k R_{jk} $$

    and completeness likewise over columns. The standard protocol boosts trees, one for each level
    of each factor in each round; random forests (10 trees) rank codes alike in a small part
    of the time.

    References:
        Eastwood, Williams: A Framework for the Quantitative Evaluation of Disentangled
        Representations, 2018, https://openreview.net/forum?id=By-7dz-AZ; the protocol: Locatello
        et al., 2019, https://arxiv.org/abs/1811.12359

    Args:
        codes: `(n, latent_size)`; the protocol takes 15,000.
        factors: `(n, n_factors)`; whole numbers are classes, others are regressed.
        trees: `"random_forest"`, or `"gradient_boosting"` for the protocol (minutes).
        test_share: Share of examples held out for informativeness.
        seed: Of the split and the trees.

    Returns:
        Three scores and the importances.

    Raises:
        ValueError: Shapes do not fit, values are not finite, a factor is constant, or an argument
            is out of range.

    Examples:
        >>> factors = np.random.default_rng(0).integers(0, 4, (600, 2))
        >>> scores = dci(factors, factors)
        >>> round(scores.disentanglement, 2), round(scores.completeness, 2)
        (1.0, 1.0)
    """
    if trees not in get_args(Trees):
        raise ValueError(
            f"`trees` must be one of {get_args(Trees)}. Got {trees!r}. Use 'random_forest'."
        )
    array, levels = check_pair(codes, factors, samples=10)
    generator = np.random.default_rng(seed)
    train, test = two_parts(len(array), test_share, generator)
    importances, scores = [], []
    for column in levels.T:
        model = _model(trees, is_continuous(column), int(generator.integers(2**31)))
        target = column if is_continuous(column) else levels_of(column)
        model.fit(array[train], target[train])
        importances.append(model.feature_importances_)
        scores.append(model.score(array[test], target[test]))
    importance = np.stack(importances, axis=1)
    return DCI(_one_sided(importance), _one_sided(importance.T), float(np.mean(scores)), importance)


def sap(
    codes: Any,
    factors: Any,
    *,
    test_share: float = 1 / 3,
    seed: Seed = 0,
) -> float:
    """Separated attribute predictability: how much better the best latent predicts a factor.

    For each factor the gap between the best and the second latent's score alone: accuracy of a
    linear support vector machine (C = .01, balanced classes) on held-out examples; squared
    correlation where the factor is continuous.

    References:
        Kumar et al.: Variational Inference of Disentangled Latent Concepts from Unlabeled
        Observations, 2018, https://arxiv.org/abs/1711.00848

    Args:
        codes: `(n, latent_size)`, at least 2 latents.
        factors: `(n, n_factors)`.
        test_share: Share of examples held out.
        seed: Of the split.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: Shapes do not fit, there is one latent, there are fewer than 10 examples, values
            are not finite, a factor is constant, or `test_share` is out of range.

    Examples:
        >>> generator = np.random.default_rng(0)
        >>> sources = generator.uniform(size=(500, 2))
        >>> sap(sources, sources) > 0.9
        True
    """
    array, levels = check_pair(codes, factors, latents=2, samples=10)
    train, test = two_parts(len(array), test_share, np.random.default_rng(seed))
    scores = np.zeros((array.shape[1], levels.shape[1]))
    fitted, held_out = (np.ascontiguousarray(array[rows].T)[:, :, None] for rows in (train, test))
    for k, column in enumerate(levels.T):
        if is_continuous(column):
            scores[:, k] = [_squared_correlation(code, column) for code in array.T]
            continue
        target, wanted = column[train], column[test]
        for j in range(len(scores)):
            machine = LinearSVC(C=0.01, class_weight="balanced", dual="auto", random_state=0)
            # Checked above, once for all machines.
            with config_context(assume_finite=True, skip_parameter_validation=True):
                machine.fit(fitted[j], target)
                scores[j, k] = (machine.predict(held_out[j]) == wanted).mean()
    ordered = np.sort(scores, axis=0)
    return float((ordered[-1] - ordered[-2]).mean())


def explicitness(
    codes: Any,
    factors: Any,
    *,
    bins: int = 20,
    test_share: float = 1 / 3,
    seed: Seed = 0,
) -> float:
    """How well a linear classifier reads factors from the whole code: (AUC - .5) / .5.

    Mean over factors and their levels of one-against-rest areas under the ROC curve of a
    logistic regression, on held-out examples. disentanglement_lib reports the area itself, .5 by
    chance; this is the authors' scale, 0 by chance.

    References:
        Ridgeway, Mozer: Learning Deep Disentangled Embeddings with the F-Statistic Loss, 2018,
        https://arxiv.org/abs/1802.05312

    Args:
        codes: `(n, latent_size)`.
        factors: `(n, n_factors)`; continuous ones are put into equally filled levels.
        bins: How many levels a continuous factor is put into.
        test_share: Share of examples held out.
        seed: Of the split.

    Returns:
        At most 1.

    Raises:
        ValueError: Shapes do not fit, there are fewer than 10 examples, values are not finite, a
            factor is constant, or `test_share` is out of range.

    Examples:
        >>> factors = np.random.default_rng(0).integers(0, 2, (600, 2))
        >>> explicitness(factors, factors)
        1.0
    """
    array, levels = check_pair(codes, factors, samples=10)
    train, test = two_parts(len(array), test_share, np.random.default_rng(seed))
    scaled = StandardScaler().fit(array[train]).transform(array)
    areas = []
    for column in levels.T:
        target = levels_of(column, bins)
        model = LogisticRegression(max_iter=1000).fit(scaled[train], target[train])
        # The area under an ROC curve is the share of pairs in the right order: a sum of ranks.
        ranks = rankdata(model.predict_proba(scaled[test]), axis=0)
        is_level = target[test][:, None] == model.classes_
        positives = is_level.sum(axis=0)
        pairs = positives * (len(test) - positives)
        ordered = (ranks * is_level).sum(axis=0) - positives * (positives + 1) / 2
        areas.append(np.mean(ordered[pairs > 0] / pairs[pairs > 0]))
    return float((np.mean(areas) - 0.5) / 0.5)


def two_parts(n: int, test_share: float, generator: np.random.Generator) -> tuple[Array, Array]:
    """Indices of `n` examples drawn to fit to, and of those held out.

    Raises:
        ValueError: One side would be empty.
    """
    held_out = round(test_share * n) if 0 < test_share < 1 else 0
    if not 0 < held_out < n:
        raise ValueError(
            f"`test_share` must leave examples on both sides. Got {test_share} of {n}. Use 1/3."
        )
    order = generator.permutation(n)
    return order[held_out:], order[:held_out]


def _model(trees: Trees, continuous: bool, seed: int) -> Any:
    if trees == "gradient_boosting":
        kind = GradientBoostingRegressor if continuous else GradientBoostingClassifier
        return kind(random_state=seed)
    kind = RandomForestRegressor if continuous else RandomForestClassifier
    return kind(n_estimators=10, max_features=None, min_samples_leaf=5, random_state=seed)


def _one_sided(importance: Array) -> float:
    """Mean over rows, weighted by importance, of 1 - normalised entropy."""
    total = importance.sum()
    if not total > 0:
        return 0.0
    # As in the protocol: a row without importance counts as even.
    shares = importance + 1e-11
    shares = shares / shares.sum(axis=1, keepdims=True)
    columns = importance.shape[1]
    entropy = -(shares * np.log(shares)).sum(axis=1) / np.log(columns) if columns > 1 else 0.0
    return float(((1 - entropy) * importance.sum(axis=1) / total).sum())


def _squared_correlation(left: Array, right: Array) -> float:
    if left.std() == 0:
        return 0.0
    return float(np.corrcoef(left, right)[0, 1] ** 2)
