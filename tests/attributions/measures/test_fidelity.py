import pytest
import torch

from attributions.measures.fidelity import (
    agreement,
    completeness_by_class,
    completeness_error,
    latent_share,
    prediction_kl,
)
from tests.reference import kl_loop


def test_completeness_error_is_relative_to_the_change():
    attributions = torch.tensor([[1.0, 1.0], [2.0, 2.0]])
    error = completeness_error(attributions, torch.tensor([2.0, 5.0]))
    assert error.item() == pytest.approx(1 / 7)
    assert completeness_error(torch.zeros(2, 3), torch.zeros(2)) == 0


def test_agreement_counts_winners_and_signs():
    outputs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    assert agreement(outputs, outputs[[0, 1, 0, 1]]).item() == pytest.approx(0.5)
    logits = torch.tensor([[1.0], [-1.0]])
    assert agreement(logits, torch.tensor([[0.1], [5.0]])).item() == pytest.approx(0.5)


def test_agreement_of_a_regression_is_r_squared():
    outputs = torch.randn(50, 1)
    assert agreement(outputs, outputs, regression=True).item() == 1
    mean = outputs.mean().expand_as(outputs)
    assert agreement(outputs, mean, regression=True).item() == pytest.approx(0, abs=1e-6)


def test_prediction_kl_is_that_of_the_loop():
    left, right = torch.randn(2, 3, 4, dtype=torch.float64)
    expected = sum(kl_loop(a, b) for a, b in zip(left.tolist(), right.tolist(), strict=True)) / 3
    assert prediction_kl(left, right).item() == pytest.approx(expected)


def test_prediction_kl_of_one_logit_is_that_of_two_classes():
    left, right = torch.randn(2, 5, 1, dtype=torch.float64)
    pairs = [torch.cat([torch.zeros_like(side), side], dim=1) for side in (left, right)]
    torch.testing.assert_close(prediction_kl(left, right), prediction_kl(*pairs))


def test_latent_share_adds_up_with_the_residuals():
    share = latent_share(torch.tensor([5.0]), torch.tensor([4.0]), torch.tensor([1.0]))
    assert share.item() == pytest.approx(0.75)
    assert latent_share(*[torch.zeros(1)] * 3).item() == 0


def test_completeness_is_summed_over_latents_and_averaged_before_it_is_divided():
    attributions = torch.tensor([[1.0, -1.0], [4.0, 1.0]])
    change = torch.tensor([0.5, 4.0])
    assert completeness_error(attributions, change).item() == pytest.approx(1.5 / 4.5)


def test_prediction_kl_is_that_of_the_inputs_from_the_reconstructions():
    sure, unsure = torch.tensor([[5.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    assert prediction_kl(sure, unsure) < prediction_kl(unsure, sure)
    assert prediction_kl(sure, sure).item() == pytest.approx(0, abs=1e-7)


def test_r_squared_falls_below_zero_for_what_is_worse_than_the_mean():
    outputs = torch.tensor([[1.0], [2.0], [3.0]])
    assert agreement(outputs, outputs.flip(0), regression=True).item() == pytest.approx(-3)


def test_latent_share_is_all_where_the_reconstruction_says_the_same():
    baseline, reencoded = torch.tensor([1.0, 1.0]), torch.tensor([4.0, 1.0])
    output = torch.tensor([4.0, 3.0])
    assert latent_share(output, reencoded, baseline).tolist() == [1.0, 0.0]


def test_each_class_is_measured_by_its_own_change_or_half_of_the_largest():
    attributions = torch.randn(6, 4, 3).double()
    change = torch.randn(6, 4).double()
    expected = []
    for index in range(4):
        missed = (attributions[:, index].sum(dim=1) - change[:, index]).abs().sum()
        least = sum(max(abs(row[index]), abs(row).max() / 2) for row in change)
        expected.append(missed / least)
    found = completeness_by_class(attributions, change)
    torch.testing.assert_close(found, torch.stack(expected))


def test_an_error_of_one_class_is_seen_that_is_small_beside_the_sum_of_many():
    change = torch.ones(5, 100).double()
    attributions = change.unsqueeze(2).clone()
    attributions[:, 0] *= 1.3
    assert completeness_error(attributions, change) == pytest.approx(0.003)
    assert completeness_by_class(attributions, change).max() == pytest.approx(0.3)
    assert completeness_by_class(change.unsqueeze(2), change).max() == 0
    assert completeness_by_class(torch.zeros(2, 3, 1), torch.zeros(2, 3)).max() == 0
