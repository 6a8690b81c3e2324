import numpy as np
import torch
from sklearn.decomposition import NMF, PCA
from torch import nn

from attributions.transforms import IndependentComponents, NonNegativeParts, PrincipalComponents
from trimvae import explain


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
    latents = transform.encode(unseen, n_iterations=3000)
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


def test_independent_components_find_the_sources_of_a_linear_mixture():
    """Up to order and sign; the worst correlation on ten seeds was .9996."""
    generator = torch.Generator().manual_seed(0)
    sources = torch.rand(3000, 3, generator=generator).double() - 0.5
    mixing = torch.tensor([[1.0, 0.5, 0.2], [-0.3, 1.0, 0.4], [0.1, -0.6, 1.0]]).double()
    inputs = sources @ mixing
    ica = IndependentComponents(inputs, 3)
    latents = ica.encode(inputs)
    joint = torch.corrcoef(torch.cat([latents, sources], dim=1).T)[:3, 3:].abs()
    assert joint.amax(dim=0).min() > 0.95
    torch.testing.assert_close(latents.std(dim=0), torch.ones(3).double(), atol=0.01, rtol=0)
    torch.testing.assert_close(ica.decode(latents), inputs)
    assert ica.exact
    assert not IndependentComponents(inputs, 2).exact


def test_the_generator_seeds_the_fit():
    inputs = torch.rand(200, 4, generator=torch.Generator().manual_seed(0)).double()

    def components(seed):
        return IndependentComponents(
            inputs, 3, generator=torch.Generator().manual_seed(seed)
        ).unmixing

    assert torch.equal(components(1), components(1))
    assert not torch.equal(components(1), components(2))
    first, second = IndependentComponents(inputs, 3), IndependentComponents(inputs, 3)
    assert torch.equal(first.unmixing, second.unmixing)
