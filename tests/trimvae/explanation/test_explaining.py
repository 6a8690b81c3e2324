"""explain(): predictors as users have them, and what an explanation says of itself."""

import numpy as np
import pytest
import torch
from torch import nn

from attributions import Contrast
from tests.cases import FunctionModule, HuggingFaceStyle, convolutional_predictor
from tests.trimvae.explanation.made import Identity, linear
from trimvae import VAE, explain
from trimvae.explanation.explanation import Explanation


@pytest.fixture(scope="module")
def vae():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VAE.dense((6,), latent_size=3, hidden=(16,))


def test_a_torchvision_resnet_is_explained_with_no_more_than_preprocess():
    torchvision = pytest.importorskip("torchvision")
    resnet = torchvision.models.resnet18(weights=None)
    vae = VAE.convolutional((3, 64, 64), 2, channels=4, hidden=16)
    mean, deviation = (
        torch.tensor(values).view(3, 1, 1)
        for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    explanation = explain(
        vae,
        resnet,
        torch.rand(1, 3, 64, 64),
        preprocess=lambda images: (images - mean) / deviation,
        n_steps=16,
    )
    assert explanation.attributions.shape == (1, 1, 2)  # of many classes the predicted one
    assert explanation.metrics["completeness_error"] < 0.05


def test_grey_small_codes_meet_colour_classifiers_through_preprocess():
    classifier = convolutional_predictor(size=56, channels=3)
    vae = VAE.convolutional((1, 28, 28), 2, channels=4, hidden=8)
    upscale = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 3, 1))
    explanation = explain(vae, classifier, torch.rand(2, 1, 28, 28), preprocess=upscale, n_steps=2)
    assert explanation.attributions.shape == (2, 10, 2)
    assert all(parameter.grad is None for parameter in upscale.parameters())


@pytest.mark.parametrize(
    ("wrap", "classes"),
    [
        (lambda linear: linear, 4),
        (HuggingFaceStyle, 4),
        (lambda linear: FunctionModule(lambda logits: logits[:, 0]), 1),
        (lambda linear: FunctionModule(lambda logits: logits[:, :1]), 1),
        (lambda linear: FunctionModule(lambda logits: (logits, None)), 4),
        (lambda linear: linear.forward, 4),
        (lambda linear: lambda inputs: linear(inputs), 4),
    ],
)
def test_predictors_come_as_users_have_them(wrap, classes, vae, inputs):
    explanation = explain(vae, wrap(nn.Linear(6, 4)), inputs)
    assert explanation.attributions.shape == (12, classes, 3)
    assert len(explanation.to_frame()) == 12 * 3
    assert explanation.traverse(0, 1).outputs.shape == (9, classes)


def test_a_single_output_is_a_regression_unless_it_is_said_to_be_a_logit(vae, inputs):
    predictor = FunctionModule(lambda logits: logits[:, 0])
    assert explain(vae, predictor, inputs).task == "regression"
    explanation = explain(
        vae, predictor, inputs, task="classification", class_names=["benign", "malignant"]
    )
    assert torch.equal(explanation.predicted, (predictor(inputs) > 0).long())
    assert 0 <= explanation.metrics["agreement"] <= 1
    assert set(explanation.to_frame()["predicted"]) <= {"benign", "malignant"}


def test_several_outputs_may_be_quantities(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs, task="regression", class_names=list("abcd"))
    assert explanation.task == "regression"
    assert explanation.predicted.tolist() == [0] * 12
    assert explanation.explained_names == ("a", "b", "c", "d")


def test_a_contrast_asks_why_this_rather_than_that(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs, explained=Contrast(2, 0))
    plain = explain(vae, predictor, inputs, explained="output").attributions
    torch.testing.assert_close(
        explanation.attributions[:, 0], plain[:, 2] - plain[:, 0], atol=1e-5, rtol=1e-4
    )
    assert explanation.settings["contrast"] == [2, 0]
    assert explanation.plot().axes[0].get_yticklabels()[0].get_text() == "2 rather than 0"


def test_centred_logits_are_the_default_and_add_up_to_nothing(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs)
    assert explanation.settings["explained"] == "centred_logit"
    torch.testing.assert_close(
        explanation.attributions.sum(dim=1), torch.zeros(12, 3), atol=1e-5, rtol=0
    )


def test_a_softmax_is_said_to_the_caller_and_explained_as_its_logits(vae, predictor, inputs):
    with pytest.warns(UserWarning, match="ends in a softmax") as said:
        softmax = explain(vae, nn.Sequential(predictor, nn.Softmax(dim=1)), inputs)
    assert said[0].filename == __file__
    plain = explain(vae, predictor, inputs)
    torch.testing.assert_close(softmax.attributions, plain.attributions, atol=1e-4, rtol=1e-3)
    assert softmax.settings["probabilities"]
    assert softmax.metrics["prediction_kl"] == pytest.approx(
        plain.metrics["prediction_kl"], abs=1e-5
    )


def test_warnings_say_what_a_reader_must_know(vae, inputs):
    far = FunctionModule(lambda logits: 100 * torch.sin(5 * logits))
    texts = " ".join(explain(vae, far, inputs, n_steps=2).warnings)
    assert "The re-encoded prediction disagrees for" in texts
    assert "raise n_steps" in texts
    dead_vae = VAE.dense((6,), latent_size=3, hidden=(16,))
    with torch.no_grad():
        for parameter in dead_vae.decoder.parameters():
            parameter.zero_()
    dead = explain(dead_vae, far, inputs)
    assert "no attribution at all" in " ".join(dead.warnings)
    assert "of the evidence is in the residual" in " ".join(dead.warnings)
    assert dead.effective_latents.isnan().all()


def test_noise_keeps_its_value_along_the_path_unless_it_is_explained():
    class Noisy(Identity):
        blocks = (("cause", 0, 1, "real"), ("noise", 1, 2, "noise"))

    inputs = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    predictor = linear([1.0, 10.0], [0.0, 0.0])
    explanation = explain(Noisy(), predictor, inputs, explained="output")
    assert explanation.attributions[:, 0].tolist() == [[1.0, 0.0], [3.0, 0.0]]
    assert explanation.baselines.tolist() == [[0.0, 2.0], [0.0, -1.0]]
    assert explanation.explained_at_baseline[:, 0].tolist() == [20.0, -10.0]
    whole = explain(Noisy(), predictor, inputs, explained="output", explain_noise=True)
    torch.testing.assert_close(whole.attributions[:, 0], torch.tensor([[1.0, 20.0], [3.0, -10.0]]))


def test_labels_are_kept_and_change_nothing_else(vae, predictor, inputs):
    labels = torch.arange(12) % 4
    with_labels = explain(vae, predictor, inputs, labels=labels, n_steps=4)
    assert torch.equal(with_labels.labels, labels)
    without = explain(vae, predictor, inputs, n_steps=4)
    assert without.labels is None
    assert torch.equal(with_labels.attributions, without.attributions)
    assert with_labels.metrics == without.metrics


def test_a_sigmoid_that_decides_is_explained_by_its_logit(vae, inputs):
    linear = nn.Linear(6, 1)
    with pytest.warns(UserWarning, match="ends in a sigmoid") as said:
        found = explain(vae, nn.Sequential(linear, nn.Sigmoid()), inputs, task="classification")
    assert said[0].filename == __file__
    plain = explain(vae, linear, inputs, task="classification")
    assert torch.equal(found.predicted, (linear(inputs) > 0)[:, 0].long())
    torch.testing.assert_close(found.attributions, plain.attributions, atol=1e-3, rtol=1e-3)


def test_a_code_that_draws_its_latents_is_refused_and_the_callers_randomness_stays(inputs):
    code, linear = Identity(), nn.Linear(6, 3)
    code.encode = lambda points: torch.distributions.Normal(points, 0.3).rsample()
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="`code.encode` must not change from call to call"):
        explain(code, linear, inputs)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_code_that_centres_its_batch_is_refused(inputs):
    code = Identity()
    code.encode = lambda points: points - points.mean(dim=0)
    with pytest.raises(ValueError, match="`code.encode` must answer for each example alone"):
        explain(code, nn.Linear(6, 3), inputs)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated")
@pytest.mark.parametrize(
    "made", [torch.jit.script, lambda module: torch.compile(module, backend="eager")]
)
def test_scripted_and_compiled_predictors_are_explained_as_they_are(vae, predictor, inputs, made):
    found = explain(vae, made(predictor), inputs)
    plain = explain(vae, predictor, inputs)
    torch.testing.assert_close(found.attributions, plain.attributions)


def test_what_is_no_method_is_refused(vae, predictor, inputs):
    with pytest.raises(TypeError, match="`method` must be"):
        explain(vae, predictor, inputs, method="integrated_gradients")


def test_whole_numbers_of_numpy_are_taken_and_saved(vae, tmp_path):
    predictor, inputs = nn.Linear(6, 4), torch.randn(4, 6)
    plain = explain(vae, predictor, inputs, explained=Contrast(0, 1), max_points=8, seed=3)
    zero, eight, three = map(np.int64, (0, 8, 3))
    found = explain(
        vae, predictor, inputs, explained=Contrast(zero, 1), max_points=eight, seed=three
    )
    assert torch.equal(found.attributions, plain.attributions)
    found.save(tmp_path / "saved.safetensors")
    assert Explanation.load(tmp_path / "saved.safetensors").explained == Contrast(0, 1)


@pytest.mark.parametrize("seed", [None, 1.5])
def test_a_seed_that_is_no_whole_number_is_refused(vae, seed):
    with pytest.raises(TypeError, match="`seed` must be a whole number"):
        explain(vae, nn.Linear(6, 4), torch.randn(4, 6), seed=seed)
