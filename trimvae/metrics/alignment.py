"""Codes against sources or against other codes: MCC, active units, UDR."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from trimvae.metrics.checks import Array, check_codes, check_pair

Correlation = Literal["pearson", "spearman"]


def mcc(codes: Any, sources: Any, *, correlation: Correlation = "pearson") -> float:
    """Mean correlation coefficient of sources with the latents that match them best, one to one.

    Absolute correlations; the matching is the best over all (Hungarian method). A source without
    a latent of its own, if there are fewer latents, counts 0.

    References:
        Hyvärinen, Morioka: Unsupervised Feature Extraction by Time-Contrastive Learning, 2016,
        https://arxiv.org/abs/1605.06336; Khemakhem et al., 2020, https://arxiv.org/abs/1907.04809

    Args:
        codes: `(n, latent_size)`.
        sources: `(n, n_sources)` true sources or factors.
        correlation: `"pearson"`, or `"spearman"` for latents that are monotonic in a source.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: Shapes do not fit, values are not finite, a source is constant or `correlation`
            is unknown.

    Examples:
        >>> sources = np.random.default_rng(0).normal(size=(100, 3))
        >>> round(mcc(-2 * sources[:, [2, 0, 1]], sources), 6)
        1.0
    """
    array, truth = check_pair(codes, sources, samples=3)
    matrix = _correlations(array, truth.astype(np.float64), correlation)
    rows, columns = linear_sum_assignment(-matrix)
    return float(matrix[rows, columns].sum() / truth.shape[1])


def active_units(codes: Any, *, threshold: float = 0.01) -> int:
    """How many latents the encoder uses: those whose posterior means vary over the data.

    References:
        Burda et al.: Importance Weighted Autoencoders, 2016, https://arxiv.org/abs/1509.00519

    Args:
        codes: `(n, latent_size)` posterior means.
        threshold: Least variance.

    Returns:
        A number of latents.

    Raises:
        ValueError: `codes` are not `(n, latent_size)` or not finite.

    Examples:
        >>> active_units(np.array([[0.0, 1.0], [0.0, -1.0]]))
        1
    """
    return int((check_codes(codes).var(axis=0) > threshold).sum())


def udr(
    codes: Sequence[Any],
    kls: Sequence[Any],
    *,
    correlation: Correlation = "spearman",
    threshold: float = 0.01,
) -> Array:
    r"""Unsupervised disentanglement ranking: do models of other seeds find the same latents?

    For each pair of models, from the correlations $R$ of their informative latents,

    $$ \frac{1}{d_a + d_b} \Big[ \sum_b \frac{\max_a R_{ab}^2}{\sum_a R_{ab}} +
    \sum_a \frac{\max_b R_{ab}^2}{\sum_b R_{ab}} \Big] $$

    and for each model the median over all others. No factors are needed.

    References:
        Duan et al.: Unsupervised Model Selection for Variational Disentangled Representation
        Learning, 2020, https://arxiv.org/abs/1905.12614

    Args:
        codes: For every model `(n, latent_size)` posterior means of the same examples.
        kls: For every model `(latent_size,)`, mean KL of each latent in nats.
        correlation: `"spearman"`, as in the paper, or `"pearson"`.
        threshold: Least KL of an informative latent.

    Returns:
        One score per model, from 0 to 1; 0 for a model without informative latents.

    Raises:
        ValueError: There are fewer than 2 models, or their shapes do not fit.

    Examples:
        >>> codes = np.random.default_rng(0).normal(size=(500, 3))
        >>> scores = udr([codes, -codes[:, ::-1]], [np.ones(3), np.ones(3)])
        >>> bool((scores > 0.85).all())
        True
    """
    if len(codes) < 2 or len(kls) != len(codes):
        raise ValueError(
            "`codes` and `kls` must be of 2 models or more, one entry each. Got "
            f"{len(codes)} and {len(kls)}. Train other seeds."
        )
    arrays = [check_codes(code) for code in codes]
    informative = []
    for array, kl in zip(arrays, kls, strict=True):
        values = np.asarray(kl, dtype=np.float64)
        if len(array) != len(arrays[0]) or values.shape != (array.shape[1],):
            raise ValueError(
                "`codes` must be of the same examples and `kls` of their latents. Got "
                f"{array.shape} and {values.shape}. Encode the same inputs with every model."
            )
        informative.append(array[:, (values > threshold) & (array.std(axis=0) > 0)])
    scores = np.full((len(arrays), len(arrays)), np.nan)
    for one in range(len(arrays)):
        for other in range(one):
            scores[one, other] = scores[other, one] = _similarity(
                informative[one], informative[other], correlation
            )
    medians: Array = np.nanmedian(scores, axis=1)
    return medians


def _similarity(left: Array, right: Array, correlation: Correlation) -> float:
    if not left.shape[1] or not right.shape[1]:
        return 0.0
    matrix = _correlations(left, right, correlation)
    total = sum(
        (matrix.max(axis=axis) ** 2 / matrix.sum(axis=axis).clip(min=1e-12)).sum()
        for axis in (0, 1)
    )
    return float(total / sum(matrix.shape))


def _correlations(left: Array, right: Array, correlation: Correlation) -> Array:
    """Absolute correlations `(left columns, right columns)`; 0 with a constant."""
    if correlation not in get_args(Correlation):
        raise ValueError(
            f"`correlation` must be one of {get_args(Correlation)}. Got {correlation!r}. "
            "Use 'pearson'."
        )
    if correlation == "spearman":
        left, right = rankdata(left, axis=0), rankdata(right, axis=0)
    left, right = _standardised(left), _standardised(right)
    correlations: Array = np.abs(left.T @ right / len(left))
    return correlations


def _standardised(values: Array) -> Array:
    deviation = values.std(axis=0)
    scaled: Array = (values - values.mean(axis=0)) / np.where(deviation > 0, deviation, np.inf)
    return scaled
