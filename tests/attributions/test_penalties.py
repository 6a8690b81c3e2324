import math

import pytest
import torch
from torch import nn

from attributions import Monotonicity, Sparsity, Trim, path_contributions
from attributions.penalties import (
    against_sign,
    entropy,
    excess,
    gini,
    l1,
    l1_over_l2,
    path_l1_over_l2,
    turning_back,
)
from tests.reference import gini_loop, participation_ratio_loop

SCALE_FREE = [l1_over_l2, gini, entropy]


@pytest.mark.parametrize("penalty", SCALE_FREE)
def test_scale_free_sparsity_does_not_change_when_attributions_shrink(penalty):
    attributions = torch.randn(7, 5, dtype=torch.float64)
    torch.testing.assert_close(penalty(attributions), penalty(attributions * 1e-2))


@pytest.mark.parametrize("penalty", SCALE_FREE)
def test_one_latent_costs_less_than_two_and_two_less_than_all(penalty):
    one = torch.tensor([[1.0, 0, 0, 0]])
    two = torch.tensor([[1.0, -1, 0, 0]])
    everything = torch.ones(1, 4)
    assert penalty(one) < penalty(two) < penalty(everything)


def test_plain_l1_is_a_size_penalty():
    attributions = torch.randn(7, 5)
    torch.testing.assert_close(l1(attributions * 0.01), l1(attributions) * 0.01)


def test_closed_forms():
    attributions = torch.tensor([[3.0, -4.0, 0.0]])
    assert l1_over_l2(attributions).item() == pytest.approx(7 / 5)
    assert entropy(torch.ones(1, 8)).item() == pytest.approx(math.log(8))
    assert entropy(torch.tensor([[0.0, 2.0]])).item() == pytest.approx(0)
    assert l1(attributions).item() == 7


def test_gini_is_that_of_the_double_loop_over_the_batch_mean():
    attributions = torch.randn(9, 6, dtype=torch.float64)
    expected = gini_loop(attributions.abs().mean(dim=0).tolist())
    assert gini(attributions).item() == pytest.approx(-expected)


def test_the_square_of_l1_over_l2_is_the_participation_ratio():
    row = torch.randn(1, 6, dtype=torch.float64)
    expected = participation_ratio_loop(row[0].tolist())
    assert l1_over_l2(row).item() ** 2 == pytest.approx(expected)


def test_rotation_changes_sparsity_but_not_the_sum_of_attributions():
    """What the penalty can identify and a Gaussian prior cannot."""
    weight = torch.tensor([1.0, 0.0], dtype=torch.float64)
    angle = math.pi / 4
    rotation = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
    )
    latents = torch.randn(200, 2, dtype=torch.float64)
    straight, rotated = latents * weight, (latents @ rotation) * (weight @ rotation)
    torch.testing.assert_close(straight.sum(1), rotated.sum(1))
    assert l1_over_l2(straight) < l1_over_l2(rotated)


def test_path_sparsity_is_sparsity_times_total_variation_over_net_change():
    contributions = torch.randn(1, 4, 5, dtype=torch.float64)
    mean = contributions.mean(dim=1)
    variation = contributions.abs().mean(dim=1).sum() / mean.abs().sum()
    torch.testing.assert_close(path_l1_over_l2(contributions), l1_over_l2(mean) * variation)


def test_turning_back_is_zero_for_monotone_paths_and_one_for_a_round_trip():
    monotone = torch.rand(3, 4, 5) * torch.tensor([1.0, -1, 1, -1, 1])
    assert turning_back(monotone).item() == pytest.approx(0, abs=1e-6)
    assert turning_back(torch.tensor([[[1.0], [-1.0]]])).item() == pytest.approx(1)


def test_a_latent_that_moves_nothing_does_not_count_as_turning_back():
    contributions = torch.rand(3, 4, 2)
    contributions[:, :, 1] = 1e-9 * torch.randn(3, 4)
    assert turning_back(contributions) < 1e-6


def test_against_sign_counts_movement_in_the_wrong_direction():
    contributions = torch.tensor([[[2.0, -1.0, 1.0]]])
    assert against_sign(contributions, torch.tensor([1, 1, 0])).item() == pytest.approx(0.25)
    assert against_sign(contributions, torch.tensor([1, -1, 1])).item() == 0


@pytest.mark.parametrize("penalty", [l1_over_l2, entropy, gini])
def test_attributions_of_zero_give_finite_values_and_gradients(penalty):
    attributions = torch.zeros(3, 4, requires_grad=True)
    value = penalty(attributions)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(attributions.grad).all()


@pytest.mark.parametrize("form", ["path", "l1_over_l2", "gini", "entropy", "l1", "excess"])
def test_every_form_is_reached_by_name(form):
    contributions = torch.randn(3, 2, 4)
    assert Sparsity(2.0, form=form)(contributions).ndim == 0


def test_minimising_path_sparsity_makes_a_decoder_monotone_and_sparse():
    """The form that raises monotonicity: a rotated, wavy code is straightened."""
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.Linear(3, 32), nn.Tanh(), nn.Linear(32, 4))
    nn.init.normal_(decoder[0].weight, std=2.0)  # wavy
    trim = Trim(nn.Linear(4, 3), decoder)
    latents = torch.randn(64, 3)

    def contributions():
        return path_contributions(trim, latents, target=1, n_points=8)

    before = contributions()
    optimizer = torch.optim.Adam(decoder.parameters(), 1e-2)
    for _ in range(200):
        loss = path_l1_over_l2(contributions())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = contributions()
    assert turning_back(after) < 0.5 * turning_back(before)
    assert l1_over_l2(after.mean(1)) < 0.8 * l1_over_l2(before.mean(1))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`weight` must be at least 0"):
        Sparsity(-1.0)
    with pytest.raises(ValueError, match="`weight` must be at least 0"):
        Monotonicity(float("nan"))
    with pytest.raises(ValueError, match="`form` must be one of"):
        Sparsity(1.0, form="l0")
    with pytest.raises(ValueError, match=r"`sign` must have one entry per latent \(4\)"):
        Monotonicity(1.0, sign=(1, -1))(torch.randn(3, 2, 4))


def test_excess_is_what_cancels():
    rows = torch.tensor([[3.0, -1.0, 0.0], [1.0, 2.0, 3.0]])
    assert excess(rows).item() == pytest.approx((4 - 2 + 0) / 2)
