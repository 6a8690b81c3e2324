import numpy as np
import ptwt
import pytest
import pywt
import scipy.fft
import torch
from sklearn.decomposition import NMF, PCA
from torch import nn

from attributions import Trim, completeness_error, integrated_gradients, path_contributions
from attributions.transforms import (
    Cosine,
    Fourier,
    Identity,
    LearnableWavelet,
    NonNegativeParts,
    PrincipalComponents,
    Wavelet,
    wavelet_constraint,
)
from trimvae import explain

EXACT = {
    "identity": Identity((1, 12, 10)),
    "fourier 1-D, even": Fourier((2, 100)),
    "fourier 1-D, odd": Fourier((101,)),
    "fourier 2-D": Fourier((2, 12, 11), dims=2),
    "cosine 1-D": Cosine((3, 20)),
    "cosine 2-D": Cosine((1, 12, 11), dims=2),
    "wavelet 1-D": Wavelet((1, 100), "db2"),
    "wavelet 2-D": Wavelet((1, 28, 28), "db3", dims=2, level=2),
    "wavelet 2-D, odd": Wavelet((3, 27, 30), "haar", dims=2),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_transforms_give_back_every_input(name):
    transform = EXACT[name].double()
    inputs = torch.randn(4, *transform.event_shape, dtype=torch.float64)
    latents = transform.encode(inputs)
    assert latents.shape == (4, transform.latent_size)
    assert len(transform.groups) == transform.latent_size
    torch.testing.assert_close(transform.decode(latents), inputs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", EXACT)
def test_transforms_are_explained_like_any_code(name):
    transform = EXACT[name].float()
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(transform.decode(
        torch.zeros(1, transform.latent_size)).numel(), 4), nn.Tanh(), nn.Linear(4, 3))  # fmt: skip
    inputs = torch.randn(5, *transform.event_shape)
    explanation = explain(transform, predictor, inputs)
    assert explanation.metrics["agreement"] == 1
    assert explanation.metrics["completeness_error"] < 0.011
    assert explanation.warnings == ()
    grouped = transform.by_group(explanation.attributions)
    assert grouped.shape == (5, 3, len(transform.group_names))
    torch.testing.assert_close(
        grouped.sum(dim=2), explanation.attributions.sum(dim=2), atol=1e-4, rtol=1e-4
    )
    explanation.traverse(0, 1)


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


def test_wavelet_coefficients_are_those_of_pywavelets_and_ptwt():
    inputs = torch.randn(3, 64, dtype=torch.float64)
    transform = Wavelet((64,), "db2", level=3, mode="symmetric")
    latents = transform.encode(inputs)
    theirs = pywt.wavedec(inputs.numpy(), "db2", mode="symmetric", level=3)
    np.testing.assert_allclose(latents, np.concatenate(theirs, axis=1), atol=1e-10)
    parts = ptwt.wavedec(inputs, "db2", mode="symmetric", level=3)
    torch.testing.assert_close(latents, torch.cat(parts, dim=1))
    assert transform.group_names == ("a3", "d3", "d2", "d1")
    assert Wavelet((1, 28, 28), "db2", dims=2, level=1).group_names == ("a1", "h1", "v1", "d1")


def test_principal_components_are_scikit_learns_whitened():
    inputs = torch.randn(50, 2, 3).double()
    transform = PrincipalComponents(inputs, 4)
    fitted = PCA(4, whiten=True, svd_solver="full").fit(inputs.flatten(1).numpy())
    latents = transform.encode(inputs)
    expected = fitted.transform(inputs.flatten(1).numpy())
    np.testing.assert_allclose(latents.abs(), np.abs(expected), atol=1e-8)
    back = fitted.inverse_transform(expected)
    np.testing.assert_allclose(transform.decode(latents).flatten(1), back, atol=1e-8)
    assert not transform.exact
    assert PrincipalComponents(inputs, 6).exact


def test_non_negative_parts_are_scikit_learns():
    inputs = torch.rand(60, 20).double() @ torch.rand(20, 20).double()
    transform = NonNegativeParts(inputs, 5)
    fitted = NMF(5, init="nndsvda", max_iter=1000, random_state=0, tol=1e-4).fit(inputs.numpy())
    np.testing.assert_allclose(transform.components, fitted.components_)
    unseen = torch.rand(10, 20).double()
    latents = transform.encode(unseen, steps=3000)
    fitted.set_params(max_iter=5000, tol=1e-12)
    np.testing.assert_allclose(latents, fitted.transform(unseen.numpy()), atol=1e-3)
    assert (latents >= 0).all()
    assert transform.basis(2).shape == (20,)
    torch.testing.assert_close(transform.basis(2), transform.components[2])


def test_a_lossy_transform_without_residual_is_said_to_be():
    inputs = torch.randn(50, 6)
    code, predictor = PrincipalComponents(inputs, 2), nn.Linear(6, 3)
    assert any("leaves out" in text for text in explain(code, predictor, inputs).warnings)
    kept = explain(code, predictor, inputs, residual=True)
    assert not any("leaves out" in text for text in kept.warnings)
    assert kept.metrics["completeness_error"] < 0.011


def test_daubechies_filters_fulfil_the_constraints_and_others_do_not():
    for name in ("haar", "db2", "db5", "sym4"):
        assert (
            wavelet_constraint(torch.tensor(pywt.Wavelet(name).dec_lo, dtype=torch.float64)) < 1e-16
        )
    assert wavelet_constraint(torch.tensor([0.5, 0.5, 0.5, 0.5])) > 0.1
    noisy = torch.tensor(pywt.Wavelet("db5").dec_lo) + 0.05
    assert wavelet_constraint(noisy) > 0.01


def test_a_learnable_wavelet_is_the_named_one_at_its_filter():
    inputs = torch.randn(3, 64, dtype=torch.float64)
    lowpass = torch.tensor(pywt.Wavelet("db3").dec_lo, dtype=torch.float64)
    learned, named = LearnableWavelet((64,), lowpass, level=3), Wavelet((64,), "db3", level=3)
    torch.testing.assert_close(learned.encode(inputs), named.encode(inputs))
    torch.testing.assert_close(learned.decode(learned.encode(inputs)), inputs)


def test_trim_penalties_reach_the_filter_with_the_exact_gradient():
    predictor = nn.Sequential(nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    inputs = torch.randn(2, 16, dtype=torch.float64)
    alphas = torch.tensor([[0.2, 0.7]], dtype=torch.float64)
    code = LearnableWavelet((16,), torch.randn(4, dtype=torch.float64), level=2)
    with torch.no_grad():
        residual = inputs - 0.9 * code.decode(code.encode(inputs))

    def penalty(lowpass):
        del code.lowpass
        code.lowpass = lowpass  # a tensor of the graph in the parameter's place
        trim = Trim(predictor, code.decode)
        contributions = path_contributions(
            trim, code.encode(inputs), target=0, additional_forward_args=residual, alphas=alphas
        )
        return contributions.mean(dim=1).abs().sum() + code.constraint()

    assert torch.autograd.gradcheck(penalty, code.lowpass.detach().clone().requires_grad_())


def test_bad_transforms_are_refused():
    with pytest.raises(ValueError, match="`dims` must be 1 or 2"):
        Fourier((10,), dims=2)
    with pytest.raises(ValueError, match="`dims` must be 1 or 2"):
        Wavelet((3, 10, 10), dims=3)
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(batch, 10\)"):
        Fourier((10,)).encode(torch.randn(3, 11))
    with pytest.raises(ValueError, match="`inputs` must not be negative for NMF"):
        NonNegativeParts(-torch.rand(10, 4), 2)
    with pytest.raises(ValueError, match="`latent_size` must be from 1 to 4"):
        PrincipalComponents(torch.randn(10, 4), 5)
    with pytest.raises(ValueError, match="`lowpass` must have shape"):
        LearnableWavelet((10,), torch.randn(3))


def test_integrated_gradients_on_bands_are_complete_with_residual():
    transform = Cosine((10,))
    trim = Trim(nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 2)), transform.decode)
    inputs = torch.randn(4, 10)
    latents = transform.encode(inputs)
    result = integrated_gradients(trim, latents, residual=trim.residual(inputs, latents))
    change = (trim(latents) - trim(torch.zeros_like(latents))).detach()
    assert completeness_error(result.attributions, change) < 1e-4
