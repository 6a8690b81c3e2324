import numpy as np
import pytest
import torch
from captum.attr import ShapleyValues

from attributions import Trim, attribute, exact_shapley
from tests.cases import relu_case, smooth_decoder, smooth_predictor
from tests.reference import shapley_by_orders


def test_exact_shapley_values_are_the_mean_over_all_orders():
    trim = Trim(smooth_predictor(features=6), smooth_decoder(latents=4))
    latents, baselines = torch.randn(3, 4).double(), torch.randn(1, 4).double()
    for max_points in (1, 5, 1000, np.int64(5)):
        scores = exact_shapley(trim, latents, baselines, max_points=max_points)
        torch.testing.assert_close(scores, shapley_by_orders(trim, latents, baselines))


def test_exact_shapley_values_are_captums():
    trim, latents, residual, _ = relu_case()
    ours = attribute(exact_shapley, trim, latents, residual=residual)
    theirs = attribute(ShapleyValues, trim, latents, residual=residual)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_exact_shapley_values_say_when_there_are_too_many_latents():
    with pytest.raises(ValueError, match="1,048,576 coalitions per example.*ShapleyValueSampling"):
        exact_shapley(lambda z: z, torch.randn(2, 20))


def test_baselines_residual_and_chunks_are_those_of_each_example():
    trim, latents, residual, _ = relu_case()
    baselines = torch.randn(5, 4).double()
    found = exact_shapley(trim, latents, baselines, residual, max_points=7)
    for row in range(5):
        alone = shapley_by_orders(
            lambda z, row=row: trim(z, residual[row : row + 1].expand(len(z), -1)),
            latents[row : row + 1],
            baselines[row : row + 1],
        )
        torch.testing.assert_close(found[row : row + 1], alone.detach())
    assert not torch.allclose(found, exact_shapley(trim, latents, None, residual), atol=1e-3)


def test_values_add_up_and_a_latent_that_does_nothing_gets_nothing():
    def function(z):
        return torch.stack([z[:, 0] * z[:, 1], (z[:, 0] > 0).double()], dim=1)

    latents, baselines = torch.randn(6, 3).double(), torch.randn(1, 3).double()
    found = exact_shapley(function, latents, baselines)
    change = function(latents) - function(baselines)
    torch.testing.assert_close(found.sum(dim=2), change)
    assert found[..., 2].abs().max() < 1e-12
    with pytest.raises(ValueError, match="`max_points` must be at least 1"):
        exact_shapley(function, latents, max_points=0)


def test_no_gradient_is_needed_nor_kept():
    trim, latents, _, _ = relu_case()
    expected = exact_shapley(trim, latents.requires_grad_())
    assert not expected.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(exact_shapley(trim, latents), expected)
