import math

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

from attributions import Trim, attribute, exact_shapley, expected_gradients, integrated_gradients
from attributions.measures.fidelity import (
    completeness_error,
)
from attributions.methods.captum import method_named, name_of, takes_distribution
from attributions.methods.jacobians import input_x_gradient, saliency
from tests.cases import (
    LinearCase,
    assert_same_snapshot,
    relu_case,
    smooth_decoder,
    smooth_predictor,
    snapshot,
)


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
        (expected_gradients, {"n_steps": 500}, 0.01),
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


def test_all_methods_of_ours_agree_on_a_linear_model():
    case = LinearCase()
    trim = Trim(case.predictor, case.decoder)
    expected = case.latents[:, None] * case.jacobian
    for method in (integrated_gradients, expected_gradients, exact_shapley, input_x_gradient):
        torch.testing.assert_close(attribute(method, trim, case.latents), expected)
    signed = saliency(trim, case.latents, absolute=False)
    torch.testing.assert_close(signed, case.jacobian.expand(5, -1, -1))
    torch.testing.assert_close(saliency(trim, case.latents), signed.abs())


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (integrated_gradients, {"n_steps": 5}),
        (integrated_gradients, {"n_steps": 5, "mode": "forward"}),
        (expected_gradients, {}),
        (exact_shapley, {}),
        (saliency, {}),
        (input_x_gradient, {}),
        (FeatureAblation, {}),
        (DeepLift, {}),
        (DeepLiftShap, {}),
        (IntegratedGradients, {"method": "riemann_middle"}),
    ],
)
@pytest.mark.parametrize("with_residual", [True, False])
def test_classes_that_are_wanted_get_what_they_get_among_all(method, options, with_residual):
    trim, latents, residual, _ = relu_case()
    given = {"residual": residual if with_residual else None, "max_points": 7, **options}
    targets = torch.tensor([[0, 2], [2, 1], [1, 1], [2, 0], [0, 1]])
    every = attribute(method, trim, latents, **given)
    some = attribute(method, trim, latents, targets=targets, **given)
    expected = every.gather(1, targets.unsqueeze(2).expand(-1, -1, 4))
    torch.testing.assert_close(some, expected, atol=1e-5, rtol=0)


def test_a_path_is_as_fine_as_the_classes_that_are_wanted_need():
    def curved(latents):  # the second output bends, the first does not
        return torch.stack([latents.sum(dim=1), (8 * latents[:, 0]).sin()], dim=1)

    latents = torch.ones(2, 2, dtype=torch.float64)
    found = integrated_gradients(
        curved, latents, targets=torch.tensor([[0], [1]]), n_steps=None, tolerance=1e-4
    )
    assert found.n_steps[0] == 9 < found.n_steps[1]
    expected = torch.tensor([[1.0, 1.0], [math.sin(8), 0.0]], dtype=torch.float64)
    torch.testing.assert_close(found.attributions[:, 0], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("wrong", [torch.tensor([0, 1, 2, 0, 1]), torch.zeros(5, 1)])
@pytest.mark.parametrize("method", [integrated_gradients, exact_shapley, saliency])
def test_wanted_classes_must_be_rows_of_whole_numbers(method, wrong):
    trim, latents, _, _ = relu_case()
    with pytest.raises(ValueError, match=r"`targets` must be whole numbers \(batch, wanted\)"):
        attribute(method, trim, latents, targets=wrong)


@pytest.mark.parametrize("method", [DeepLift, KernelShap, expected_gradients])
def test_predictor_and_random_generators_come_back_as_they_were(method):
    trim, latents, residual, _ = relu_case()
    trim.predictor.train()
    before, state, other = snapshot(trim), torch.get_rng_state(), np.random.get_state()[1].copy()

    def scores(seed):
        generator = torch.Generator().manual_seed(seed)
        return attribute(method, trim, latents, residual=residual, generator=generator)

    first = scores(3)
    assert_same_snapshot(before, snapshot(trim))
    assert torch.equal(state, torch.get_rng_state())
    assert (other == np.random.get_state()[1]).all()
    assert torch.equal(first, scores(3))
    if method is not DeepLift:
        assert not torch.equal(first, scores(4))
        again = [attribute(method, trim, latents, residual=residual) for _ in range(2)]
        assert torch.equal(*again)


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


def test_baselines_are_passed_to_methods_that_have_them():
    trim, latents, residual, _ = relu_case()
    baselines = torch.randn(1, 4).double()
    with torch.no_grad():
        change = trim(latents, residual) - trim(baselines.expand(5, -1), residual)
    for method in (IntegratedGradients, DeepLift, ShapleyValues, exact_shapley):
        scores = attribute(method, trim, latents, baselines, residual)
        assert completeness_error(scores, change) < 0.02
    attribute(Saliency, trim, latents, baselines, residual)  # has none, and is not given any


def test_one_pass_and_class_by_class_are_chosen_by_the_options():
    """An option that ours does not know sends the method through Captum."""
    trim, latents, residual, _ = relu_case()
    ours = attribute(IntegratedGradients, trim, latents, residual=residual, n_steps=20)
    theirs = attribute(
        IntegratedGradients, trim, latents, residual=residual, n_steps=20, method="riemann_middle"
    )
    assert 0 < (ours - theirs).abs().max() < 0.1 * ours.abs().max()
    coarse = attribute(IntegratedGradients, trim, latents, residual=residual, n_steps=2)
    assert (coarse - ours).abs().max() > 1e-4
    signed = attribute(Saliency, trim, latents, residual=residual, abs=False)
    torch.testing.assert_close(signed.abs(), attribute(Saliency, trim, latents, residual=residual))
    assert (signed < 0).any()


@pytest.mark.parametrize(
    "method", [IntegratedGradients, DeepLift, FeatureAblation, GradientShap, exact_shapley,
               expected_gradients, lambda trim: IntegratedGradients(trim)]
)  # fmt: skip
def test_every_kind_of_method_works_where_gradients_are_off(method):
    trim, latents, residual, _ = relu_case()
    expected = attribute(method, trim, latents, residual=residual)
    with torch.no_grad():
        found = attribute(method, trim, latents, residual=residual)
    torch.testing.assert_close(found, expected)
    with torch.inference_mode(), pytest.raises(RuntimeError, match="outside torch.inference_mode"):
        attribute(method, trim, latents, residual=residual)


def test_what_takes_a_distribution_of_baselines_is_known():
    assert all(map(takes_distribution, (expected_gradients, GradientShap, DeepLiftShap)))
    assert takes_distribution(GradientShap(lambda latents: latents))
    assert not any(map(takes_distribution, (IntegratedGradients, exact_shapley)))
    assert name_of(KernelShap) == "KernelShap"
    assert name_of(Saliency(None)) == "Saliency"


def test_a_method_that_sums_latents_up_is_refused():
    trim, latents, _, _ = relu_case()
    with pytest.raises(ValueError, match=r"one attribution per latent, \(5, 4\). Got"):
        attribute(lambda trim: Summed(trim), trim, latents)


class Summed(Saliency):
    def attribute(self, inputs, target=None, additional_forward_args=None):
        return super().attribute(inputs, target).sum(dim=1)


def test_options_that_make_a_method_return_more_are_refused():
    trim = Trim(torch.nn.Linear(4, 3), torch.nn.Linear(2, 4))
    with pytest.raises(TypeError, match="`method` must return a tensor .* Got tuple from Integrat"):
        attribute(IntegratedGradients, trim, torch.randn(5, 2), return_convergence_delta=True)
