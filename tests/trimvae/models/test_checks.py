import pytest
import torch

from trimvae import VAE, InfoGAN


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


def test_channels_last_are_recognised():
    vae = VAE.convolutional((3, 32, 28), latent_size=2, channels=4, hidden=8)
    with pytest.raises(ValueError, match=r"channels last: pass inputs.permute\(0, 3, 1, 2\)"):
        vae.check_inputs(torch.rand(2, 32, 28, 3))


def test_a_game_asks_for_finite_floating_point_images_of_its_shape():
    model = InfoGAN((1, 8, 8), channels=4)
    with pytest.raises(ValueError, match=r"`data` must hold images of shape \(1, 8, 8\)"):
        model.check_inputs(torch.rand(2, 1, 9, 9))
    with pytest.raises(TypeError, match="`inputs` must be floating-point"):
        model.check_inputs(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="`inputs` must be finite"):
        model.check_inputs(torch.full((2, 1, 8, 8), torch.nan))
