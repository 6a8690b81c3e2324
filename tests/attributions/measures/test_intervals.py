"""Intervals: as wide as statistics says, and where they hold what they claim to."""

import math

import pytest
import torch

from attributions.measures.intervals import (
    bootstrap_interval,
    estimate_of,
    interval_of,
    resampling_counts,
    share_interval,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = torch.randn(500, generator=seeded(), dtype=torch.float64).exp()
    low, high = bootstrap_interval(values, generator=seeded(1))
    half = 1.96 * float(values.std()) / 500**0.5
    assert (high - low) / 2 == pytest.approx(half, rel=0.12)
    assert low < values.mean() < high


def test_the_interval_of_a_ratio_is_that_of_the_delta_method():
    top, bottom = torch.rand(2, 400, generator=seeded(), dtype=torch.float64)
    bottom = 1 + bottom
    low, high = bootstrap_interval(
        torch.stack([top, bottom], dim=1), lambda m: m[..., 0] / m[..., 1], generator=seeded(1)
    )
    ratio = top.mean() / bottom.mean()
    spread = (top - ratio * bottom).std() / bottom.mean() / 400**0.5
    assert (high - low) / 2 == pytest.approx(1.96 * float(spread), rel=0.12)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    """200 samples of 60; by chance 172 to 196 of them at 95 %."""
    samples = torch.randn(200, 60, generator=seeded(3))
    held = 0
    for row in samples:
        low, high = bootstrap_interval(row, n_resamples=200, generator=seeded(4))
        held += low <= 0 <= high
    assert 165 <= held <= 198


def test_an_interval_is_centred_on_the_figure_where_resamples_are_biased():
    """The entropy of a resample is too low by about as much again as that of the sample."""
    levels = torch.randint(10, (60,), generator=seeded())
    rows = torch.nn.functional.one_hot(levels).double()

    def entropy(means):
        return -torch.xlogy(means, means).sum(dim=-1)

    low, high = bootstrap_interval(rows, entropy, generator=seeded(1))
    figure = float(entropy(rows.mean(dim=0)))
    assert low < figure < high


def test_an_interval_does_not_leave_the_values_that_were_seen():
    figures = torch.tensor([0.0] * 50 + [1.0] * 50)
    assert interval_of(figures, 0.9) == (0.4, 1.0)


def test_counts_have_mean_and_variance_one_and_do_not_depend_on_batches():
    counts = resampling_counts(400, 100, generator=seeded())
    assert counts.mean().item() == pytest.approx(1, abs=0.05)
    assert counts.var().item() == pytest.approx(1, abs=0.05)
    generator = seeded()
    parts = [resampling_counts(size, 100, generator=generator) for size in (1, 150, 249)]
    assert torch.equal(torch.cat(parts), counts)


def test_what_is_no_number_has_no_interval():
    assert interval_of(torch.full((9,), torch.nan), 0.5) is None
    assert interval_of(torch.tensor([torch.nan] * 6 + [1.0] * 4), 1.0) is None
    assert bootstrap_interval(torch.ones(1)) is None
    assert bootstrap_interval(torch.ones(5), lambda means: means[..., 0] * torch.nan) is None
    with pytest.raises(ValueError, match="`examples` must be at least 1. Got 0"):
        bootstrap_interval(torch.ones(0))


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (3, 10), (10, 10), (48, 60)])
def test_wilsons_ends_are_where_the_score_test_is_on_its_boundary(hits, count):
    share = hits / count
    for end in share_interval(share, count):
        deviation = math.sqrt(end * (1 - end) / count)
        if 1e-9 < end < 1 - 1e-9:
            assert abs(share - end) / deviation == pytest.approx(1.959964, rel=1e-4)


def test_a_share_of_none_may_be_anything_and_what_is_no_share_is_refused():
    assert share_interval(0.0, 0) == (0.0, 1.0)
    for share, count in ((1.1, 5), (float("nan"), 5), (0.5, -1)):
        with pytest.raises(ValueError, match="`share` must be from 0 to 1"):
            share_interval(share, count)


def test_an_estimate_is_the_figure_of_the_means_with_the_interval_of_the_bootstrap():
    rows = torch.rand(80, 2, generator=seeded()) + 1
    ratio = lambda means: means[..., 0] / means[..., 1]  # noqa: E731
    found = estimate_of(rows, ratio, generator=seeded(1))
    assert found.value == pytest.approx(
        float(rows[:, 0].double().mean() / rows[:, 1].double().mean())
    )
    assert found.interval == bootstrap_interval(rows, ratio, generator=seeded(1))
    assert estimate_of(rows[:1], ratio).interval is None
