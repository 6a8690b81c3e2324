import importlib.metadata
import json

import pytest
import torch
from captum.attr import IntegratedGradients
from safetensors.torch import save_file
from torch import nn

from attributions import Contrast, Trim
from tests.cases import (
    FunctionModule,
    HuggingFaceStyle,
    assert_same_snapshot,
    convolutional_predictor,
    snapshot,
)
from trimvae import VAE, Explanation, explain, fit, traverse


@pytest.fixture
def vae():
    return VAE.dense((6,), latent_size=3, hidden=(16,))


@pytest.fixture
def predictor():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))


@pytest.fixture
def inputs():
    return torch.randn(12, 6)


def test_attributions_are_those_of_captum_for_every_class(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs, explained="output")
    latents = vae.encode(inputs).mean.detach()
    torch.testing.assert_close(explanation.latents, latents)
    for target in range(4):
        expected = IntegratedGradients(Trim(predictor, vae.decode)).attribute(
            latents, target=target, n_steps=50
        )
        torch.testing.assert_close(
            explanation.attributions[:, target], expected.detach(), atol=1e-5, rtol=1e-4
        )


def test_latents_and_residual_together_account_for_the_output(vae, predictor, inputs):
    """f(x) - f(D(b)) = [f(x) - f(D(z))] + sum of attributions."""
    explanation = explain(vae, predictor, inputs)
    centred = predictor(inputs) - predictor(inputs).mean(1, keepdim=True)
    residual_part = centred - explanation.explained_at
    total = residual_part + explanation.attributions.sum(dim=2)
    expected = centred - explanation.explained_at_baseline
    torch.testing.assert_close(total, expected.detach(), atol=1e-4, rtol=1e-4)


def test_with_residual_attributions_end_at_the_predictors_own_output(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs, residual=True, explained="output")
    torch.testing.assert_close(explanation.explained_at, predictor(inputs).detach())
    assert explanation.metrics["completeness_error"] < 1e-4
    # Fidelity never counts the residual.
    without = explain(vae, predictor, inputs, explained="output")
    assert explanation.metrics["agreement"] == without.metrics["agreement"]
    assert explanation.metrics["latent_share"] == without.metrics["latent_share"]


def test_outputs_are_the_predictors_at_inputs_reconstructions_and_baseline(vae, predictor, inputs):
    baselines = torch.randn(12, 3)
    explanation = explain(vae, predictor, inputs, baselines=baselines)
    torch.testing.assert_close(explanation.outputs, predictor(inputs).detach())
    torch.testing.assert_close(explanation.reencoded_outputs, predictor(vae(inputs)).detach())
    expected = predictor(vae.decode(baselines)).detach()
    torch.testing.assert_close(explanation.baseline_outputs, expected)
    assert explain(vae, predictor, inputs).baseline_outputs.shape == (1, 4)


def test_metrics_have_the_documented_names_and_hold_by_hand(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs)
    assert list(explanation.metrics) == [
        "agreement",
        "prediction_kl",
        "reconstruction_error",
        "completeness_error",
        "effective_latents",
        "latents_for_90_percent",
        "latent_share",
        "monotonicity",
    ]
    reconstructions = vae(inputs)
    same = predictor(inputs).argmax(1) == predictor(reconstructions).argmax(1)
    assert explanation.metrics["agreement"] == pytest.approx(same.float().mean().item())
    error = (inputs - reconstructions).pow(2).sum(1).mean().item()
    assert explanation.metrics["reconstruction_error"] == pytest.approx(error, rel=1e-5)
    assert torch.equal(explanation.disagrees, ~same)


def test_an_ignored_latent_gets_exactly_nothing(predictor, inputs):
    vae = VAE.dense((6,), latent_size=3, hidden=(16,))
    with torch.no_grad():
        vae.decoder.dense[0].weight[:, 1] = 0
    explanation = explain(vae, predictor, inputs)
    assert explanation.attributions[:, :, 1].abs().max() == 0
    assert explanation.attributions[:, :, 0].abs().max() > 0


def test_nothing_of_the_callers_changes_also_after_an_exception():
    predictor = convolutional_predictor(classes=3).train()
    vae = VAE.convolutional((1, 28, 28), 2, channels=4, hidden=8).train()
    images = torch.rand(6, 1, 28, 28)
    copy, state = images.clone(), torch.get_rng_state()
    before = snapshot(predictor), snapshot(vae)
    explain(vae, predictor, images, n_steps=4)
    broken = images.clone()
    broken[5] = 0.5
    dangerous = nn.Sequential(predictor, Poisoned())
    with pytest.raises(ValueError, match="NaN or infinity for the examples"):
        explain(vae, dangerous, torch.cat([images] * 2), n_steps=4)
    assert_same_snapshot(before[0], snapshot(predictor))
    assert_same_snapshot(before[1], snapshot(vae))
    assert torch.equal(images, copy)
    assert torch.equal(state, torch.get_rng_state())


class Poisoned(nn.Module):
    """NaN from the ninth example on: past what the first check sees."""

    def forward(self, outputs):
        if len(outputs) > 8:
            outputs = outputs.clone()
            outputs[8] = float("nan")
        return outputs


def test_a_torchvision_resnet_is_explained_with_no_more_than_preprocess():
    torchvision = pytest.importorskip("torchvision")
    resnet = torchvision.models.resnet18(weights=None)
    vae = VAE.convolutional((3, 64, 64), 4, channels=4, hidden=16)
    mean, deviation = (
        torch.tensor(values).view(3, 1, 1)
        for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    explanation = explain(
        vae,
        resnet,
        torch.rand(2, 3, 64, 64),
        preprocess=lambda images: (images - mean) / deviation,
        n_steps=32,
    )
    assert explanation.attributions.shape == (2, 1000, 4)
    assert explanation.metrics["completeness_error"] < 0.05
    assert explanation.plot().axes[0].get_title(loc="left").endswith("(30 of 1000 classes)")


def test_grey_small_codes_meet_colour_classifiers_through_preprocess():
    classifier = convolutional_predictor(size=56, channels=3)
    vae = VAE.convolutional((1, 28, 28), 2, channels=4, hidden=8)
    upscale = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 3, 1))
    explanation = explain(vae, classifier, torch.rand(3, 1, 28, 28), preprocess=upscale, n_steps=4)
    assert explanation.attributions.shape == (3, 10, 2)
    assert all(parameter.grad is None for parameter in upscale.parameters())


@pytest.mark.parametrize(
    ("wrap", "classes"),
    [
        (lambda linear: linear, 4),
        (HuggingFaceStyle, 4),
        (lambda linear: FunctionModule(lambda logits: logits[:, 0]), 1),
        (lambda linear: FunctionModule(lambda logits: logits[:, :1]), 1),
        (lambda linear: FunctionModule(lambda logits: (logits, None)), 4),
    ],
)
def test_predictors_come_as_users_have_them(wrap, classes, vae, inputs):
    explanation = explain(vae, wrap(nn.Linear(6, 4)), inputs)
    assert explanation.attributions.shape == (12, classes, 3)
    assert len(explanation.to_frame()) == 12 * 3
    explanation.plot()
    explanation.plot_traversals(1)


def test_a_single_logit_is_a_classification_when_said(vae, inputs):
    predictor = FunctionModule(lambda logits: logits[:, 0])
    explanation = explain(
        vae, predictor, inputs, task="classification", class_names=["benign", "malignant"]
    )
    assert set(explanation.predicted.tolist()) <= {0, 1}
    assert 0 <= explanation.metrics["agreement"] <= 1
    assert set(explanation.to_frame()["predicted"]) <= {"benign", "malignant"}
    explanation.plot_traversals(0)


def test_a_contrast_asks_why_this_rather_than_that(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs, explained=Contrast(2, 0))
    plain = explain(vae, predictor, inputs, explained="output").attributions
    torch.testing.assert_close(
        explanation.attributions[:, 0], plain[:, 2] - plain[:, 0], atol=1e-5, rtol=1e-4
    )
    assert explanation.plot().axes[0].get_yticklabels()[0].get_text() == "2 rather than 0"


def test_a_softmax_is_said_and_explained_as_its_logits(vae, predictor, inputs):
    with pytest.warns(UserWarning, match="ends in a softmax"):
        softmax = explain(vae, nn.Sequential(predictor, nn.Softmax(dim=1)), inputs)
    plain = explain(vae, predictor, inputs)
    torch.testing.assert_close(softmax.attributions, plain.attributions, atol=1e-4, rtol=1e-3)
    assert softmax.metrics["prediction_kl"] == pytest.approx(
        plain.metrics["prediction_kl"], abs=1e-5
    )


def test_warnings_say_what_a_reader_must_know(vae, inputs):
    far = FunctionModule(lambda logits: 100 * torch.sin(5 * logits))
    texts = " ".join(explain(vae, far, inputs, n_steps=2).warnings)
    assert "The re-encoded prediction disagrees for" in texts
    assert "raise n_steps" in texts
    with torch.no_grad():
        for parameter in vae.decoder.parameters():
            parameter.zero_()
    dead = explain(vae, far, inputs)
    assert "no attribution at all" in " ".join(dead.warnings)
    assert "of the evidence is in the residual" in " ".join(dead.warnings)
    assert dead.effective_latents.isnan().all()


def test_it_survives_the_file_and_is_plain_json(tmp_path, vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs, class_names=["a", "b", "ç", "<d>"])
    path = tmp_path / "explanation.safetensors"
    explanation.save(path)
    loaded = Explanation.load(path)
    assert loaded.metrics == explanation.metrics
    assert loaded.class_names == ("a", "b", "ç", "<d>")
    assert loaded.settings == json.loads(json.dumps(explanation.settings))
    json.dumps(loaded.to_dict())
    with pytest.raises(RuntimeError, match="loaded without them"):
        loaded.plot_traversals()
    Explanation.load(path, code=vae, predictor=predictor).plot_traversals()


def test_bad_files_are_refused(tmp_path, vae, predictor, inputs):
    path = tmp_path / "explanation.safetensors"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Explanation.load(path)
    explain(vae, predictor, inputs).save(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="truncated or of another kind"):
        Explanation.load(path)
    save_file({"latents": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="written by something else"):
        Explanation.load(path)


def test_the_frame_has_one_row_per_example_and_latent(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs)
    frame = explanation.to_frame()
    row = frame[(frame.example == 3) & (frame.latent == "z1")].iloc[0]
    assert row.attribution == pytest.approx(explanation.target_attributions[3, 1].item())
    assert row.value == pytest.approx(explanation.latents[3, 1].item())
    everything = explanation.to_frame(all_classes=True)
    assert len(everything) == 12 * 4 * 3
    row = everything[
        (everything.example == 5) & (everything.explained == "2") & (everything.latent == "z0")
    ].iloc[0]
    assert row.attribution == pytest.approx(explanation.attributions[5, 2, 0].item())


def test_it_says_with_which_seed_and_versions_it_was_made(tmp_path, vae, predictor, inputs):
    assert explain(vae, predictor, inputs).settings["training"] is None
    fit(vae, predictor, inputs, max_epochs=1, seed=7, progress=False)
    vae.save(tmp_path / "vae")
    settings = explain(VAE.load(tmp_path / "vae"), predictor, inputs).settings
    assert settings["training"]["seed"] == 7
    assert settings["versions"]["torch"] == importlib.metadata.version("torch")


def test_names_can_be_given_later(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs).rename(latents=["size", "tilt", "ink"])
    assert "size" in explanation.summary()
    with pytest.raises(ValueError, match="`classes` must have 4 entries"):
        explanation.rename(classes=["a"])


def test_a_traversal_moves_one_latent_and_asks_the_predictor(vae, predictor, inputs):
    latents = torch.tensor([0.3, -1.0, 2.0])
    traversal = traverse(vae, predictor, latents, 1, values=torch.tensor([-1.0, 0.5]))
    torch.testing.assert_close(traversal.inputs[0], vae.decode(latents[None])[0].detach())
    moved = torch.tensor([[0.3, 0.5, 2.0]])
    torch.testing.assert_close(traversal.outputs[1], predictor(vae.decode(moved))[0].detach())
    with pytest.raises(ValueError, match="`latent` must be from 0 to 2"):
        traverse(vae, predictor, latents, 3)
    with pytest.raises(ValueError, match=r"`latents` must have shape \(3,\)"):
        traverse(vae, predictor, torch.zeros(2, 3), 0)


def test_bad_input_is_refused(vae, predictor, inputs):
    with pytest.raises(ValueError, match="`inputs` must hold at least one example"):
        explain(vae, predictor, inputs[:0])
    with pytest.raises(ValueError, match="in the dtype of the code"):
        explain(vae, predictor, inputs.double())
    with pytest.raises(ValueError, match=r"`baselines` must have shape \(1, 3\)"):
        explain(vae, predictor, inputs, baselines=torch.zeros(2, 3))
    with pytest.raises(ValueError, match="`class_names` must have 4 entries"):
        explain(vae, predictor, inputs, class_names=["a"])
    with pytest.raises(ValueError, match="`explained` must name classes below 4"):
        explain(vae, predictor, inputs, explained=Contrast(9, 0))
    with pytest.raises(ValueError, match="`example` must be from 0 to 11"):
        explain(vae, predictor, inputs).plot_traversals(12)


def test_examples_are_chosen_with_all_that_belongs_to_them(vae, predictor, inputs):
    labels = torch.arange(12) % 4
    explanation = explain(vae, predictor, inputs, labels=labels, baselines=torch.randn(12, 3))
    few = explanation.select([3, 0])
    for name in ("inputs", "attributions", "labels", "baselines", "baseline_outputs"):
        assert torch.equal(getattr(few, name), getattr(explanation, name)[[3, 0]])
    assert torch.equal(explanation.select(labels == 1).labels, torch.tensor([1, 1, 1]))
    assert len(explain(vae, predictor, inputs).select([5]).baselines) == 1
    with pytest.raises(ValueError, match="`examples` must leave at least one of the 12"):
        explanation.select([12])
    with pytest.raises(ValueError, match="`examples` must leave at least one"):
        explanation.select(torch.zeros(12, dtype=torch.bool))


def test_right_wrong_and_a_class_divide_the_examples(vae, predictor, inputs):
    labels = torch.arange(12) % 4
    names = ["a", "b", "c", "d"]
    explanation = explain(vae, predictor, inputs, labels=labels, class_names=names)
    right = explanation.predicted == labels
    assert torch.equal(explanation.correct().inputs, inputs[right])
    assert torch.equal(explanation.wrong().inputs, inputs[~right])
    target = int(explanation.predicted[0])
    of_class = explanation.for_class(names[target])
    assert torch.equal(of_class.inputs, inputs[explanation.predicted == target])
    assert torch.equal(of_class.inputs, explanation.for_class(target).inputs)
    with pytest.raises(ValueError, match="`target` must be a class: a, b, c, d, or its number"):
        explanation.for_class("e")
    with pytest.raises(ValueError, match="`labels` must be known"):
        explain(vae, predictor, inputs).wrong()
    with pytest.raises(ValueError, match="`labels` must be 12 whole numbers"):
        explain(vae, predictor, inputs, labels=labels[:3])


def test_the_most_used_latents_come_first_and_say_for_whom_they_speak():
    class Identity(nn.Module):
        def encode(self, inputs):
            return inputs

        def decode(self, latents):
            return latents

    predictor = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        predictor.weight.copy_(torch.tensor([[0.0, 5.0, 1.0], [0.0, -5.0, -1.0]]))
    explanation = explain(
        Identity(),
        predictor,
        torch.randn(20, 3),
        class_names=["up", "down"],
        baselines="prior_mean",
    )
    first, second = explanation.top(2)
    assert (first.latent, second.latent) == (1, 2)
    assert first.share > second.share > 0
    assert first.speaks_for == ("up", pytest.approx(5.0, abs=1e-4))
    assert first.speaks_against == ("down", pytest.approx(-5.0, abs=1e-4))
    with pytest.raises(ValueError, match="`k` must be at least 1"):
        explanation.top(0)


def test_latents_in_another_order_and_sign_are_matched(vae, predictor, inputs):
    class Turned(nn.Module):
        """The same code with its latents reversed, the first with another sign."""

        def encode(self, inputs):
            latents = vae.encode(inputs).mean[:, [2, 1, 0]]
            return latents * torch.tensor([-1.0, 1.0, 1.0])

        def decode(self, latents):
            return vae.decode((latents * torch.tensor([-1.0, 1.0, 1.0]))[:, [2, 1, 0]])

    one, other = explain(vae, predictor, inputs), explain(Turned(), predictor, inputs)
    found = one.compare(other)
    assert found.matched.tolist() == [2, 1, 0]
    torch.testing.assert_close(
        found.latent_correlation, torch.ones(3, dtype=torch.float64), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(found.share[0], found.share[1], atol=2e-3, rtol=0)
    assert found.same_decisions == 1
    assert found.rank_correlation == pytest.approx(1)
    assert "z0" in found.summary()
    with pytest.raises(ValueError, match="`other` must explain the same inputs"):
        one.compare(explain(vae, predictor, inputs + 1))


def test_a_notebook_sees_summary_and_heatmap_and_no_markup_of_names(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs, latent_names=["<b>x", "y", "z"])
    shown = explanation._repr_html_()
    assert "&lt;b&gt;x" in shown
    assert "data:image/png;base64," in shown
    assert "<b>x" not in shown


def test_what_is_moved_is_asked_in_logits_where_the_predictor_gives_probabilities(vae, inputs):
    predictor = nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1))
    explanation = explain(vae, predictor, inputs)
    traversal = explanation.traverse(0, 1)
    expected = predictor(traversal.inputs)
    torch.testing.assert_close(traversal.outputs.softmax(dim=1), expected.detach())
    assert explanation.counterfactuals([0]).outputs.softmax(dim=1).sum() == pytest.approx(1)
    torch.testing.assert_close(
        explanation.explained_at_inputs,
        explanation.trim.select(predictor(inputs)).detach(),
    )


def test_maps_over_the_columns_add_up_to_each_attribution(vae, predictor, inputs):
    explanation = explain(vae, predictor, inputs, n_steps=64, residual=True)
    for example in (0, 5):
        maps = explanation.pixels(example, n_steps=64)
        torch.testing.assert_close(
            maps.sum(dim=1), explanation.target_attributions[example], atol=1e-4, rtol=1e-3
        )
    with pytest.raises(ValueError, match="`chosen` must be latents from 0 to 2"):
        explanation.pixels(0, [3])
