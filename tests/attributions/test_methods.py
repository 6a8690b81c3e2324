import captum.attr
import numpy as np
import pytest
import torch
from captum.attr import (
    DeepLift,
    DeepLiftShap,
    FeatureAblation,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    KernelShap,
    Lime,
    NoiseTunnel,
    Saliency,
    ShapleyValues,
    ShapleyValueSampling,
)
from torch import nn

from attributions import (
    Trim,
    attribute,
    completeness_error,
    exact_shapley,
    expected_gradients,
    input_x_gradient,
    integrated_gradients,
    saliency,
)
from attributions.methods import method_named
from tests.cases import LinearCase, assert_same_snapshot, smooth_decoder, smooth_predictor, snapshot
from tests.reference import shapley_by_orders


def relu_case():
    decoder = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8)).double()
    predictor = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    trim = Trim(predictor, decoder)
    latents, inputs = torch.randn(5, 4).double(), torch.randn(5, 8).double()
    residual = trim.residual(inputs, latents)
    with torch.no_grad():
        change = trim(latents, residual) - trim(torch.zeros_like(latents), residual)
    return trim, latents, residual, change


@pytest.fixture
def default_dtype():
    before = torch.get_default_dtype()
    yield torch.set_default_dtype
    torch.set_default_dtype(before)


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
@pytest.mark.parametrize("method", [Saliency, InputXGradient, IntegratedGradients])
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_one_pass_equals_captum_class_by_class(method, dtype, atol, default_dtype):
    trim = Trim(smooth_predictor().to(dtype), smooth_decoder().to(dtype), explained="centred_logit")
    latents, inputs = torch.randn(5, 3, dtype=dtype), torch.randn(5, 6, dtype=dtype)
    residual = trim.residual(inputs, latents)
    ours = attribute(method, trim, latents, residual=residual)
    options = {"additional_forward_args": residual}
    default_dtype(dtype)  # Captum rounds its path points to the default precision
    for target in range(4):
        theirs = method(trim).attribute(latents.clone(), target=target, **options)
        torch.testing.assert_close(ours[:, target], theirs.detach(), atol=atol, rtol=0)


@pytest.mark.parametrize(
    ("method", "options", "error"),
    [
        (DeepLift, {}, 1e-10),
        (DeepLiftShap, {}, 1e-10),
        (ShapleyValues, {}, 1e-6),
        (ShapleyValueSampling, {"n_samples": 3}, 1e-6),
        (KernelShap, {"n_samples": 100}, 1e-3),
        (exact_shapley, {}, 1e-10),
        (GradientShap, {"n_samples": 500}, 0.1),
        (expected_gradients, {"n_samples": 500}, 0.01),
        (lambda trim: NoiseTunnel(IntegratedGradients(trim)), {"stdevs": 1e-4}, 0.05),
        (NoiseTunnel(IntegratedGradients(None)), {"stdevs": 1e-4}, 0.05),
    ],
)
@pytest.mark.parametrize("with_residual", [True, False])
def test_every_complete_method_is_complete_on_latents(method, options, error, with_residual):
    trim, latents, residual, change = relu_case()
    if not with_residual:
        residual = None
        change = (trim(latents) - trim(torch.zeros_like(latents))).detach()
    scores = attribute(method, trim, latents, residual=residual, **options)
    assert scores.shape == (5, 3, 4)
    assert scores.dtype == latents.dtype
    assert not scores.requires_grad
    assert completeness_error(scores, change) < error


@pytest.mark.parametrize("method", [FeatureAblation, Lime, captum.attr.Occlusion])
def test_the_others_run_on_latents_too(method):
    trim, latents, residual, _ = relu_case()
    options = {"sliding_window_shapes": (1,)} if method is captum.attr.Occlusion else {}
    scores = attribute(method, trim, latents, residual=residual, **options)
    assert scores.isfinite().all()
    if method is FeatureAblation:
        for latent in range(4):
            removed = latents.clone()
            removed[:, latent] = 0
            expected = trim(latents, residual) - trim(removed, residual)
            torch.testing.assert_close(scores[..., latent], expected.detach(), atol=1e-6, rtol=0)


def test_exact_shapley_values_are_the_mean_over_all_orders():
    trim = Trim(smooth_predictor(features=6), smooth_decoder(latents=4))
    latents, baselines = torch.randn(3, 4).double(), torch.randn(1, 4).double()
    for max_points in (1, 5, 1000):
        scores = exact_shapley(trim, latents, baselines, max_points=max_points)
        torch.testing.assert_close(scores, shapley_by_orders(trim, latents, baselines))


def test_exact_shapley_values_are_captums():
    trim, latents, residual, _ = relu_case()
    ours = attribute(exact_shapley, trim, latents, residual=residual)
    theirs = attribute(ShapleyValues, trim, latents, residual=residual)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_exact_shapley_values_say_when_there_are_too_many_latents():
    with pytest.raises(ValueError, match="1,048,576 coalitions per example.*ShapleyValueSampling"):
        exact_shapley(lambda z: z, torch.randn(2, 20))


def test_all_methods_of_ours_agree_on_a_linear_model():
    case = LinearCase()
    trim = Trim(case.predictor, case.decoder)
    expected = case.latents[:, None] * case.jacobian
    for method in (integrated_gradients, expected_gradients, exact_shapley, input_x_gradient):
        torch.testing.assert_close(attribute(method, trim, case.latents), expected)
    signed = saliency(trim, case.latents, absolute=False)
    torch.testing.assert_close(signed, case.jacobian.expand(5, -1, -1))
    torch.testing.assert_close(saliency(trim, case.latents), signed.abs())


def test_expected_gradients_are_complete_against_the_mean_over_the_baselines():
    trim, latents, _, _ = relu_case()
    baselines = torch.randn(20, 4).double()
    generator = torch.Generator().manual_seed(0)
    scores = expected_gradients(trim, latents, baselines, n_samples=2000, generator=generator)
    change = (trim(latents) - trim(baselines).mean(dim=0)).detach()
    assert completeness_error(scores, change) < 0.05


def test_adaptive_steps_reach_the_tolerance_with_points_only_where_needed():
    trim, latents, residual, change = relu_case()
    latents = torch.cat([latents, latents * 1e-3])
    residual = torch.cat([residual, residual])
    for tolerance in (0.05, 0.001):
        result = integrated_gradients(
            trim, latents, residual=residual, n_steps=None, tolerance=tolerance
        )
        with torch.no_grad():
            change = trim(latents, residual) - trim(torch.zeros_like(latents), residual)
        errors = (result.attributions.sum(dim=2) - change).abs().sum(dim=1)
        assert (errors <= tolerance * change.abs().sum(dim=1) + 1e-12).all()
    assert result.n_points[:5].double().mean() > result.n_points[5:].double().mean()
    fine = integrated_gradients(trim, latents, residual=residual, n_steps=2000)
    size = fine.attributions.abs().amax()
    assert (result.attributions - fine.attributions).abs().amax() < 0.01 * size
    assert (result.total_variation - fine.total_variation).abs().amax() < 0.01 * size


def test_adaptive_steps_say_where_a_path_cannot_be_integrated():
    def steps(z):
        return (z > 0.3).double() + 0 * z

    with pytest.warns(UserWarning, match="missed by 2 of 2 examples at 1025 points"):
        result = integrated_gradients(steps, torch.ones(2, 1).double(), n_steps=None)
    assert result.n_points.tolist() == [1025, 1025]
    with pytest.raises(ValueError, match="`tolerance` must be above 0"):
        integrated_gradients(steps, torch.ones(2, 1).double(), n_steps=None, tolerance=0.0)


def test_an_example_at_its_baseline_has_no_attribution():
    trim, latents, _, _ = relu_case()
    result = integrated_gradients(trim, latents, latents, n_steps=None)
    assert not result.attributions.any()
    assert (result.n_points == 9).all()


@pytest.mark.parametrize("method", [DeepLift, KernelShap, expected_gradients])
def test_predictor_and_random_generators_come_back_as_they_were(method):
    trim, latents, residual, _ = relu_case()
    trim.predictor.train()
    before, state, other = snapshot(trim), torch.get_rng_state(), np.random.get_state()[1].copy()
    first = attribute(method, trim, latents, residual=residual, seed=3)
    assert_same_snapshot(before, snapshot(trim))
    assert torch.equal(state, torch.get_rng_state())
    assert (other == np.random.get_state()[1]).all()
    torch.testing.assert_close(first, attribute(method, trim, latents, residual=residual, seed=3))


def test_bad_methods_are_refused():
    trim, latents, _, _ = relu_case()
    with pytest.raises(TypeError, match="`method` must be one of our functions"):
        attribute("magic", trim, latents)
    with pytest.raises(TypeError, match="`method` must be one of our functions"):
        attribute(lambda trim: 3, trim, latents)
    with pytest.raises(TypeError, match=r"NoiseTunnel.*Pass a function such as"):
        attribute(NoiseTunnel, trim, latents)
    with pytest.raises(TypeError, match=r"known to exact_shapley. Got \['n_steps'\]"):
        attribute(exact_shapley, trim, latents, n_steps=3)
    with pytest.raises(ValueError, match="Got 'magic'. Start with integrated_gradients"):
        method_named("magic")
    with pytest.raises(ValueError, match="Got 'torch'"):
        method_named("torch")
    assert method_named("exact_shapley") is exact_shapley
