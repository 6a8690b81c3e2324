import pytest
import torch
from captum.attr import GradientShap, Saliency
from torch import nn

from attributions import completeness_error, exact_shapley, expected_gradients
from trimvae import VAE, explain
from trimvae.baselines import baselines_named


@pytest.fixture
def case():
    vae, predictor = VAE.dense((6,), latent_size=3), nn.Linear(6, 3)
    return vae, predictor, torch.randn(20, 6), torch.randn(50, 6)


def test_named_baselines_are_what_they_say(case):
    vae, predictor, inputs, background = case
    predicted = predictor(inputs).argmax(dim=1)
    with torch.no_grad():
        latents, codes = vae.encode(inputs).mean, vae.encode(background).mean
    options = {"predictor": predictor, "background": background}

    def named(name, **more):
        return baselines_named(name, vae, latents, predicted, **options, **more)

    assert torch.equal(named("prior_mean"), torch.zeros(1, 3))
    torch.testing.assert_close(named("dataset_mean"), codes.mean(dim=0, keepdim=True))
    classes = predictor(background).argmax(dim=1)
    rows = named("class_mean")
    for index in predicted.unique():
        expected = codes[classes == index].mean(dim=0)
        torch.testing.assert_close(
            rows[predicted == index], expected.expand((predicted == index).sum(), -1)
        )
    draws = named("posterior", distribution=True)
    assert draws.shape == (100, 3)
    assert named("posterior").shape == (20, 3)


@pytest.mark.parametrize("name", ["prior_mean", "dataset_mean", "class_mean", "posterior"])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("method", [exact_shapley, expected_gradients, GradientShap])
def test_attributions_are_complete_from_every_baseline(case, name, residual, method):
    vae, predictor, inputs, background = case
    explanation = explain(
        vae,
        predictor,
        inputs,
        method=method,
        baselines=name,
        background=background,
        residual=residual,
        method_options={} if method is exact_shapley else {"n_samples": 500},
    )
    change = explanation.explained_at - explanation.explained_at_baseline
    error = completeness_error(explanation.attributions, change)
    assert error < (1e-4 if method is exact_shapley else 0.15)
    assert explanation.settings["method"] == method.__name__
    assert "monotonicity" not in explanation.metrics
    explanation.summary()


def test_methods_that_are_not_complete_say_so(case):
    vae, predictor, inputs, _ = case
    explanation = explain(vae, predictor, inputs, method=Saliency)
    assert any("Saliency ranks latents" in text for text in explanation.warnings)


def test_bad_baselines_are_refused(case):
    vae, predictor, inputs, background = case
    with pytest.raises(ValueError, match="`baselines` must be a tensor or one of"):
        explain(vae, predictor, inputs, baselines="zero")
    with pytest.raises(ValueError, match="must hold inputs for baselines='class_mean'"):
        explain(vae, predictor, inputs, baselines="class_mean")
    predicted = predictor(background).argmax(dim=1)
    one_class = background[predicted == predicted[0]]
    with pytest.raises(ValueError, match="examples of every predicted class"):
        explain(vae, predictor, inputs, baselines="class_mean", background=one_class)
    with pytest.raises(ValueError, match=r"`baselines` must have shape \(1, 3\)"):
        explain(vae, predictor, inputs, baselines=torch.zeros(7, 3))
