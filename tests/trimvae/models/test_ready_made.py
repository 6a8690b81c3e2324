import numpy as np
import pytest
import torch

from trimvae import VAE

MADE = {
    "convolutional": lambda **options: VAE.convolutional((1, 28, 28), 3, hidden=8, **options),
    "residual": lambda **options: VAE.residual((1, 16, 16), 3, channels=4, **options),
    "dense": lambda **options: VAE.dense((6,), 3, hidden=(8, 4), **options),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_description_says_all_that_a_maker_was_given(kind):
    vae = MADE[kind](likelihood="gaussian", scale=0.5)
    rest = dict(vae.description)
    assert rest.pop("kind") == kind
    again = getattr(VAE, kind)(**rest)
    assert again.shapes() == vae.shapes()
    assert again.description == vae.description
    assert (again.likelihood, again.scale, again.event_shape) == ("gaussian", 0.5, vae.event_shape)


@pytest.mark.parametrize("kind", MADE)
def test_a_file_makes_the_same_network_again(kind, tmp_path):
    vae, latents = MADE[kind](), torch.randn(2, 3)
    vae.save(tmp_path / "vae.safetensors")
    torch.testing.assert_close(
        VAE.load(tmp_path / "vae.safetensors").decode(latents), vae.decode(latents)
    )


@pytest.mark.parametrize("kind", MADE)
def test_no_latents_are_refused_before_a_network_is_made(kind):
    rest = {key: value for key, value in MADE[kind]().description.items() if key != "kind"}
    with pytest.raises(ValueError, match="`latent_size` must be at least 1. Got 0"):
        getattr(VAE, kind)(**(rest | {"latent_size": 0}))


def test_burgess_network_takes_28_to_128_pixels():
    with pytest.raises(ValueError, match="`image_shape` must be .* with sizes from 28 to 128"):
        VAE.convolutional((1, 27, 28), 2)


@pytest.mark.parametrize("shape", [6, ("a",), (1.5,), None])
def test_a_shape_that_is_none_is_refused(shape):
    with pytest.raises(TypeError, match="`event_shape` must be a shape without the batch. Got"):
        VAE.dense(shape, 2)
    with pytest.raises(TypeError, match="`image_shape` must be a shape without the batch. Got"):
        VAE.convolutional(shape, 2)


@pytest.mark.parametrize("shape", [[6], torch.Size([6]), np.array([6])])
def test_a_shape_of_any_kind_is_described_in_plain_numbers(shape):
    described = VAE.dense(shape, 2).description["event_shape"]
    assert described == [6]
    assert type(described[0]) is int
