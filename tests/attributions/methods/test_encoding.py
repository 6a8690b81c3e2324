"""Attributions of a latent to the input that it is encoded from."""

import torch
from captum.attr import FeatureAblation, GradientShap, IntegratedGradients, Saliency
from torch import nn
from torch.distributions import Normal

from attributions.methods.encoding import input_attributions
from trimvae import VAE


class Linear(nn.Module):
    """A code whose posterior mean is linear."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3).double()

    def encode(self, inputs):
        return Normal(self.layer(inputs), torch.ones(3).double())

    def decode(self, latents):
        return latents @ self.layer.weight


def test_of_a_linear_encoder_they_are_weight_times_way():
    code, inputs = Linear(), torch.randn(4, 5).double()
    starts = torch.randn(1, 5).double()
    row = code.layer.weight[1].detach()
    for method in (IntegratedGradients, FeatureAblation):
        scores = input_attributions(code, inputs, 1, baselines=starts, method=method)
        torch.testing.assert_close(scores, (inputs - starts) * row)
    scores = input_attributions(code, inputs, 1, method=Saliency, abs=False)
    torch.testing.assert_close(scores, row.expand(4, 5))


def test_they_add_up_to_the_change_of_the_posterior_mean():
    code = VAE.dense((1, 4, 4), latent_size=3, hidden=(16,)).double().eval()
    inputs, starts = (torch.rand(3, 1, 4, 4).double() for _ in range(2))
    for latent in range(3):
        scores = input_attributions(code, inputs, latent, baselines=starts, n_steps=200)
        change = (code.encode(inputs).mean - code.encode(starts).mean)[:, latent]
        torch.testing.assert_close(scores.sum(dim=(1, 2, 3)), change, rtol=0, atol=1e-4)
        assert not scores.requires_grad


def test_draws_come_from_the_generator_and_torchs_own_is_left_alone():
    code, inputs = Linear(), torch.randn(4, 5).double()
    code.layer = nn.Sequential(code.layer, nn.Tanh())
    before = torch.get_rng_state()
    first, second, third = (
        input_attributions(
            code,
            inputs,
            0,
            baselines=torch.zeros(4, 5),
            method=GradientShap,
            stdevs=0.5,
            generator=torch.Generator().manual_seed(seed),
        )
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(torch.get_rng_state(), before)


def test_neither_inputs_nor_the_codes_gradients_are_touched():
    code, inputs = Linear(), torch.randn(4, 5).double()
    before = inputs.clone()
    with torch.no_grad():
        input_attributions(code, inputs, 0)
    assert torch.equal(inputs, before)
    assert all(parameter.grad is None for parameter in code.parameters())
