"""Pairs of latents, and how alike both are drawn, beside slow and obvious versions."""

import itertools

import pytest
import torch

from trimvae.explanation.matching import Coded, correlations_of, drawn_likeness, matched_latents


def test_correlations_are_pearsons_with_their_signs():
    ours, theirs = torch.randn(50, 3), torch.randn(50, 2)
    expected = torch.corrcoef(torch.cat([ours, theirs], dim=1).double().T)[:3, 3:]
    torch.testing.assert_close(correlations_of(ours, theirs), expected)
    torch.testing.assert_close(correlations_of(ours, -theirs), -expected)


def test_a_latent_that_does_not_vary_correlates_with_nothing():
    constant = torch.full((20, 1), 3.0)
    assert correlations_of(constant, torch.randn(20, 2)).abs().max() < 1e-6


def test_of_all_pairings_the_largest_sum_is_found():
    correlation = 2 * torch.rand(4, 4, dtype=torch.float64) - 1
    best = max(
        itertools.permutations(range(4)),
        key=lambda order: sum(abs(correlation[i, j]) for i, j in enumerate(order)),
    )
    assert matched_latents(correlation).tolist() == list(best)


def test_where_one_side_has_fewer_the_best_are_paired():
    correlation = torch.tensor([[0.2], [-0.9], [0.5]])
    assert matched_latents(correlation).tolist() == [-1, 0, -1]
    assert matched_latents(correlation.T).tolist() == [1]


def bent(latents):
    """A picture that changes otherwise at every example."""
    return torch.stack([latents[:, 0].sin(), latents[:, 0] * latents[:, 1], latents[:, 1]], dim=1)


def test_likeness_is_the_mean_cosine_of_the_changes_a_deviation_down_and_up():
    one, other = torch.randn(16, 2).double(), torch.randn(16, 2).double()
    found = drawn_likeness(
        Coded(one, bent), Coded(other, lambda z: bent(z).flip(1)), [(0, 1), (1, 1)]
    )
    for place, (ours, theirs) in enumerate([(0, 1), (1, 1)]):
        cosines = []
        for example in range(16):
            changes = []
            for latents, latent, draws in ((one, ours, bent), (other, theirs, bent)):
                step = torch.zeros(2).double()
                step[latent] = latents[:, latent].std()
                moved = torch.stack([latents[example] + step, latents[example] - step])
                above, below = draws(moved)
                changes.append(above - below)
            changes[1] = changes[1].flip(0)
            lengths = changes[0].norm() * changes[1].norm()
            cosines.append(abs(changes[0] @ changes[1] / lengths))
        assert float(found[place]) == pytest.approx(float(sum(cosines) / 16))


def test_sixteen_examples_stand_for_many_from_the_first_to_the_last():
    latents = torch.arange(100.0).unsqueeze(1)
    asked = []

    def draw(latents):
        asked.append(latents)
        return latents

    coded = Coded(latents, draw)
    assert drawn_likeness(coded, coded, [(0, 0)]).tolist() == [1.0]
    assert all(len(each) == 16 for each in asked)
    middle = (asked[0] + asked[1]).flatten() / 2
    assert (middle.min(), middle.max()) == (0, 99)


def test_no_pairs_and_a_latent_that_draws_nothing():
    latents = torch.randn(5, 2)
    blank = Coded(latents, lambda latents: torch.zeros(len(latents), 3))
    assert drawn_likeness(blank, Coded(latents, bent), []).shape == (0,)
    assert drawn_likeness(blank, Coded(latents, bent), [(0, 0)]).tolist() == [0.0]
