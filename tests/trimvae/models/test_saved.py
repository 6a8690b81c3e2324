import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from attributions.axes import Chain, Linear, Rotation
from tests.trimvae.models.cases import small
from trimvae import ALAE, IVAE, VAE, InfoGAN
from trimvae.storage import read_tensors, write_tensors


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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_code_keeps_its_precision(tmp_path, dtype):
    vae = VAE.dense((6,), 2).to(dtype)
    vae.save(tmp_path / "vae")
    loaded = VAE.load(tmp_path / "vae")
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {dtype}
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.parameters(), vae.parameters(), strict=True)
    )
    VAE.dense((6,), 2).save(tmp_path / "vae")
    torch.set_default_dtype(torch.float64)
    try:
        assert VAE.load(tmp_path / "vae").prior.mean.dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
    assert VAE.dense((6,), 2).double().load_weights(tmp_path / "vae").prior.mean.dtype == (
        torch.float64
    )


def test_loading_leaves_torchs_random_state(model, tmp_path):
    model.save(tmp_path / "model")
    before = torch.get_rng_state()
    type(model).load(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    vae = VAE.dense((6,), 2)
    vae.decoder.last.bias.data[3] = value
    vae.save(tmp_path / "vae")
    for read in (VAE.load, VAE.dense((6,), 2).load_weights):
        with pytest.raises(ValueError, match=r"Got .*vae, where decoder.last.bias has NaN or inf"):
            read(tmp_path / "vae")


@pytest.mark.parametrize(
    "change",
    [
        {"latent_size": 3},
        {"latent_size": 10**12},
        {"hidden": [10**9, 10**9]},
        {"hidden": "wide"},
        {"likelihood": "poisson"},
        {"kind": None},
        {"event_shape": [-1]},
        {"axes": {"kind": "rotation", "size": 10**7}},
        {"axes": {"kind": "rotation", "size": 2, "groups": [[0, 10**9]]}},
        {"axes": {"kind": "rotation", "size": 2, "groups": [[0, 1]]}},
        {"axes": {"kind": "cube", "size": 2}},
        {"more": 1},
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_is_refused_before_memory_is_asked_for(tmp_path, change):
    path = tmp_path / "vae"
    VAE.dense((6,), 2).save(path)
    tensors, texts = read_tensors(path, "VAE")
    write_tensors(path, tensors, "VAE", {"architecture": {**texts["architecture"], **change}})
    with pytest.raises(ValueError, match=r"Got .*vae, whose description does not fit"):
        VAE.load(path)
    write_tensors(path, tensors, "VAE", {"architecture": ["dense"]})
    with pytest.raises(ValueError, match="whose description does not fit"):
        VAE.load(path)


def test_a_code_along_axes_after_axes_is_the_same_again(tmp_path):
    layer = Linear.fitted(torch.randn(50, 4))
    vae = VAE.dense((6,), 4).with_axes(Chain(layer, Rotation(4)))
    vae.save(tmp_path / "vae")
    latents = torch.randn(3, 4)
    assert torch.equal(VAE.load(tmp_path / "vae").decode(latents), vae.decode(latents))


def test_a_folder_as_hugging_face_has_it_gives_the_same_code(tmp_path):
    vae = VAE.dense((6,), 4).with_axes(Chain(Rotation(4), Rotation(4)))
    vae.save_pretrained(tmp_path / "deep" / "code")
    assert {path.name for path in (tmp_path / "deep" / "code").iterdir()} == {
        "model.safetensors",
        "config.json",
    }
    loaded = VAE.from_pretrained(tmp_path / "deep" / "code")
    latents = torch.randn(3, 4)
    assert torch.equal(loaded.decode(latents), vae.decode(latents))
    config = json.loads((tmp_path / "deep" / "code" / "config.json").read_text())
    assert (config["library_name"], config["model_type"]) == ("trimvae", "VAE")
    assert config[VAE.described_as] == json.loads(json.dumps(vae.description))
    (tmp_path / "deep" / "code" / "config.json").unlink()
    assert VAE.from_pretrained(tmp_path / "deep" / "code").latent_size == 4
    with pytest.raises(ValueError, match="written by something else|InfoGAN"):
        InfoGAN.from_pretrained(tmp_path / "deep" / "code")


def test_a_folder_without_weights_and_a_code_without_description_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"`folder` must hold model.safetensors. Got"):
        VAE.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="`VAE` must be ready-made to be made again"):
        VAE(nn.Linear(6, 4), nn.Linear(2, 6), 2).save_pretrained(tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
