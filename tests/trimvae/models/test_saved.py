import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.trimvae.models.cases import small
from trimvae import ALAE, IVAE, VAE, InfoGAN


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


def test_saving_and_loading_gives_the_same_ivae(tmp_path):
    ivae = small()
    nn.init.normal_(ivae.prior_network.weight)
    ivae.save(tmp_path / "i.safetensors")
    loaded = IVAE.load(tmp_path / "i.safetensors")
    contexts = torch.tensor([0, 2])
    assert torch.equal(loaded.prior_given(contexts).stddev, ivae.prior_given(contexts).stddev)
    with pytest.raises(ValueError, match="that VAE.save wrote"):
        VAE.load(tmp_path / "i.safetensors")


def test_saved_and_loaded_it_draws_the_same(model, tmp_path):
    model.eval().save(tmp_path / "model.safetensors")
    loaded = type(model).load(tmp_path / "model.safetensors")
    latents = model.draw(3, torch.Generator().manual_seed(0))
    assert torch.equal(loaded.decode(latents), model.decode(latents))
    other = ALAE if isinstance(model, InfoGAN) else InfoGAN
    with pytest.raises(ValueError, match="written by something else"):
        other.load(tmp_path / "model.safetensors")
