import pytest
import torch

from attributions.measures.simplicity import (
    gini_index,
    hoyer,
    latents_for_share,
    monotonicity,
    participation_ratio,
)
from tests.reference import gini_loop, participation_ratio_loop


def test_participation_ratio_is_that_of_the_loop_at_any_scale():
    rows = torch.randn(6, 5, dtype=torch.float64)
    expected = torch.tensor([participation_ratio_loop(row) for row in rows.tolist()]).double()
    for scale in (1.0, 1e-200, 1e200):
        torch.testing.assert_close(participation_ratio(rows * scale), expected)


def test_participation_ratio_of_nothing_is_undefined():
    assert participation_ratio(torch.zeros(3)).isnan()


def test_latents_for_share_counts_from_the_largest():
    attributions = torch.tensor([[0.6, -0.3, 0.1], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert latents_for_share(attributions, 0.9).tolist() == [2, 1, 0]
    assert latents_for_share(torch.ones(10), 0.9).item() == 9
    with pytest.raises(ValueError, match="`share` must be above 0"):
        latents_for_share(attributions, 0.0)


def test_monotonicity_weighs_latents_by_their_movement():
    attributions = torch.tensor([[3.0, 0.0]])
    total_variation = torch.tensor([[3.0, 1.0]])
    assert monotonicity(attributions, total_variation).item() == pytest.approx(0.75)


def test_gini_index_is_half_the_relative_mean_difference():
    rows = torch.randn(6, 5, dtype=torch.float64)
    expected = torch.tensor([gini_loop(row) for row in rows.abs().tolist()]).double()
    torch.testing.assert_close(gini_index(rows), expected)
    assert gini_index(torch.zeros(3)).isnan()


def test_hoyer_is_one_for_one_latent_and_zero_for_all_alike():
    scores = hoyer(torch.tensor([[0.0, 2.0, 0.0, 0.0], [1.0, -1.0, 1.0, 1.0]]))
    assert scores.tolist() == [1.0, 0.0]
    assert hoyer(torch.zeros(3)).isnan()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.75, 0.9, 1.0])
def test_latents_for_share_is_the_first_count_that_carries_it(share):
    rows = torch.randn(20, 7, dtype=torch.float64)
    found = latents_for_share(rows, share)
    size = rows.abs().sort(dim=1, descending=True).values
    for row, count in zip(size, found.tolist(), strict=True):
        total = row.sum()
        assert row[:count].sum() >= share * total * (1 - 1e-5)
        assert row[: count - 1].sum() < share * total
    assert latents_for_share(torch.tensor([4.0, 3.0, 2.0, 1.0]), 0.7).item() == 2  # exactly


def test_shares_above_one_are_refused():
    with pytest.raises(ValueError, match="`share` must be above 0 and at most 1. Got 1.1"):
        latents_for_share(torch.ones(3), 1.1)


def test_monotonicity_sums_before_it_divides_and_ignores_signs():
    attributions = torch.tensor([[3.0, -1.0], [0.0, 0.0]])
    total_variation = torch.tensor([[3.0, 1.0], [4.0, 0.0]])
    assert monotonicity(attributions, total_variation).item() == pytest.approx(0.5)


def test_sparsity_measures_read_absolute_attributions():
    rows = torch.randn(6, 5)
    for measure in (participation_ratio, gini_index, hoyer, latents_for_share):
        torch.testing.assert_close(measure(rows), measure(-rows))
        torch.testing.assert_close(measure(rows), measure(rows.flip(1)))


def test_hoyer_has_a_closed_form():
    assert hoyer(torch.tensor([3.0, 4.0])).item() == pytest.approx((2**0.5 - 7 / 5) / (2**0.5 - 1))
