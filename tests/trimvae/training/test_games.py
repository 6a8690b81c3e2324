from typing import ClassVar

import lightning as L
import pytest
import torch

from attributions import GroupSparsity, Sparsity
from attributions.measures.fidelity import agreement, prediction_kl
from attributions.penalties import Independence, InformationFlow
from tests.cases import assert_same_snapshot, snapshot
from tests.trimvae.models.cases import alae, infogan, predictor, reached, stylegan
from tests.trimvae.training.cases import QUIET, finish, start, weights
from trimvae import ALAE, BetaVAE, InfoGAN, StyleGAN2, fit
from trimvae.training.games import GameTraining, parameters_of

SMALL = {"batch_size": 8, **QUIET}


def test_training_leaves_predictor_and_generators_alone_and_logs_every_term(model, images):
    classifier, state = predictor().train(), torch.get_rng_state()
    before, start = snapshot(classifier), weights(model)
    penalties = [Sparsity(weight=1.0), GroupSparsity()]
    history = fit(model, classifier, images, penalties=penalties, max_epochs=2, **SMALL)
    assert len(history) == 2
    assert {"sparsity", "group_sparsity", "generator", "discriminator"} <= set(history[0])
    assert ("prediction" in history[0]) == (not isinstance(model, StyleGAN2))
    assert_same_snapshot(before, snapshot(classifier))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(weights(model), start)
    assert int(model.batches) == 6
    assert not model.training


def test_the_penalty_reaches_decoder_and_what_makes_the_latents(model, images):
    module = GameTraining(
        model.train(), predictor(), prediction_weight=0.0, penalties=[Sparsity(weight=1.0)]
    )
    total = module._explained(images, torch.Generator().manual_seed(0), 0, {})
    parts = {
        InfoGAN: ("generator", "recogniser"),
        ALAE: ("generator", "encoder"),
        StyleGAN2: ("synthesis", "mapping"),
    }[type(model)]
    assert reached(total, *[getattr(model, name) for name in parts])


def test_the_prediction_loss_reaches_decoder_and_encoder(images):
    for model, encoder in ((infogan(), "recogniser"), (alae(), "encoder")):
        module = GameTraining(model.train(), predictor(), prediction_weight=1.0)
        total = module._explained(images, torch.Generator().manual_seed(0), 0, {})
        assert reached(total, model.generator, getattr(model, encoder))


def test_what_is_explained_of_a_batch_is_the_sum_of_its_documented_terms(images):
    model, classifier = alae().train(), predictor()
    module = GameTraining(
        model,
        classifier,
        prediction_weight=3.0,
        penalties=[Sparsity(weight=2.0)],
        penalty_every=4,
    )
    seed = torch.Generator().manual_seed
    steps = {step: module._explained(images, seed(0), step, {}) for step in (0, 3)}
    model.eval()
    prediction = prediction_kl(classifier(images), classifier(model.decode(model.encode(images))))
    torch.testing.assert_close(steps[3], 3 * prediction, rtol=1e-5, atol=0)
    terms = {}
    module.train()
    module._explained(images, seed(0), 0, terms)
    expected = 3 * terms["prediction"] + 4 * 2 * terms["sparsity"]
    torch.testing.assert_close(steps[0], expected)


class Looks(Sparsity):
    """Keeps the steps that it sees."""

    seen: ClassVar[list] = []

    def __call__(self, step):
        self.seen.append(step)
        return super().__call__(step)


def test_paths_start_at_the_codes_own_baseline_and_noise_does_not_move(model, images):
    Looks.seen.clear()
    options = {"penalties": [Looks()], "penalty_n_steps": 3, "penalty_examples": 5}
    module = GameTraining(model.train(), predictor(), **options)
    expected = model.baseline(1).expand(5, -1).clone()
    module._explained(images, torch.Generator().manual_seed(0), 0, {})
    (step,) = Looks.seen
    for block in model.blocks:
        if block.kind == "noise":
            expected[:, block.start : block.stop] = step.latents[:, block.start : block.stop]
            assert step.latents[:, block.start : block.stop].any()
    torch.testing.assert_close(step.baselines, expected)
    assert step.alphas.shape == (5, 3)
    assert torch.equal(step.inputs, images[:5])


def test_lazy_updates_come_every_so_many_batches_and_averages_after_each(images):
    model, calls = stylegan(), []
    model.r1_every, model.path_every = 2, 3

    def noted(name):
        method = getattr(model, name)

        def called(*arguments):
            calls.append((name, int(model.batches)))
            return method(*arguments)

        return called

    for name in ("_discriminate", "_penalise", "_generate", "_path_length", "after_batch"):
        setattr(model, name, noted(name))
    fit(model, None, images, max_epochs=2, **SMALL)

    def batches(name):
        return [batch for found, batch in calls if found == name]

    assert batches("_discriminate") == batches("_generate") == [0, 1, 2, 3, 4, 5]
    assert batches("_penalise") == [0, 2, 4]
    assert batches("_path_length") == [0, 3]
    assert batches("after_batch") == [1, 2, 3, 4, 5, 6]


def test_statistics_of_batches_hold_still_under_prediction_loss_and_penalties(images):
    for model in (infogan().train(), alae().train()):
        module = GameTraining(model, predictor(), penalties=[Sparsity()])
        before = {name: value.clone() for name, value in model.named_buffers()}
        in_training = module._explained(images, torch.Generator().manual_seed(0), 0, {})
        assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
        model.eval()
        held = module._explained(images, torch.Generator().manual_seed(0), 0, {})
        torch.testing.assert_close(in_training, held)


def test_validation_measures_images_drawn_again(images):
    classifier = predictor()
    for model in (infogan(), alae()):
        history = fit(model, classifier, images, validation=images[:8], max_epochs=1, **SMALL)
        module = GameTraining(model, classifier)
        generator = module._drawing(images.device, -1, 0)
        with torch.no_grad():
            inputs = images[:8]
            again = model.decode(model.inferred(inputs, generator))
            outputs, reencoded = classifier(inputs), classifier(again)
        expected = {
            "validation_squared_error": (again - inputs).pow(2).flatten(1).sum(dim=1).mean(),
            "validation_prediction": prediction_kl(outputs, reencoded),
            "validation_agreement": agreement(outputs, reencoded),
        }
        for name, value in expected.items():
            assert history[-1][name] == pytest.approx(value.item(), rel=1e-4), name


def test_validation_changes_nothing(model, images):
    other = type(model)(**model.configuration)
    other.load_state_dict(model.state_dict())
    fit(model, None, images, max_epochs=2, **SMALL)
    history = fit(other, None, images, validation=images, max_epochs=2, **SMALL)
    assert torch.equal(weights(model), weights(other))
    names = {name for name in history[0] if name.startswith("validation_")}
    if isinstance(model, StyleGAN2):  # which infers no latents: the losses of its game
        assert names == {"validation_discriminator", "validation_generator"}
    else:
        assert names == {"validation_squared_error"}


def test_the_learning_rate_is_the_largest_and_the_others_keep_their_proportion(model):
    own = [
        group["lr"]
        for one in GameTraining(model).configure_optimizers()
        for group in one.param_groups
    ]
    assert max(own) == max(update.learning_rate for update in model.updates())
    module = GameTraining(model, learning_rate=0.1)
    asked = [one.param_groups[0]["lr"] for one in module.configure_optimizers()]
    assert max(asked) == pytest.approx(0.1)
    assert [rate * max(own) / 0.1 for rate in asked] == pytest.approx(own)


def test_a_cycle_takes_every_optimiser_along_and_leaves_their_momenta(images):
    rates, momenta = [], []

    class Rates(L.Callback):
        def on_train_batch_start(self, trainer, *rest):
            rates.append([one.param_groups[0]["lr"] for one in trainer.optimizers])
            momenta.append([one.param_groups[0]["betas"][0] for one in trainer.optimizers])

    options = {"schedule": "one_cycle", "learning_rate": 0.01, "callbacks": [Rates()], **SMALL}
    fit(infogan(), None, images, max_epochs=5, **options)
    discriminator, generator = zip(*rates, strict=True)
    assert len(generator) == 15
    assert generator[0] == pytest.approx(0.01 / 25)
    assert max(generator) == pytest.approx(0.01, rel=0.05)
    assert generator[-1] < generator[0]
    assert discriminator == pytest.approx([rate / 2 for rate in generator])
    assert momenta == [[0.5, 0.5]] * 15


def test_processes_draw_each_for_themselves(images):
    module = GameTraining(infogan())

    def drawn(rank, step=0):
        module.world = lambda: (2, rank)
        return torch.rand(4, generator=module._drawing(images.device, step, 0))

    assert torch.equal(drawn(0), drawn(0))
    assert not torch.equal(drawn(0), drawn(1))
    assert not torch.equal(drawn(0), drawn(0, step=1))


class PlainPrecision:
    def pre_backward(self, total, module):
        return total


def test_gradients_are_averaged_over_processes_and_reach_the_updates_weights_alone(
    images, monkeypatch
):
    model = infogan().train()
    module = GameTraining(model)
    module._trainer = type("Trainer", (), {"precision_plugin": PlainPrecision()})()
    update = model.updates()[1]
    optimizer = torch.optim.SGD(parameters_of(update), lr=0.0)

    def gradients(world):
        module.world = lambda: (world, 0)
        total, _ = update.loss(images, torch.Generator().manual_seed(0))
        module._descend(optimizer, total, parameters_of(update))
        return [parameter.grad.clone() for parameter in parameters_of(update)]

    alone = gradients(1)
    # Another process with gradients 3 times as large.
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.mul_(4))
    for one, both in zip(alone, gradients(2), strict=True):
        torch.testing.assert_close(both, 2 * one)
    assert all(parameter.grad is None for parameter in model.trunk.parameters())
    assert any(bool(gradient.any()) for gradient in alone)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_lightnings_precisions_work_with_games(precision, model, images):
    options = {"penalties": [Sparsity()], "max_epochs": 1, "precision": precision, **SMALL}
    history = fit(model, predictor(), images, validation=images, **options)
    assert all(value == value for value in history[0].values())  # none is NaN
    assert next(model.parameters()).dtype == torch.float32


def test_what_is_made_for_vaes_is_refused_by_name(model, images):
    for penalty in (Independence(), InformationFlow()):
        with pytest.raises(ValueError, match="`penalties` must be of attributions or of the dec"):
            fit(model, predictor(), images, penalties=[penalty], **SMALL)
    kind = "a StyleGAN2" if isinstance(model, StyleGAN2) else f"an {type(model).__name__}"
    with pytest.raises(ValueError, match=f"`objective` must be left out for {kind}, whose"):
        fit(model, None, images, objective=BetaVAE(), **SMALL)


def test_what_needs_an_encoder_is_refused_where_there_is_none(images):
    for name, wanted, value in (("prediction_weight", 0, 1.0), ("penalty_residual", False, True)):
        with pytest.raises(ValueError, match=f"`{name}` must be {wanted} for a StyleGAN2"):
            fit(stylegan(), predictor(), images, **{name: value}, **SMALL)


def test_penalties_alone_are_warned_about_where_a_prediction_loss_is_possible(model, images):
    options = {"prediction_weight": 0, "penalties": [Sparsity()], "max_epochs": 1, **SMALL}
    if isinstance(model, StyleGAN2):
        fit(model, predictor(), images, **options)
    else:
        with pytest.warns(UserWarning, match="decoder that hides the class"):
            fit(model, predictor(), images, **options)


def test_images_of_another_shape_are_refused(model):
    with pytest.raises(ValueError, match=r"`data` must hold images of shape \(1, 8, 8\)"):
        fit(model, None, torch.rand(8, 1, 9, 9), **QUIET)


def test_a_loss_that_is_not_finite_is_said_with_its_terms(images):
    model = infogan()
    with torch.no_grad():
        model.discriminator.bias.fill_(float("inf"))
    with pytest.raises(FloatingPointError, match="`fit` must reach finite losses. Got discrim"):
        fit(model, None, images, **SMALL)


TWO_PROCESSES = """
import os, sys, torch
from attributions import Sparsity
from tests.trimvae.training.cases import make
from trimvae import fit

if __name__ == "__main__":
    model, images, predictor = make("InfoGAN")
    fit(
        model, predictor, images, penalties=[Sparsity()], validation=images, max_epochs=2,
        batch_size=4, progress=False, accelerator="cpu", strategy="ddp", devices=2,
    )
    rank = os.environ.get("LOCAL_RANK", "0")
    torch.save([model.state_dict(), dict(model.named_buffers())], f"{sys.argv[1]}/{rank}.pt")
"""


def test_two_processes_end_with_identical_weights_and_statistics(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    finish(start(script, tmp_path))
    left, right = (torch.load(tmp_path / f"{rank}.pt")[0] for rank in (0, 1))
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name
    before = infogan().state_dict()
    assert not torch.equal(left["generator.0.weight"], before["generator.0.weight"])
    assert int(left["batches"]) == 6  # 24 images, 4 a batch and process


@pytest.mark.parametrize("make", [infogan, alae])
def test_a_single_example_is_refused_where_batches_are_normalised(make, images):
    model = make()
    message = f"`data` must give an {type(model).__name__} 2 examples a step or more. Got 1. Use"
    with pytest.raises(ValueError, match=message):
        fit(model, predictor(), images[:1], max_epochs=1, **SMALL)
    history = fit(stylegan(), predictor(), images[:1], max_epochs=1, **SMALL)
    assert len(history) == 1  # normalises nothing
