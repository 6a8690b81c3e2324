import json
import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.distributions import Normal, kl_divergence

from trimvae import VAE, BetaVAE
from trimvae.objectives import Pass, kl, reconstruction


def one_pass(vae: VAE, inputs: torch.Tensor) -> Pass:
    posterior = vae.encode(inputs)
    latents = posterior.rsample()
    return Pass(inputs, posterior, vae.prior, latents, vae.observe(latents))


@pytest.mark.parametrize(
    "shape", [(1, 28, 28), (3, 32, 32), (1, 64, 64), (3, 48, 100), (2, 128, 128), (1, 33, 28)]
)
def test_images_of_any_size_go_in_and_come_out(shape):
    vae = VAE.convolutional(image_shape=shape, latent_size=5, channels=4, hidden=16)
    posterior = vae.encode(torch.rand(2, *shape))
    assert isinstance(posterior, Normal)
    assert posterior.mean.shape == (2, 5)
    reconstructions = vae.decode(posterior.mean)
    assert reconstructions.shape == (2, *shape)
    assert reconstructions.min() >= 0
    assert reconstructions.max() <= 1


def test_burgess_bottom_is_four_pixels_and_padding_is_only_where_needed():
    for size, layers, padded in [(32, 3, 32), (64, 4, 64), (128, 5, 128), (28, 3, 32), (48, 4, 48)]:
        grid = VAE.convolutional((1, size, size), 2, channels=2, hidden=4).encoder.grid
        assert (grid.layers, grid.padded[0]) == (layers, padded)


def test_activations_keep_their_variance_through_the_layers():
    decoder = VAE.convolutional((1, 64, 64), 10).decoder
    assert 0.1 < decoder(torch.randn(64, 10)).std() < 10


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


def test_weights_and_architecture_survive_the_file(tmp_path):
    for vae in (VAE.convolutional((1, 28, 28), 3, channels=4, hidden=8), VAE.dense((6,), 2)):
        vae.save(tmp_path / "vae.safetensors")
        loaded = VAE.load(tmp_path / "vae.safetensors")
        latents = torch.randn(2, vae.latent_size)
        torch.testing.assert_close(loaded.decode(latents), vae.decode(latents))
        assert loaded.architecture == vae.architecture


def test_bad_files_are_refused_with_a_reason(tmp_path):
    path = tmp_path / "vae.safetensors"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        VAE.load(path)
    vae = VAE.dense((6,), 2)
    vae.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="truncated or of another kind"):
        VAE.load(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="written by something else"):
        VAE.load(path)
    VAE(nn.Linear(6, 4), nn.Linear(2, 6), 2).save(path)
    with pytest.raises(ValueError, match="encoder and decoder of your own"):
        VAE.load(path)
    vae.save(path)
    with pytest.raises(ValueError, match="of the same architecture"):
        VAE.dense((6,), 3).load_weights(path)
    assert VAE.dense((6,), 2).load_weights(path).latent_size == 2


def test_loading_twice_gives_independent_copies(tmp_path):
    vae = VAE.dense((6,), 2)
    vae.save(tmp_path / "a")
    first, second = VAE.load(tmp_path / "a"), VAE.load(tmp_path / "a")
    with torch.no_grad():
        first.decoder.last.bias.add_(1)
    assert not torch.equal(first.decoder.last.bias, second.decoder.last.bias)
    assert json.dumps(first.architecture) == json.dumps(vae.architecture)


def test_inputs_that_do_not_fit_are_refused():
    vae = VAE.convolutional((1, 28, 28), 3, channels=4, hidden=8)
    for shape in [(2, 3, 28, 28), (2, 1, 32, 32), (2, 784)]:
        with pytest.raises(ValueError, match=r"`inputs` must have shape \(batch, 1, 28, 28\)"):
            vae.encode(torch.rand(shape))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\].*from 0 to 255"):
        vae.check_inputs(255 * torch.ones(2, 1, 28, 28).cumsum(0).sub(1))
    with pytest.raises(ValueError, match="`inputs` must be finite"):
        vae.check_inputs(torch.full((2, 1, 28, 28), torch.inf))
    with pytest.raises(TypeError, match="`inputs` must be floating-point"):
        vae.check_inputs(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="sizes from 28 to 128"):
        VAE.convolutional((1, 16, 16), 3)
    with pytest.raises(ValueError, match="`latent_size` must be at least 1"):
        VAE.dense((6,), 0)
    with pytest.raises(ValueError, match="`likelihood` must be one of"):
        VAE.dense((6,), 2, likelihood="poisson")
    with pytest.raises(ValueError, match="`scale` must be above 0"):
        VAE.dense((6,), 2, scale=0)
    with pytest.raises(ValueError, match="`beta` must be at least 0"):
        BetaVAE(-1)
    with pytest.raises(ValueError, match="`encoder` must return a Normal"):
        VAE(nn.Linear(6, 3), nn.Linear(2, 6), 2).encode(torch.randn(3, 6))


def test_channels_last_are_recognised():
    vae = VAE.convolutional((3, 32, 28), latent_size=2, channels=4, hidden=8)
    with pytest.raises(ValueError, match=r"channels last: pass inputs.permute\(0, 3, 1, 2\)"):
        vae.check_inputs(torch.rand(2, 32, 28, 3))
