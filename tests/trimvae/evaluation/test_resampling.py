"""Sums over a stream, and over resamples of it."""

import pytest
import torch

from trimvae.evaluation.resampling import Resampled


def of_parts(rows, sizes, seed=0):
    resampled = Resampled(seed)
    for part in rows.split(sizes):
        resampled.add({"value": part})
    return resampled


def mean(sums):
    return sums["value"] / sums["examples"]


def test_the_first_sum_is_that_of_the_examples_and_batches_do_not_matter():
    rows = torch.randn(50, dtype=torch.float64)
    whole, parts = of_parts(rows, [50]), of_parts(rows, [7, 40, 3])
    assert whole.sums["value"][0].item() == pytest.approx(rows.sum().item())
    assert whole.sums["examples"][0].item() == 50
    torch.testing.assert_close(whole.sums["value"], parts.sums["value"])
    assert whole.interval(mean) == pytest.approx(parts.interval(mean))


def test_the_interval_of_a_mean_is_as_wide_as_its_deviation_says():
    rows = torch.randn(400, generator=torch.Generator().manual_seed(0))
    low, high = of_parts(rows, [100] * 4).interval(mean)
    assert low < rows.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * float(rows.std()) / 20, rel=0.2)


def test_the_seed_decides_the_resamples():
    rows = torch.randn(50)
    one, same, other = (of_parts(rows, [50], seed).interval(mean) for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_a_single_example_has_no_interval_nor_has_what_is_no_number():
    assert of_parts(torch.ones(1), [1]).interval(mean) is None
    assert of_parts(torch.ones(5), [5]).interval(lambda sums: sums["value"] / 0) is None
