import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from trimvae import VAE, BetaVAE
from trimvae.objectives import Pass, kl, reconstruction


def one_pass(vae: VAE, inputs: torch.Tensor) -> Pass:
    posterior = vae.encode(inputs)
    latents = posterior.rsample()
    return Pass(inputs, posterior, vae.prior, latents, vae.observe(latents))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian", "laplace"])
def test_reconstruction_is_the_log_likelihood_summed_over_the_event(likelihood):
    vae = VAE.dense((3, 2), latent_size=2, likelihood=likelihood, scale=0.5)
    inputs = torch.rand(4, 3, 2)
    latents = torch.randn(4, 2)
    decoded = vae.decoder(latents)
    expected = {
        "bernoulli": nn.functional.binary_cross_entropy_with_logits(
            decoded, inputs, reduction="sum"
        ),
        "gaussian": (
            (decoded - inputs).pow(2) / (2 * 0.25) + 0.5 * math.log(2 * math.pi * 0.25)
        ).sum(),
        "laplace": ((decoded - inputs).abs() / 0.5 + math.log(2 * 0.5)).sum(),
    }[likelihood]
    torch.testing.assert_close(reconstruction(inputs, vae.observe(latents)), expected / 4)


def test_kl_is_summed_over_latents_and_averaged_over_the_batch():
    posterior = Normal(torch.randn(5, 3), torch.rand(5, 3) + 0.1)
    prior = Normal(torch.zeros(3), torch.ones(3))
    closed_form = 0.5 * (posterior.mean**2 + posterior.stddev**2 - 1 - 2 * posterior.stddev.log())
    torch.testing.assert_close(kl(posterior, prior), closed_form.sum() / 5)
    torch.testing.assert_close(kl(posterior, prior), kl_divergence(posterior, prior).sum() / 5)


def test_beta_weighs_the_kl_and_nothing_else():
    vae = VAE.dense((6,), latent_size=2)
    batch = one_pass(vae, torch.randn(4, 6))
    one, four = BetaVAE(1.0)(batch), BetaVAE(4.0)(batch)
    torch.testing.assert_close(four.total - one.total, 3 * one.terms["kl"])
    torch.testing.assert_close(one.total, one.terms["reconstruction"] + one.terms["kl"])


def test_own_modules_are_welcome_and_tell_their_latent_size():
    vae = VAE(nn.Linear(6, 4), nn.Linear(2, 6), likelihood="gaussian")
    with pytest.raises(RuntimeError, match="`latent_size` must be known first"):
        _ = vae.latent_size
    posterior = vae.encode(torch.randn(3, 6))
    assert posterior.mean.shape == (3, 2)
    assert vae.latent_size == 2
    assert vae.prior.mean.shape == (2,)
    log_variance = vae.encoder(torch.zeros(3, 6))[:, 2:]
    torch.testing.assert_close(vae.encode(torch.zeros(3, 6)).variance.log(), log_variance)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="sizes from 28 to 128"):
        VAE.convolutional((1, 16, 16), 3)
    with pytest.raises(ValueError, match="`latent_size` must be at least 1"):
        VAE.dense((6,), 0)
    with pytest.raises(ValueError, match="`hidden` must hold the width of a layer or more"):
        VAE.dense((6,), 2, hidden=())
    with pytest.raises(ValueError, match="`likelihood` must be one of"):
        VAE.dense((6,), 2, likelihood="poisson")
    with pytest.raises(ValueError, match="`scale` must be above 0"):
        VAE.dense((6,), 2, scale=0)
    with pytest.raises(ValueError, match="`beta` must be at least 0"):
        BetaVAE(-1)
    with pytest.raises(ValueError, match="`encoder` must return a Normal"):
        VAE(nn.Linear(6, 3), nn.Linear(2, 6), 2).encode(torch.randn(3, 6))


def test_what_is_no_network_is_refused():
    network = nn.Linear(6, 4)
    with pytest.raises(TypeError, match="`encoder` must be a module. Got 3. Pass a network"):
        VAE(3, network)
    with pytest.raises(TypeError, match="`decoder` must be a module. Got None. Pass a network"):
        VAE(network, None)
