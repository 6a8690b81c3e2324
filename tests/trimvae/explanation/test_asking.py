"""Nothing of the caller's changes: not by threads, in place, without gradients, or by an error."""

import threading

import pytest
import torch
from torch import nn

from attributions import Predictor
from tests.cases import assert_same_snapshot, convolutional_predictor, snapshot
from tests.trimvae.explanation.made import Identity, linear
from trimvae import VAE, evaluate, explain, find_counterfactuals, traverse
from trimvae.explanation.asking import FrozenCode, as_frozen, asked

LATENTS = torch.tensor([0.5, -0.5])


def trained_alike(size=28):
    """A predictor and a VAE in train mode, both with statistics that a forward pass changes."""
    predictor = convolutional_predictor(classes=3, size=size).train()
    vae = VAE.convolutional((1, size, size), 2, channels=4, hidden=8).train()
    return predictor, vae


def test_nothing_of_the_callers_changes_also_after_an_exception():
    predictor, vae = trained_alike()
    images = torch.rand(6, 1, 28, 28)
    copy, state = images.clone(), torch.get_rng_state()
    before = snapshot(predictor), snapshot(vae)
    explain(vae, predictor, images, n_steps=4)
    with pytest.raises(ValueError, match="NaN or infinity for the examples"):
        explain(vae, nn.Sequential(predictor, Poisoned()), torch.cat([images] * 2), n_steps=4)
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


def test_every_question_leaves_code_and_predictor_as_they_were():
    predictor, vae = trained_alike()
    explanation = explain(vae, predictor, torch.rand(4, 1, 28, 28), n_steps=4)
    before, state = (snapshot(predictor), snapshot(vae)), torch.get_rng_state()
    explanation.traverse(0, 0, n_steps=2)
    explanation.counterfactuals([0], n_steps=3)
    explanation.attributes(0, k=1)
    explanation.pixels(0, [0], n_steps=2)
    traverse(vae, predictor, LATENTS, 0, n_steps=2)
    find_counterfactuals(vae, predictor, LATENTS[None], n_steps=3, method="gradient")
    assert_same_snapshot(before[0], snapshot(predictor))
    assert_same_snapshot(before[1], snapshot(vae))
    assert torch.equal(state, torch.get_rng_state())


def test_threads_that_explain_at_once_find_the_same_and_see_nothing_change():
    """Four threads, two explanations each, of one predictor and one VAE, both in train mode."""
    predictor, vae = trained_alike()
    images = torch.rand(4, 1, 28, 28)
    before = snapshot(predictor), snapshot(vae)
    expected = explain(vae, predictor, images, n_steps=4)
    found, wrong = [], []
    started, over = threading.Barrier(5), threading.Event()

    def explain_often():
        started.wait()
        for _ in range(2):
            found.append(explain(vae, predictor, images, n_steps=4))

    def watch():
        while not over.is_set():
            for module in (predictor, vae):
                if not all(part.training for part in module.modules()):
                    wrong.append("mode")
                if not all(
                    type(parameter) is nn.Parameter and parameter.requires_grad
                    for parameter in module.parameters()
                ):
                    wrong.append("parameters")

    watcher = threading.Thread(target=watch)
    threads = [threading.Thread(target=explain_often) for _ in range(4)]
    for thread in (watcher, *threads):
        thread.start()
    started.wait()
    for thread in threads:
        thread.join()
    over.set()
    watcher.join()
    assert len(found) == 8
    assert not wrong
    for explanation in found:
        assert torch.equal(explanation.attributions, expected.attributions)
        assert torch.equal(explanation.outputs, expected.outputs)
        assert explanation.metrics == expected.metrics
    assert_same_snapshot(before[0], snapshot(predictor))
    assert_same_snapshot(before[1], snapshot(vae))


class InPlace(Identity):
    """A code that overwrites whatever it is given."""

    def encode(self, inputs):
        return inputs.mul_(2.0)

    def decode(self, latents):
        return latents.mul_(0.5)


def in_place(inputs):
    return inputs.clamp_(-0.1, 0.1)


def test_what_works_in_place_reaches_neither_the_caller_nor_the_explanation():
    inputs, background = torch.randn(5, 2), torch.randn(9, 2)
    baselines = torch.randn(5, 2)
    held = [tensor.clone() for tensor in (inputs, background, baselines)]
    code, function = InPlace(), nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 3))
    options = {"preprocess": in_place, "residual": True, "n_steps": 8}
    explanation = explain(code, function, inputs, baselines=baselines, **options)
    explain(code, function, inputs, baselines="class_mean", background=background, **options)
    for tensor, before in zip((inputs, background, baselines), held, strict=True):
        assert torch.equal(tensor, before)
    assert torch.equal(explanation.inputs, inputs)
    assert torch.equal(explanation.baselines, baselines)
    torch.testing.assert_close(explanation.latents, 2 * inputs)
    torch.testing.assert_close(explanation.reconstructions, inputs)
    torch.testing.assert_close(explanation.outputs, function(inputs.clamp(-0.1, 0.1)).detach())
    tensors = {name: tensor.clone() for name, tensor in explanation.tensors().items()}
    explanation.traverse(0, 1)
    explanation.counterfactuals(method="gradient")
    explanation.counterfactuals(n_steps=3)
    explanation.pixels(0)
    for attribute in explanation.attributes(1):
        explanation.attribute_pairs(attribute, 1)
    for name, before in tensors.items():
        assert torch.equal(getattr(explanation, name), before), name


def test_a_frozen_code_is_given_copies():
    code, tensor = FrozenCode(InPlace()), torch.ones(3, 2)
    assert code.encode(tensor).unique().tolist() == [2.0]
    assert code.decode(tensor).unique().tolist() == [0.5]
    assert tensor.unique().tolist() == [1.0]


def test_an_explanation_does_not_follow_what_the_caller_does_to_the_inputs():
    inputs = torch.randn(4, 2)
    explanation = explain(Identity(), nn.Linear(2, 3), inputs)
    before = explanation.inputs.clone()
    inputs.zero_()
    assert torch.equal(explanation.inputs, before)
    assert torch.equal(explanation.latents, before)


def test_all_can_be_asked_where_no_gradients_are_recorded():
    vae, predictor, inputs = (
        VAE.dense((6,), latent_size=2, hidden=(8,)),
        nn.Linear(6, 3),
        torch.randn(5, 6),
    )
    expected = explain(vae, predictor, inputs)
    with torch.no_grad():
        found = explain(vae, predictor, inputs)
        moved = found.counterfactuals(method="gradient").latents
        maps, traversal, attributes = found.pixels(0), found.traverse(0, 1), found.attributes(2)
        evaluation = evaluate(vae, predictor, inputs, n_alpha=5, n_beta=5)
        assert not torch.is_grad_enabled()
    assert torch.equal(found.attributions, expected.attributions)
    assert torch.equal(moved, expected.counterfactuals(method="gradient").latents)
    assert torch.equal(maps, expected.pixels(0))
    assert torch.equal(traversal.outputs, expected.traverse(0, 1).outputs)
    assert attributes == expected.attributes(2)
    other = evaluate(vae, predictor, inputs, n_alpha=5, n_beta=5)
    assert evaluation.metrics == pytest.approx(other.metrics)


def test_under_inference_mode_an_error_says_that_there_are_no_gradients():
    code, predictor, inputs = Identity(), linear([1.0, 1.0]), torch.randn(3, 2)
    explanation = explain(code, predictor, inputs, task="classification")
    questions = {
        "explain": lambda: explain(code, predictor, inputs),
        "evaluate": lambda: evaluate(code, predictor, inputs),
        "traverse": lambda: traverse(code, predictor, LATENTS, 0),
        "find_counterfactuals": lambda: find_counterfactuals(code, predictor, LATENTS[None]),
        "pixels": lambda: explanation.pixels(0),
        "attributes": lambda: explanation.attributes(0),
        "counterfactuals": lambda: explanation.counterfactuals(),
    }
    for verb, question in questions.items():
        with (
            torch.inference_mode(),
            pytest.raises(RuntimeError, match=rf"`{verb}` must .*outside torch.inference_mode\(\)"),
        ):
            question()


def test_tensors_made_under_inference_mode_are_explained_like_others():
    vae, predictor, inputs = (
        VAE.dense((6,), latent_size=2, hidden=(8,)),
        nn.Linear(6, 3),
        torch.randn(5, 6),
    )
    expected = explain(vae, predictor, inputs, residual=True)
    with torch.inference_mode():
        inferred, baselines = inputs.clone(), torch.zeros(1, 2)
        labels = torch.zeros(5, dtype=torch.long)
    found = explain(vae, predictor, inferred, residual=True, baselines=baselines, labels=labels)
    assert torch.equal(found.attributions, expected.attributions)
    assert not any(tensor.is_inference() for tensor in found.tensors().values())
    found.pixels(0)
    moved = find_counterfactuals(vae, predictor, inferred[:, :2], method="gradient")
    traverse(vae, predictor, inferred[0, :2], 0)
    assert not moved.latents.is_inference()


def test_gradients_of_an_explanation_land_nowhere():
    vae, predictor = VAE.dense((6,), latent_size=2, hidden=(8,)), nn.Linear(6, 3)
    inputs = torch.randn(4, 6, requires_grad=True)
    explanation = explain(vae, predictor, inputs)
    assert not any(tensor.requires_grad for tensor in explanation.tensors().values())
    found = explanation.trim(explanation.latents.requires_grad_(True)).sum()
    found.backward()
    assert inputs.grad is None
    for module in (vae, predictor):
        assert all(parameter.grad is None for parameter in module.parameters())


def test_a_frozen_code_stays_what_it_was_whoever_trains_the_callers_and_is_frozen_once():
    vae = VAE.dense((6,), latent_size=2, hidden=(8,)).train()
    code = FrozenCode(vae)
    assert code.original is vae
    assert as_frozen(code) is code
    predictor = Predictor(nn.Linear(6, 3))
    assert asked(code, predictor, "explain") == (code, predictor)
    latents = torch.randn(3, 2)
    with torch.no_grad():
        before = code.decode(latents)
        for parameter in vae.parameters():
            parameter.add_(0.1)
        assert torch.equal(code.decode(latents), before)
        assert not torch.allclose(vae.eval().decode(latents), before)
    assert not any(
        id(parameter) in set(map(id, vae.parameters())) for parameter in code.parameters()
    )


def test_what_has_not_both_verbs_is_no_code():
    predictor, inputs = nn.Linear(6, 3), torch.randn(2, 6)
    for code in (None, nn.Linear(6, 2)):
        kind = type(code).__name__
        with pytest.raises(TypeError, match=f"`code` must have the methods .* Got {kind}"):
            explain(code, predictor, inputs)


class Watched(Identity):
    """Remembers the largest batch that it was given."""

    largest = 0

    def encode(self, inputs):
        Watched.largest = max(Watched.largest, len(inputs))
        return super().encode(inputs)

    def decode(self, latents):
        Watched.largest = max(Watched.largest, len(latents))
        return super().decode(latents)


def test_many_inputs_are_encoded_and_decoded_in_parts_and_explained_alike():
    inputs = torch.randn(700, 2, generator=torch.Generator().manual_seed(0))
    predictor = linear([1.0, -2.0], [0.5, 1.0])
    Watched.largest = 0
    whole = explain(Watched(), predictor, inputs)
    assert Watched.largest <= 256
    few = explain(Watched(), predictor, inputs[600:])
    torch.testing.assert_close(whole.attributions[600:], few.attributions)
    torch.testing.assert_close(whole.reconstructions, inputs)
