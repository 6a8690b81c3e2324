import pytest
import torch
from torch import nn

from attributions.transforms import (
    Cosine,
    Fourier,
    Identity,
    LearnableWavelet,
    NonNegativeParts,
    PrincipalComponents,
    Wavelet,
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


def test_a_basis_is_what_one_unit_draws():
    transform = Cosine((1, 4, 4), dims=2)
    picture = transform.basis(5)
    assert picture.shape == (1, 4, 4)
    torch.testing.assert_close(transform.encode(picture[None]), torch.eye(16).to(picture)[5:6])


def test_attributions_are_summed_within_their_group():
    transform = Fourier((8,))
    scores = torch.randn(3, 2, transform.latent_size)
    grouped = transform.by_group(scores)
    for group in range(len(transform.group_names)):
        expected = scores[..., transform.groups == group].sum(dim=-1)
        torch.testing.assert_close(grouped[..., group], expected)


def test_names_of_columns_are_kept():
    assert Identity((2,), ["age", "height"]).latent_names == ("age", "height")
    assert Identity((2,)).group_names == ("x0", "x1")
