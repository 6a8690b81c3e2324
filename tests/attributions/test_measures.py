import pytest
import torch

from attributions import (
    agreement,
    completeness_error,
    counterfactual_figures,
    gini_index,
    hoyer,
    latent_share,
    latents_for_share,
    monotonicity,
    participation_ratio,
    prediction_kl,
)
from tests.reference import gini_loop, kl_loop, participation_ratio_loop


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


def test_counterfactual_figures_have_closed_forms():
    latents, changed = torch.zeros(2, 3), torch.tensor([[3.0, 4.0, 0.1], [0.0, 0.0, 0.0]])
    decoded = [torch.zeros(2, 1, 2, 2), torch.ones(2, 1, 2, 2)]
    outputs = [torch.tensor([[1.0, 0.0]] * 2), torch.tensor([[0.0, 1.0], [1.0, 0.0]])]
    figures = counterfactual_figures(latents, changed, decoded, outputs)
    assert figures.valid.tolist() == [True, False]
    assert figures.latent_distance[0].item() == pytest.approx(25.01**0.5)
    assert figures.input_distance.tolist() == [4.0, 4.0]
    assert figures.changed_latents.tolist() == [2, 0]
    normal = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(figures.log_prior, normal.log_prob(changed).sum(dim=1))
    wanted = counterfactual_figures(latents, changed, decoded, outputs, target=torch.tensor([0, 0]))
    assert wanted.valid.tolist() == [False, True]
