import math

import pytest
import torch
from torch import nn

from attributions import (
    attfind,
    curve_area,
    curve_score,
    deletion,
    information_flow,
    mutual_information,
    rank_correlation,
    reinitialised,
    stability,
    sufficiency,
    traversal_monotonicity,
)
from attributions.attfind import attfind_effects
from tests.cases import convolutional_predictor
from tests.reference import mutual_information_loop

WEIGHT = torch.tensor([[3.0, 2.0, 1.0, 0.0]])


def linear(z):
    return z @ WEIGHT.T


def test_deletion_of_a_linear_model_has_a_closed_form():
    latents, target = torch.ones(2, 4), torch.zeros(2, dtype=torch.long)
    curves = deletion(linear, latents, latents * WEIGHT, target, n_random=200)
    assert curves.curve.tolist() == [[6.0, 3.0, 1.0, 0.0, 0.0]] * 2
    assert torch.equal(curves.oracle, curves.curve)
    straight = torch.linspace(6, 0, 5)
    torch.testing.assert_close(curves.random.mean(dim=0), straight, atol=0.3, rtol=0)
    assert curve_score(curves).item() == pytest.approx(1)
    worst = deletion(linear, latents, -latents * WEIGHT, target, n_random=200)
    assert curve_score(worst).item() == pytest.approx(-1, abs=0.2)


def test_insertion_is_deletion_backwards():
    latents, target = torch.ones(1, 4), torch.zeros(1, dtype=torch.long)
    curves = deletion(linear, latents, latents * WEIGHT, target, insertion=True)
    assert curves.curve.tolist() == [[0.0, 3.0, 5.0, 6.0, 6.0]]
    assert curve_area(curves.curve).item() == pytest.approx((3 + 5 + 6 + 3) / 4)
    assert curve_score(curves).item() == pytest.approx(1)


def test_no_order_beats_the_oracle_on_a_linear_model_with_both_signs():
    weight = torch.randn(3, 6)

    def function(z):
        return z @ weight.T

    latents, target = torch.randn(40, 6), torch.randint(3, (40,))
    oracle = deletion(function, latents, torch.randn(40, 6), target).oracle
    scores = latents * weight[target]
    exact = deletion(function, latents, scores, target).curve
    torch.testing.assert_close(oracle, exact, atol=1e-5, rtol=1e-5)
    by_size = deletion(function, latents, scores, target, by_size=True)
    assert (curve_area(by_size.curve) >= curve_area(oracle) - 1e-5).all()


def test_sufficiency_moves_the_best_latents_only():
    def margin(z):  # decided by z0 alone
        return torch.stack([z[:, 0], -z[:, 0]], dim=1)

    latents = torch.tensor([[1.0, 5.0], [-2.0, 0.0]])
    low, high = torch.full((2,), -3.0), torch.full((2,), 3.0)
    found = sufficiency(margin, latents, torch.tensor([[1.0, 0.0]] * 2), low, high, k=2, steps=13)
    assert found.flipped.all()
    # Grid of step 0.5: a tie is no longer the decision, and 0 is on the grid.
    assert found.distance.tolist() == [1.0, 2.0]
    useless = sufficiency(margin, latents, torch.tensor([[0.0, 1.0]] * 2), low, high, k=1)
    assert not useless.flipped.any()
    assert useless.rate.tolist() == [0.0]
    assert useless.distance.isinf().all()


def test_sufficiency_of_a_binary_logit_crosses_zero():
    found = sufficiency(
        lambda z: z[:, :1],
        torch.tensor([[-1.0, 0.0]]),
        torch.tensor([[1.0, 0.0]]),
        torch.tensor([-2.0, 0.0]),
        torch.tensor([2.0, 0.0]),
        k=1,
        steps=5,
    )
    assert found.distance.item() == 1.0


def test_attfind_names_latent_and_direction():
    weight = torch.tensor([[0.0, -4.0, 0.0], [1.0, 4.0, 0.0]])
    latents = torch.zeros(6, 3)
    latents[:, 1] = -0.25
    low, high = torch.full((3,), -1.0), torch.full((3,), 1.0)
    found = attfind(lambda z: z @ weight.T, latents, low, high, 1, k=2, explained_by=100.0)
    assert [(item.latent, item.direction) for item in found] == [(1, 1), (0, 1)]
    assert found[0].effect == pytest.approx(5.0)
    assert found[0].flipped == 1.0
    stopped = attfind(lambda z: z @ weight.T, latents, low, high, 1, k=2)
    assert len(stopped) == 1  # every image has moved by 1.0
    assert attfind(lambda z: z @ weight.T, latents, low, high, 0) == []
    effects = attfind_effects(lambda z: z @ weight.T, latents, low, high)
    assert effects.shape == (6, 2, 3, 2)
    assert effects[0, 0, 0].tolist() == [0.0, -1.0]
    with pytest.raises(ValueError, match="`target` must be a class from 0 to 1. Got 2"):
        attfind(lambda z: z @ weight.T, latents, low, high, 2)


def test_attfind_of_a_binary_logit_knows_both_classes():
    low, high = torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0])
    latents = torch.full((3, 2), 0.5)
    (found,) = attfind(lambda z: 2 * z[:, :1], latents, low, high, 0, k=1)
    assert (found.latent, found.direction, found.effect) == (0, 0, 3.0)


def test_traversal_monotonicity_weighs_images_by_what_moves():
    def function(z):
        return (z[:, 0].pow(3) + torch.cos(torch.pi * z[:, 1]))[:, None]

    target = torch.zeros(3, dtype=torch.long)
    ends = torch.full((3,), -1.0), torch.full((3,), 1.0)
    scores = traversal_monotonicity(function, torch.randn(3, 3), target, *ends)
    assert scores[0].item() == pytest.approx(1)
    assert scores[1].item() == pytest.approx(0, abs=0.1)
    assert scores[2].isnan()


def test_mutual_information_is_that_of_the_loop():
    probabilities = torch.rand(7, 5, 4, dtype=torch.float64).softmax(dim=2)
    probabilities[0, :, 0] = 0
    expected = mutual_information_loop(probabilities.tolist())
    assert mutual_information(probabilities).item() == pytest.approx(expected)


def test_information_flow_of_a_decision_by_one_latent_is_ln_two():
    generator = torch.Generator().manual_seed(0)

    def sign_of_first(z):
        return 100 * z[:, :1]

    flow = information_flow(sign_of_first, 4, [0], n_alpha=4000, n_beta=4, generator=generator)
    assert flow.information.item() == pytest.approx(math.log(2), abs=0.02)
    assert flow.control.item() < 0.2  # n_beta = 4 leaves a large bias
    idle = information_flow(sign_of_first, 4, [1, 2], n_alpha=500, n_beta=50, generator=generator)
    torch.testing.assert_close(idle.information, idle.control, atol=0.003, rtol=0)
    torch.testing.assert_close(idle.control, idle.bias, atol=0.003, rtol=0)


def test_information_flow_is_causal_not_correlational():
    """A prior of two equal columns: the second copies the first, and moves nothing."""
    column = torch.randn(1000, 1)
    flow = information_flow(
        lambda z: 100 * z[:, :1], 2, [1], n_beta=100, prior=torch.cat([column, column], dim=1)
    )
    assert flow.information < 0.03
    with pytest.raises(ValueError, match="`chosen` must name latents from 0 to 1"):
        information_flow(lambda z: z, 2, [])


def test_rank_correlation_is_scipys_also_with_ties():
    from scipy.stats import spearmanr

    left, right = torch.randn(8, dtype=torch.float64), torch.randint(3, (8,)).double()
    expected = spearmanr(left.numpy(), right.numpy()).statistic
    assert rank_correlation(left, right).item() == pytest.approx(expected)
    assert rank_correlation(left, torch.ones(8)).isnan()


def test_a_reinitialised_predictor_forgets_and_leaves_the_original_alone():
    predictor = convolutional_predictor().eval()
    state = {name: value.clone() for name, value in predictor.state_dict().items()}
    rng = torch.get_rng_state()
    twin = reinitialised(predictor, seed=1)
    assert torch.equal(rng, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in predictor.state_dict().items())
    assert not torch.equal(twin[0].weight, predictor[0].weight)
    assert not twin.training
    torch.testing.assert_close(twin[0].weight, reinitialised(predictor, seed=1)[0].weight)

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with pytest.raises(ValueError, match=r"none resets: \['scale'\]"):
        reinitialised(Own())


def test_stability_matches_permuted_and_flipped_latents():
    latents, scores = torch.randn(100, 4), torch.randn(100, 4) * torch.tensor([1.0, 2, 3, 4])
    order = torch.tensor([2, 0, 3, 1])
    found = stability([latents, -latents[:, order]], [scores, scores[:, order]])
    assert torch.equal(order[found.matching], torch.arange(4))
    assert found.correlation.item() == pytest.approx(1)
    assert found.rank_correlation.item() == pytest.approx(1)
    with pytest.raises(ValueError, match="two tensors each, of one shape"):
        stability([latents, latents[:, :3]], [scores, scores])


def test_attributions_that_cannot_be_ranked_are_refused():
    latents, target = torch.ones(2, 4), torch.zeros(2, dtype=torch.long)
    broken = torch.full((2, 4), torch.nan)
    ends = torch.zeros(4), torch.ones(4)
    with pytest.raises(ValueError, match="`attributions` must be numbers to be ranked"):
        deletion(linear, latents, broken, target)
    with pytest.raises(ValueError, match="`attributions` must be numbers to be ranked"):
        sufficiency(linear, latents, broken, *ends)
    with pytest.raises(ValueError, match=r"the shape of the latents, \(2, 4\)"):
        deletion(linear, latents, torch.ones(2, 3), target)
    with pytest.raises(ValueError, match="`k` must be from 1 to 4"):
        sufficiency(linear, latents, latents, *ends, k=5)
    with pytest.raises(ValueError, match="`low` must not exceed `high`"):
        sufficiency(linear, latents, latents, ends[1], ends[0])


def test_attributions_of_zero_are_ranked_in_order_and_score_like_any_order():
    latents, target = torch.ones(2, 4), torch.zeros(2, dtype=torch.long)
    curves = deletion(linear, latents, torch.zeros(2, 4), target)
    assert curves.curve.isfinite().all()
    constant = deletion(lambda z: 0 * z[:, :1], latents, torch.zeros(2, 4), target)
    assert curve_score(constant).isnan()
