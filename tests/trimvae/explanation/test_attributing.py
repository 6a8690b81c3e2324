"""Attributions, and what is explained at both ends: closed forms and Captum."""

import pytest
import torch
from captum.attr import GradientShap, IntegratedGradients
from torch import nn

from attributions import Trim, exact_shapley, expected_gradients
from tests.cases import FunctionModule
from tests.trimvae.explanation.made import Identity, linear
from trimvae import VAE, explain


@pytest.fixture(scope="module")
def case():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = VAE.dense((6,), latent_size=3, hidden=(16,)).eval()
        predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
        return vae, predictor, torch.randn(12, 6)


def test_attributions_are_those_of_captum_for_every_class(case):
    vae, predictor, inputs = case
    explanation = explain(vae, predictor, inputs, explained="output")
    latents = vae.encode(inputs).mean.detach()
    torch.testing.assert_close(explanation.latents, latents)
    torch.testing.assert_close(explanation.deviations, vae.encode(inputs).stddev.detach())
    for target in range(4):
        expected = IntegratedGradients(Trim(predictor, vae.decode)).attribute(
            latents, target=target, n_steps=50
        )
        torch.testing.assert_close(
            explanation.attributions[:, target], expected.detach(), atol=1e-5, rtol=1e-4
        )


def test_what_a_code_returns_is_checked_for_all_examples(case):
    """Those at the door are asked of a few."""
    predictor, inputs = case[1], torch.randn(30, 6)
    code = Identity()
    code.encode = lambda points: torch.where(points > 1e3, torch.nan, points)
    inputs[20, 0] = 1e4
    with pytest.raises(ValueError, match=r"`code.encode` must return finite latents.*\[20\]"):
        explain(code, predictor, inputs)
    code = Identity()
    code.decode = lambda latents: torch.where(latents > 1e3, torch.nan, latents)
    with pytest.raises(ValueError, match=r"`code.decode` must return finite inputs.*\[20\]"):
        explain(code, predictor, inputs)


def test_with_residual_attributions_are_captums_along_the_shifted_path(case):
    vae, predictor, inputs = case
    explanation = explain(vae, predictor, inputs, explained="output", residual=True)
    trim = Trim(predictor, vae.decode)
    latents = explanation.latents
    residual = trim.residual(inputs, latents)
    expected = IntegratedGradients(trim).attribute(
        latents, target=1, n_steps=50, additional_forward_args=residual
    )
    torch.testing.assert_close(
        explanation.attributions[:, 1], expected.detach(), atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(explanation.explained_at, predictor(inputs).detach())
    at_start = predictor(vae.decode(torch.zeros(12, 3)) + residual).detach()
    torch.testing.assert_close(explanation.explained_at_baseline, at_start)
    without = explain(vae, predictor, inputs, explained="output")
    assert not torch.allclose(explanation.attributions, without.attributions, atol=1e-3)
    # Fidelity never counts the residual.
    assert explanation.metrics["agreement"] == without.metrics["agreement"]
    assert explanation.metrics["latent_share"] == without.metrics["latent_share"]


def test_latents_and_residual_together_account_for_the_output(case):
    """f(x) - f(D(b)) = [f(x) - f(D(z))] + sum of attributions."""
    vae, predictor, inputs = case
    explanation = explain(vae, predictor, inputs)
    centred = predictor(inputs) - predictor(inputs).mean(1, keepdim=True)
    residual_part = centred - explanation.explained_at
    total = residual_part + explanation.attributions.sum(dim=2)
    expected = centred - explanation.explained_at_baseline
    torch.testing.assert_close(total, expected.detach(), atol=1e-4, rtol=1e-4)


def test_outputs_are_the_predictors_at_inputs_reconstructions_and_baselines(case):
    vae, predictor, inputs = case
    baselines = torch.randn(12, 3)
    explanation = explain(vae, predictor, inputs, baselines=baselines)
    torch.testing.assert_close(explanation.outputs, predictor(inputs).detach())
    torch.testing.assert_close(explanation.reconstructions, vae(inputs).detach())
    torch.testing.assert_close(explanation.reencoded_outputs, predictor(vae(inputs)).detach())
    expected = predictor(vae.decode(baselines)).detach()
    torch.testing.assert_close(explanation.baseline_outputs, expected)
    assert explanation.settings["baselines_per_example"]
    common = explain(vae, predictor, inputs)
    assert common.baseline_outputs.shape == (1, 4)
    assert not common.settings["baselines_per_example"]


def test_the_share_of_the_latents_is_theirs_and_not_the_residuals():
    """The code keeps the first of two features, which carries 3 of 4 units of evidence."""

    class Keeps(nn.Module):
        def encode(self, inputs):
            return inputs[:, :1]

        def decode(self, latents):
            return torch.cat([latents, torch.zeros_like(latents)], dim=1)

    inputs = torch.tensor([[3.0, 1.0], [1.0, 3.0], [2.0, 0.0], [0.0, 2.0]])
    explanation = explain(Keeps(), linear([1.0, 1.0]), inputs)
    torch.testing.assert_close(
        explanation.latent_share, torch.tensor([0.75, 0.25, 1.0, 0.0]), atol=1e-6, rtol=0
    )


def test_the_share_is_of_the_predicted_class():
    class Keeps(Identity):
        def encode(self, inputs):
            return inputs * torch.tensor([1.0, 0.0])

    inputs = torch.tensor([[5.0, 1.0], [1.0, 5.0]])
    found = explain(Keeps(), linear([1.0, 0.0], [0.0, 1.0]), inputs, explained="output")
    torch.testing.assert_close(found.latent_share, torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("residual", [False, True])
def test_a_distribution_of_baselines_is_explained_from_its_mean_output(case, residual):
    vae, predictor, inputs = case
    rows = torch.randn(7, 3)
    explanation = explain(
        vae,
        predictor,
        inputs,
        explained="output",
        method=GradientShap,
        baselines=rows,
        residual=residual,
    )
    left_out = inputs - vae(inputs) if residual else torch.zeros(12, 6)
    expected = torch.stack([predictor(vae.decode(row[None]) + left_out) for row in rows])
    torch.testing.assert_close(
        explanation.explained_at_baseline, expected.mean(dim=0).detach(), atol=1e-5, rtol=1e-4
    )
    assert explanation.baseline_outputs.shape == (1, 4)
    assert explanation.total_variation is None
    assert explanation.settings["n_steps"] is None


def test_an_ignored_latent_gets_exactly_nothing(case):
    _, predictor, inputs = case
    vae = VAE.dense((6,), latent_size=3, hidden=(16,))
    with torch.no_grad():
        vae.decoder.dense[0].weight[:, 1] = 0
    explanation = explain(vae, predictor, inputs)
    assert explanation.attributions[:, :, 1].abs().max() == 0
    assert explanation.attributions[:, :, 0].abs().max() > 0


def test_total_variation_bounds_the_attributions(case):
    vae, predictor, inputs = case
    explanation = explain(vae, predictor, inputs, n_steps=16)
    assert bool((explanation.total_variation >= explanation.attributions.abs() - 1e-6).all())
    assert explanation.metrics["monotonicity"] < 1


def test_steps_tolerance_and_seed_are_handed_to_the_method(case):
    vae, predictor, inputs = case
    assert explain(vae, predictor, inputs, n_steps=7).settings["n_steps"] == 7
    bent = FunctionModule(lambda logits: torch.sin(8 * logits))
    coarse, fine = (
        explain(vae, bent, inputs, tolerance=tolerance).settings["n_steps"]
        for tolerance in (0.1, 1e-4)
    )
    assert coarse < fine
    options = {"method": GradientShap, "method_options": {"n_samples": 2}}
    one, same, other = (
        explain(vae, predictor, inputs, seed=seed, **options).attributions for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    few, many = (
        explain(vae, predictor, inputs, method=expected_gradients, n_steps=n_steps).attributions
        for n_steps in (1, 64)
    )
    assert not torch.allclose(few, many, atol=1e-4)
    with pytest.raises(TypeError, match="`options` must be known to exact_shapley"):
        explain(vae, predictor, inputs, method=exact_shapley, n_steps=4)


def test_captums_own_options_go_with_the_steps(case):
    vae, predictor, inputs = case
    options = {"method": IntegratedGradients, "method_options": {"internal_batch_size": 36}}
    found = explain(vae, predictor, inputs, n_steps=3, explained="output", **options)
    expected = IntegratedGradients(Trim(predictor, vae.decode)).attribute(
        found.latents, target=2, n_steps=3
    )
    torch.testing.assert_close(found.attributions[:, 2], expected.detach())


def test_options_of_a_method_go_by_name():
    with pytest.raises(TypeError, match="`method_options` must hold options by name. Got 3. Write"):
        explain(Identity(), nn.Linear(2, 3), torch.ones(2, 2), method_options=3)
