"""How sure is a figure? 95 % intervals by the bootstrap, and of shares in closed form."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.checks import check_counts

# Of a normal distribution: 95 % lie between these deviations, on either side.
DEVIATIONS = 1.959964

N_RESAMPLES = 500


class Interval(NamedTuple):
    """From where to where a figure may be, at 95 %."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A figure of some examples, and from where to where it may be."""

    value: float
    interval: Interval | None
    """95 %; None of a single example, or where the figure is no number."""


def resampling_counts(
    examples: int,
    n_resamples: int = N_RESAMPLES,
    *,
    generator: torch.Generator | None = None,
    like: Tensor | None = None,
) -> Tensor:
    """How often each example counts in each resample: Poisson's law with mean 1.

    Drawing as many examples with replacement gives counts that are nearly these, but needs to know
    how many examples will come. These are drawn example by example, so that a stream can be
    resampled while it passes, whatever its batches.

    References:
        Oza, Russell: Online Bagging and Boosting, 2001; Chamandy, Muralidharan, Najmi, Naidu:
        Estimating Uncertainty for Massive Data Streams, 2012,
        https://research.google/pubs/pub43157/

    Args:
        examples: How many there are.
        n_resamples: How many resamples.
        generator: Source of randomness, on the CPU; default: torch's global one.
        like: Whose device the counts have; default: the CPU.

    Returns:
        `(examples, n_resamples)`, in double precision.

    Raises:
        ValueError: There is no example, or no resample.

    Examples:
        >>> counts = resampling_counts(1000, 50)
        >>> bool((counts.sum(dim=0) / 1000 - 1).abs().max() < 0.2)
        True
    """
    check_counts(examples=examples, n_resamples=n_resamples)
    means = torch.ones((examples, n_resamples), dtype=torch.float64, device="cpu")
    counts = torch.poisson(means, generator=generator)
    return counts if like is None else counts.to(like.device)


def interval_of(figures: Tensor, figure: float | Tensor) -> Interval | None:
    """Read the 95 % interval of a figure from its values in resamples.

    Quantiles of the values, moved so that their mean is the figure, and not beyond the least and
    the largest of them: a resample repeats examples, so that entropies and the like are too low
    there, or too high, by as much again as in the sample.

    Args:
        figures: `(n_resamples,)`; NaN where a resample has nothing to say.
        figure: Of the sample.

    Returns:
        The interval; None where fewer than half of the resamples say anything.

    Examples:
        >>> interval_of(torch.arange(101.0), 50.0)
        Interval(low=2.5, high=97.5)
    """
    kept = figures[figures.isfinite()].double()
    if 2 * len(kept) < len(figures) or not len(kept):
        return None
    moved = kept - kept.mean() + float(figure)
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64, device=kept.device)
    least, most = min(float(kept.min()), float(figure)), max(float(kept.max()), float(figure))
    low, high = moved.quantile(ends).clamp(least, most).tolist()
    return Interval(low, high)


def bootstrap_interval(
    values: Tensor,
    statistic: Callable[[Tensor], Tensor] | None = None,
    *,
    n_resamples: int = N_RESAMPLES,
    generator: torch.Generator | None = None,
) -> Interval | None:
    r"""95 % interval, by the bootstrap over examples, of a figure that depends on their means.

    Args:
        values: `(examples,)`, or `(examples, columns)` of which the figure needs the means.
        statistic: From means `(..., columns)` to the figure `(...)`, such as a ratio of two of
            them; default: the mean itself.
        n_resamples: How many resamples.
        generator: Source of randomness, on the CPU; default: torch's global one.

    Returns:
        The interval; None of fewer than two examples, or where the figure is no number.

    Raises:
        ValueError: There is no example, or no resample.

    Examples:
        >>> values = torch.randn(400, generator=torch.Generator().manual_seed(0))
        >>> low, high = bootstrap_interval(values, generator=torch.Generator().manual_seed(1))
        >>> half = 1.96 * float(values.std()) / 20
        >>> abs((high - low) / 2 - half) < 0.2 * half
        True
    """
    rows = values.detach().double().flatten(1) if values.ndim > 1 else values.detach().double()
    rows = rows if rows.ndim > 1 else rows.unsqueeze(1)
    counts = resampling_counts(len(rows), n_resamples, generator=generator, like=rows)
    if len(rows) < 2:
        return None

    def figure(means: Tensor) -> Tensor:
        return means[..., 0] if statistic is None else statistic(means)

    resampled = figure((counts.T @ rows) / counts.sum(dim=0).unsqueeze(1))
    return interval_of(resampled, figure(rows.mean(dim=0)))


def estimate_of(
    values: Tensor,
    statistic: Callable[[Tensor], Tensor],
    *,
    generator: torch.Generator | None = None,
) -> Estimate:
    """Return a figure that depends on the means of some columns, with its bootstrap interval.

    Args:
        values: `(examples, columns)`.
        statistic: From means `(..., columns)` to the figure `(...)`.
        generator: Source of randomness, on the CPU; default: torch's global one.

    Raises:
        ValueError: There is no example.

    Examples:
        >>> rows = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
        >>> estimate_of(rows, lambda means: means[..., 0] / means[..., 1]).value
        0.5
    """
    interval = bootstrap_interval(values, statistic, generator=generator)
    return Estimate(float(statistic(values.detach().double().mean(dim=0))), interval)


def share_interval(share: float, count: int) -> Interval:
    r"""Wilson's 95 % interval of a share of so many examples; of none, from 0 to 1.

    With $z = 1.96$ and $n$ examples

    $$ \frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4 n^2}}{1 + z^2 / n} $$

    A bootstrap of examples that all agree says that the share is 1, for sure; this says from where
    it may be: 20 of 20 from .84.

    References:
        Wilson: Probable Inference, the Law of Succession, and Statistical Inference, 1927,
        https://doi.org/10.1080/01621459.1927.10502953

    Args:
        share: In [0, 1].
        count: Of how many.

    Returns:
        The interval.

    Raises:
        ValueError: `share` is none, or `count` is negative.

    Examples:
        >>> [round(end, 2) for end in share_interval(1.0, 20)]
        [0.84, 1.0]
    """
    if not 0 <= share <= 1 or count < 0:
        raise ValueError(
            f"`share` must be from 0 to 1 and `count` at least 0. Got {share} of {count}. Pass a "
            "mean of zeros and ones, and how many they are."
        )
    if count == 0:
        return Interval(0.0, 1.0)
    square = DEVIATIONS**2 / count
    spread = (share * (1 - share) * square + square**2 / 4) ** 0.5
    low, high = ((share + square / 2 + side * spread) / (1 + square) for side in (-1, 1))
    return Interval(max(low, 0.0), min(high, 1.0))
