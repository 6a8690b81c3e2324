import copy

import pytest
import torch
from torch.distributions import Normal

from trimvae import VAE


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


def test_convolutions_keep_their_faster_order_in_memory_through_saving_and_copying(tmp_path):
    vae = VAE.convolutional((3, 32, 32), 2, channels=4, hidden=8)
    vae.save(tmp_path / "vae.safetensors")
    for each in (vae, copy.deepcopy(vae), VAE.load(tmp_path / "vae.safetensors")):
        weights = [weight for weight in each.parameters() if weight.ndim == 4]
        assert len(weights) == 6
        assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


@pytest.mark.parametrize("size", [28, 32])
def test_a_predictor_may_look_at_decoded_images_with_view(size):
    vae = VAE.convolutional((3, size, size), 2, channels=4, hidden=8)
    decoded = vae.decode(torch.randn(5, 2))
    assert decoded.is_contiguous()
    assert decoded.view(5, -1).shape == (5, 3 * size * size)


def test_the_order_in_memory_changes_no_number():
    vae = VAE.convolutional((3, 32, 32), 2, channels=4, hidden=8).double()
    usual = copy.deepcopy(vae).to(memory_format=torch.contiguous_format)
    images = torch.rand(5, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(vae(images), usual(images), rtol=0, atol=1e-12)
