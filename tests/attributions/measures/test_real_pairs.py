"""Pairs of real inputs along latents, and what predictor and attributions say of them."""

import pytest
import torch

from attributions import Trim, integrated_gradients
from attributions.measures.real_pairs import (
    Pairs,
    pair_correlation,
    pairs_along_latents,
    said_of_pairs,
)
from tests.cases import smooth_decoder, smooth_predictor


def test_pairs_are_those_that_one_finds_one_by_one():
    latents = torch.randn(30, 3, generator=torch.Generator().manual_seed(0)).double()
    scaled = latents / latents.std(dim=0)
    expected = {latent: [] for latent in range(3)}
    for a in range(30):
        for b in range(a + 1, 30):
            squares = (scaled[a] - scaled[b]).square()
            for latent in range(3):
                if squares[latent] >= 0.6 * squares.sum() and squares[latent] >= 1:
                    expected[latent].append((float(squares.sum() - squares[latent]), a, b))
    found = pairs_along_latents(latents, least_share=0.6, most=7)
    for latent in range(3):
        own = found.latent == latent
        pairs = list(zip(found.first[own].tolist(), found.second[own].tolist(), strict=True))
        assert pairs == [(a, b) for _, a, b in sorted(expected[latent])[:7]]


def test_a_latent_that_does_not_vary_has_no_pairs_nor_has_a_single_example():
    latents = torch.randn(20, 2)
    latents[:, 1] = 3.0
    assert pairs_along_latents(latents).latent.unique().tolist() == [0]
    assert len(pairs_along_latents(latents[:1]).latent) == 0
    assert len(pairs_along_latents(torch.zeros(5, 2)).latent) == 0


def test_what_is_said_of_a_linear_predictor_is_its_weight_times_the_step():
    weight = torch.randn(3, 4).double()
    trim = Trim(lambda x: x @ weight, torch.nn.Identity())
    inputs = torch.randn(6, 3).double()
    pairs = Pairs(torch.tensor([0, 2]), torch.tensor([1, 5]), torch.tensor([2, 0]))
    differences, said = said_of_pairs(trim, inputs, inputs, pairs)
    step = inputs[pairs.second] - inputs[pairs.first]
    torch.testing.assert_close(differences, step @ weight)
    expected = torch.stack([step[0, 2] * weight[2], step[1, 0] * weight[0]])
    torch.testing.assert_close(said, expected)


def test_the_residual_of_the_first_input_is_held_fixed_along_the_segment():
    """Added over all latents, attributions are the change of f(D(z) + r_a)."""
    trim = Trim(smooth_predictor(), smooth_decoder())
    inputs, latents = torch.randn(4, 6).double(), torch.randn(4, 3).double()
    whole = torch.zeros(1, 4).double()
    for latent in range(3):
        pairs = Pairs(torch.tensor([1]), torch.tensor([3]), torch.tensor([latent]))
        differences, said = said_of_pairs(trim, inputs, latents, pairs, n_steps=40)
        whole += said
    residual = trim.residual(inputs, latents)[1:2]
    with torch.no_grad():
        expected = trim(latents[3:], residual) - trim(latents[1:2], residual)
        outputs = trim.of_inputs(inputs)
    torch.testing.assert_close(whole, expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(differences[0], outputs[3] - outputs[1])


def test_what_is_said_is_the_latents_own_part_of_all_integrated_gradients():
    trim = Trim(smooth_predictor(), smooth_decoder())
    inputs, latents = torch.randn(40, 6).double(), torch.randn(40, 3).double()
    pairs = Pairs(torch.arange(30), torch.arange(10, 40), torch.arange(30) % 3)
    _, said = said_of_pairs(trim, inputs, latents, pairs)
    residual = trim.residual(inputs, latents)[pairs.first]
    whole = integrated_gradients(
        trim, latents[pairs.second], latents[pairs.first], residual, n_steps=8
    ).attributions
    torch.testing.assert_close(said, whole[torch.arange(30), :, pairs.latent])


def test_the_correlation_is_pearsons_over_pairs_in_both_orders():
    left, right = torch.randn(9, 3).double(), torch.randn(9, 3).double()
    both = [torch.cat([side, -side]).flatten() for side in (left, right)]
    expected = torch.corrcoef(torch.stack(both))[0, 1]
    torch.testing.assert_close(pair_correlation(left, right), expected)
    flipped = torch.tensor([1.0, -1.0] * 4 + [1.0]).unsqueeze(1).double()
    torch.testing.assert_close(pair_correlation(flipped * left, flipped * right), expected)


def test_resamples_are_weighted_sums():
    left, right = torch.randn(5, 2).double(), torch.randn(5, 2).double()
    weights = torch.tensor([[1.0, 2.0], [1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    found = pair_correlation(left, right, weights)
    rows = [0, 0, 2, 4]
    torch.testing.assert_close(found[0], pair_correlation(left, right))
    torch.testing.assert_close(found[1], pair_correlation(left[rows], right[rows]))


def test_nothing_said_has_no_correlation():
    assert pair_correlation(torch.ones(3, 2), torch.zeros(3, 2)).isnan()


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match=r"`latents` must have shape \(n, latents\)"):
        pairs_along_latents(torch.ones(3))
    for options in ({"least_share": 0.0}, {"least_share": 1.5}, {"most": 0}):
        with pytest.raises(ValueError, match="`least_share` must be above 0"):
            pairs_along_latents(torch.ones(3, 2), **options)
    with pytest.raises(ValueError, match="must have one shape"):
        pair_correlation(torch.ones(3, 2), torch.ones(2, 2))
