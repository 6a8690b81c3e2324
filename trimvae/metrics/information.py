"""Metrics from the mutual information of latents and factors: MIG, AAM, modularity."""

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch

from trimvae.metrics.checks import Array, as_array, check_codes, check_pair, levels_of

Binning = Literal["equal_width", "quantile"]


class Information(NamedTuple):
    """What latents tell about factors, in nats."""

    matrix: Array
    """`(latent_size, n_factors)`, I(z_j; v_k)."""
    entropies: Array
    """`(n_factors,)`, H(v_k)."""


def mutual_information(
    codes: Any,
    factors: Any,
    *,
    bins: int = 20,
    binning: Binning = "equal_width",
    deviations: Any = None,
) -> Information:
    r"""Mutual information of every latent with every factor.

    Codes are posterior means by default, put into bins (the standard protocol). Equal widths lose
    everything to one outlier; quantiles do not. With `deviations`, latents are samples of
    their posteriors instead, as in the definition of MIG: then $q(z_j | v_k)$, the mean of the
    posteriors of all examples with level $v_k$, is integrated over a grid of 512 cells,
    which for a whole data set is exact but for the width of a cell.

    References:
        Locatello et al.: Challenging Common Assumptions, 2019, https://arxiv.org/abs/1811.12359
        (the protocol); Chen et al., 2018, https://arxiv.org/abs/1802.04942

    Args:
        codes: `(n, latent_size)` posterior means.
        factors: `(n, n_factors)`, whole numbers; other values are put into equally filled levels.
        bins: How many bins each latent is put into, and how many levels a continuous factor.
        binning: `"equal_width"`, or `"quantile"` for equally filled bins.
        deviations: `(n, latent_size)` posterior standard deviations, to take latents as samples of
            their posteriors; default: latents are the codes themselves.

    Returns:
        Matrix and entropies, in nats.

    Raises:
        ValueError: Shapes do not fit, values are not finite, a factor is constant, or `bins` or
            `binning` is out of range.

    Examples:
        >>> levels = torch.arange(4).repeat(25).view(-1, 1)
        >>> bool(np.allclose(mutual_information(levels, levels).matrix, np.log(4)))
        True
    """
    array, levels = check_pair(codes, factors)
    if bins < 2:
        raise ValueError(f"`bins` must be at least 2. Got {bins}. Use 20.")
    if binning not in get_args(Binning):
        raise ValueError(
            f"`binning` must be one of {get_args(Binning)}. Got {binning!r}. Use 'equal_width'."
        )
    columns = [levels_of(column, bins) for column in levels.T]
    counts = [np.bincount(column).astype(np.float64) for column in columns]
    entropies = np.array([_entropy(count) for count in counts])
    if deviations is None:
        digits = [_binned(code, bins, binning) for code in array.T]
        tables = [[_joint(digit, column) for column in columns] for digit in digits]
    else:
        spread = as_array(deviations).astype(np.float64)
        if spread.shape != array.shape or not (spread > 0).all():
            raise ValueError(
                f"`deviations` must be above 0 and of shape {array.shape}. Got {spread.shape}. "
                "Pass vae.encode(inputs).stddev."
            )
        tables = _posterior_tables(array, spread, columns)
    matrix = np.array(
        [
            [
                _entropy(table.sum(axis=0)) + _entropy(table.sum(axis=1)) - _entropy(table)
                for table in row
            ]
            for row in tables
        ]
    )
    return Information(matrix.clip(min=0), entropies)


def mig(
    codes: Any,
    factors: Any,
    *,
    bins: int = 20,
    binning: Binning = "equal_width",
    deviations: Any = None,
) -> float:
    r"""Mutual information gap: how much more the best latent tells than the second.

    $$ \tfrac{1}{K} \sum_k \frac{I(z_{(1)}; v_k) - I(z_{(2)}; v_k)}{H(v_k)} $$

    References:
        Chen et al.: Isolating Sources of Disentanglement in VAEs, 2018,
        https://arxiv.org/abs/1802.04942

    Args:
        codes: `(n, latent_size)`, at least 2 latents.
        factors: `(n, n_factors)`.
        bins: How many bins each latent is put into, and how many levels a continuous factor.
        binning: `"equal_width"`, or `"quantile"` for equally filled bins.
        deviations: `(n, latent_size)` posterior standard deviations, to take latents as samples of
            their posteriors; default: latents are the codes themselves.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: Shapes do not fit, there is one latent, values are not finite, a factor is
            constant, or `bins` or `binning` is out of range.

    Examples:
        >>> factors = torch.cartesian_prod(torch.arange(5), torch.arange(5))
        >>> round(mig(factors, factors), 6)
        1.0
    """
    check_codes(codes, at_least=2)
    matrix, entropies = mutual_information(
        codes, factors, bins=bins, binning=binning, deviations=deviations
    )
    ordered = np.sort(matrix, axis=0)
    return float(((ordered[-1] - ordered[-2]) / entropies).mean())


def aam(
    codes: Any,
    factors: Any,
    *,
    bins: int = 20,
    binning: Binning = "equal_width",
    deviations: Any = None,
) -> float:
    r"""Axis alignment: what the best latent tells beyond all others together.

    $$ \tfrac{1}{K} \sum_k \frac{\max(0, I(z_{(1)}; v_k) - \sum_{j > 1} I(z_{(j)}; v_k))}
    {I(z_{(1)}; v_k)} $$

    References:
        Dubois et al.: Disentangling VAE, 2019, https://github.com/YannDubs/disentangling-vae

    Args:
        codes: `(n, latent_size)`.
        factors: `(n, n_factors)`.
        bins: How many bins each latent is put into, and how many levels a continuous factor.
        binning: `"equal_width"`, or `"quantile"` for equally filled bins.
        deviations: `(n, latent_size)` posterior standard deviations, to take latents as samples of
            their posteriors; default: latents are the codes themselves.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: Shapes do not fit, values are not finite, a factor is constant, or `bins` or
            `binning` is out of range.

    Examples:
        >>> factors = torch.cartesian_prod(torch.arange(5), torch.arange(5))
        >>> round(aam(factors, factors), 6)
        1.0
    """
    matrix, _ = mutual_information(
        codes, factors, bins=bins, binning=binning, deviations=deviations
    )
    best = matrix.max(axis=0)
    gap = (2 * best - matrix.sum(axis=0)).clip(min=0)
    return float(np.divide(gap, best, out=np.zeros_like(gap), where=best > 0).mean())


def modularity(
    codes: Any,
    factors: Any,
    *,
    bins: int = 20,
    binning: Binning = "equal_width",
    deviations: Any = None,
) -> float:
    r"""How far each latent tells about one factor alone.

    $$ \tfrac{1}{J} \sum_j \Big(1 - \frac{\sum_{k \ne k^*} I(z_j; v_k)^2}
    {(K - 1)\, I(z_j; v_{k^*})^2}\Big), \qquad k^* = \arg\max_k I(z_j; v_k) $$

    A latent that tells nothing counts 0.

    References:
        Ridgeway, Mozer: Learning Deep Disentangled Embeddings with the F-Statistic Loss, 2018,
        https://arxiv.org/abs/1802.05312

    Args:
        codes: `(n, latent_size)`.
        factors: `(n, n_factors)`, at least 2.
        bins: How many bins each latent is put into, and how many levels a continuous factor.
        binning: `"equal_width"`, or `"quantile"` for equally filled bins.
        deviations: `(n, latent_size)` posterior standard deviations, to take latents as samples of
            their posteriors; default: latents are the codes themselves.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: Shapes do not fit, there is one factor, values are not finite, a factor is
            constant, or `bins` or `binning` is out of range.

    Examples:
        >>> factors = torch.cartesian_prod(torch.arange(5), torch.arange(5))
        >>> round(modularity(factors, factors), 6)
        1.0
    """
    squared = (
        mutual_information(codes, factors, bins=bins, binning=binning, deviations=deviations).matrix
        ** 2
    )
    n_factors = squared.shape[1]
    if n_factors < 2:
        raise ValueError(
            "`factors` must have at least 2 columns. Got 1. Modularity compares factors."
        )
    best = squared.max(axis=1)
    others = (squared.sum(axis=1) - best) / (n_factors - 1)
    ratio = np.divide(others, best, out=np.ones_like(best), where=best > 0)
    return float((1 - ratio).mean())


def _entropy(counts: Array) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _binned(code: Array, bins: int, binning: Binning) -> Array:
    if binning == "equal_width":
        edges = np.histogram_bin_edges(code, bins)[1:-1]
    else:
        edges = np.quantile(code, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, code, side="right")


def _joint(left: Array, right: Array) -> Array:
    width = int(right.max()) + 1
    table = np.bincount(left * width + right, minlength=(int(left.max()) + 1) * width)
    return table.reshape(-1, width).astype(np.float64)


def _posterior_tables(
    means: Array, deviations: Array, columns: list[Array], cells: int = 512, rows: int = 8192
) -> list[list[Array]]:
    """For every latent and factor `(cells, levels)`: how much posterior falls where."""
    sizes = [int(column.max()) + 1 for column in columns]
    offsets = np.cumsum([0, *sizes[:-1]])
    one_hot_rows = torch.from_numpy(np.stack(columns, axis=1) + offsets)
    tables = []
    for mean, deviation in zip(means.T, deviations.T, strict=True):
        low, high = (mean - 5 * deviation).min(), (mean + 5 * deviation).max()
        edges = torch.linspace(float(low), float(high), cells + 1)
        total = torch.zeros(sum(sizes), cells, dtype=torch.float64)
        for start in range(0, len(mean), rows):
            chunk = slice(start, start + rows)
            centre, spread = (torch.from_numpy(v[chunk]).float() for v in (mean, deviation))
            scaled = (edges - centre[:, None]) / (spread[:, None] * 2**0.5)
            mass = 0.5 * torch.erf(scaled).diff(dim=1)
            hot = torch.zeros(len(mass), sum(sizes)).scatter_(1, one_hot_rows[chunk], 1.0)
            total += (hot.T @ mass).double()
        tables.append([part.T.numpy() for part in torch.split(total, sizes)])
    return tables
