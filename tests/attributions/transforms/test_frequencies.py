import numpy as np
import scipy.fft
import torch
from torch import nn

from attributions import Trim, integrated_gradients
from attributions.measures.fidelity import completeness_error
from attributions.transforms import (
    Cosine,
    Fourier,
)


def test_fourier_coefficients_are_numpys_and_bands_their_frequency():
    inputs = torch.randn(3, 16, dtype=torch.float64)
    latents = Fourier((16,)).encode(inputs).unflatten(1, (9, 2))
    expected = np.fft.rfft(inputs.numpy(), norm="ortho")
    np.testing.assert_allclose(latents[..., 0], expected.real, atol=1e-12)
    np.testing.assert_allclose(latents[..., 1], expected.imag, atol=1e-12)
    wave = torch.cos(2 * torch.pi * 3 * torch.arange(16) / 16)[None]
    bands = Fourier((16,))
    energy = bands.by_group(bands.encode(wave).pow(2))[0]
    assert energy.argmax() == 3
    assert bands.group_names[3] == "f3"
    image = Fourier((1, 16, 16), dims=2)
    slanted = torch.cos(2 * torch.pi * (3 * torch.arange(16)[:, None] + 4 * torch.arange(16)) / 16)
    energy = image.by_group(image.encode(slanted[None, None]).pow(2))[0]
    assert energy.argmax() == 5  # the length of (3, 4)


def test_cosine_coefficients_are_scipys():
    inputs = torch.randn(3, 2, 7, 9, dtype=torch.float64)
    latents = Cosine((2, 7, 9), dims=2).encode(inputs).unflatten(1, (2, 7, 9))
    expected = scipy.fft.dctn(inputs.numpy(), axes=(2, 3), norm="ortho")
    np.testing.assert_allclose(latents, expected, atol=1e-10)


def test_integrated_gradients_on_bands_are_complete_with_residual():
    transform = Cosine((10,))
    trim = Trim(nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 2)), transform.decode)
    inputs = torch.randn(4, 10)
    latents = transform.encode(inputs)
    result = integrated_gradients(trim, latents, residual=trim.residual(inputs, latents))
    change = (trim(latents) - trim(torch.zeros_like(latents))).detach()
    assert completeness_error(result.attributions, change) < 1e-4
