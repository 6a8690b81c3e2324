import warnings

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from attributions import Contrast, Sparsity, Trim, path_contributions
from attributions.measures.fidelity import prediction_kl
from attributions.penalties.sparsity import path_l1_over_l2
from attributions.predictors import Predictor
from tests.trimvae.training.cases import QUIET, small_vae, weights
from trimvae import VAETraining, fit
from trimvae.data.batches import mix
from trimvae.objectives import FactorVAE


def test_one_step_is_the_sum_of_its_documented_terms(table, predictor):
    vae = small_vae()
    module = VAETraining(
        vae,
        predictor,
        prediction_weight=5.0,
        penalties=[Sparsity(weight=2.0)],
        penalty_every=3,
        penalty_examples=8,
        penalty_n_steps=2,
    )
    module.log_dict = lambda *args, **kwargs: None
    total = module.training_step(table[:32], 0)

    noise = torch.randn(32, 3, generator=torch.Generator().manual_seed(mix(0, 0, 0)))
    posterior = vae.encode(table[:32])
    latents = posterior.mean + posterior.stddev * noise
    decoded = vae.decode(latents)
    reconstruction = -torch.distributions.Normal(decoded, 1.0).log_prob(table[:32]).sum() / 32
    kl = torch.distributions.kl_divergence(posterior, vae.prior).sum() / 32
    prediction = prediction_kl(predictor(table[:32]), predictor(decoded))
    strata = torch.rand(8, 2, generator=torch.Generator().manual_seed(mix(0, 0, 1)))
    contributions = path_contributions(
        Trim(predictor, vae.decode, explained="centred_logit"),
        latents[:8],
        target=predictor(table[:8]).argmax(dim=1),
        alphas=(torch.arange(2) + strata) / 2,
    )
    expected = reconstruction + kl + 5 * prediction + 3 * 2 * path_l1_over_l2(contributions)
    torch.testing.assert_close(total, expected)


def test_the_targets_of_the_prediction_loss_are_the_inputs_own_outputs_without_a_graph(
    table, predictor
):
    vae = small_vae()
    module = VAETraining(vae, predictor, prediction_weight=1.0)
    inputs = table[:8].clone().requires_grad_()
    latents = torch.zeros(8, 3)
    total = module._explained(inputs, latents, vae.decode(latents), {})
    assert torch.autograd.grad(total, inputs, allow_unused=True) == (None,)


@pytest.mark.parametrize("draw", ["_normal", "_uniform"])
def test_processes_draw_their_own_shares_of_what_a_single_one_draws(draw, predictor):
    def drawn(count, world, rank):
        module = VAETraining(small_vae(), predictor)
        module.world = lambda: (world, rank)
        if draw == "_normal":
            return module._normal(torch.zeros(count, 3), 0)
        return module._uniform(count, torch.device("cpu"))

    whole = drawn(8, 1, 0)
    left, right = drawn(4, 2, 0), drawn(4, 2, 1)
    assert torch.equal(whole[0::2], left)
    assert torch.equal(whole[1::2], right)
    assert not torch.equal(left, right)


def test_a_bare_function_is_explained_by_its_centred_logits_and_a_predictor_says_itself(predictor):
    bare = VAETraining(small_vae(), predictor)
    assert bare.through.predictor.explained == "centred_logit"
    carried = Predictor(predictor, explained=Contrast(2, 0), task="regression")
    module = VAETraining(small_vae(), carried)
    assert module.through.predictor.explained == Contrast(2, 0)
    assert module.settings["explained"] == "Contrast(target=2, against=0)"
    assert module.settings["task"] == "regression"


def test_defaults_are_the_codes_recipe(predictor):
    settings = VAETraining(small_vae(), predictor).settings
    recipe = small_vae().recipe
    for name in ("prediction_weight", "learning_rate", "schedule", "penalty_every"):
        assert settings[name] == getattr(recipe, name)
    assert VAETraining(small_vae()).settings["prediction_weight"] == 0


KEPT: dict[str, nn.Module] = {}


def looked_up(inputs):
    """A function that finds its module where nobody can freeze it."""
    return KEPT["predictor"](inputs)


def test_gradients_land_on_nothing_that_a_function_brought_along(table, predictor):
    KEPT["predictor"] = predictor
    fit(small_vae(), looked_up, table, max_epochs=1, **QUIET)
    assert all(parameter.grad is None for parameter in predictor.parameters())


def test_a_second_batch_is_encoded_with_noise_of_its_own(table):
    vae = small_vae()
    module = VAETraining(vae, objective=FactorVAE(width=4, depth=1))
    inputs, _, second = module._second_batch(table[:32], None)
    assert torch.equal(inputs, table[:16])
    posterior = vae.encode(table[16:32])
    noise = torch.randn(16, 3, generator=torch.Generator().manual_seed(mix(0, 0, 3)))
    latents = posterior.mean + posterior.stddev * noise
    torch.testing.assert_close(second.sort(dim=0).values, latents.sort(dim=0).values)
    assert not torch.equal(module._normal(latents, 0), noise)


def test_mixed_precision_is_for_layers_and_not_for_losses(table, predictor):
    vae = small_vae()
    trim = Trim(predictor, vae.decode)
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(table)
        observation = vae.observe(posterior.mean)
        for result in (posterior.mean, posterior.stddev, observation.mean, trim(posterior.mean)):
            assert result.dtype == torch.float32


def test_the_module_runs_under_a_trainer_of_ones_own(table, predictor):
    module = VAETraining(small_vae(), predictor, penalties=[Sparsity()])
    before = weights(module.code)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = L.Trainer(
            max_steps=3, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, accelerator="cpu",
        )  # fmt: skip
        trainer.fit(module, DataLoader(table, batch_size=16))
    assert trainer.global_step == 3
    assert not torch.equal(before, weights(module.code))
    own = {f"code.{name}" for name in module.code.state_dict()}
    assert set(module.state_dict()) == own  # the predictor is never among what is saved


def test_bad_arguments_are_refused(predictor):
    for options, message in (
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0"),
        ({"schedule": "cosine"}, "`schedule` must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            VAETraining(small_vae(), predictor, **options)


def test_the_cycle_rises_and_falls_once_over_the_whole_training(table):
    rates = []

    class Rates(L.Callback):
        def on_train_batch_start(self, trainer, *rest):
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    options = {"max_epochs": 5, "batch_size": 16, "callbacks": [Rates()], **QUIET}
    fit(small_vae(), None, table, learning_rate=0.01, **options)
    assert len(rates) == 30
    assert max(rates) == pytest.approx(0.01, rel=0.01)
    assert rates[0] == pytest.approx(0.01 / 25)
    peak = rates.index(max(rates))
    assert rates == sorted(rates[:peak]) + sorted(rates[peak:], reverse=True)
    rates.clear()
    fit(small_vae(), None, table, learning_rate=0.01, schedule="constant", **options)
    assert set(rates) == {0.01}


class Unsized(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(torch.randn(40, 6))


def test_a_cycle_over_data_of_unknown_length_is_refused_and_a_constant_rate_is_not():
    with pytest.raises(ValueError, match="`schedule` must be 'constant' for data of unknown"):
        fit(small_vae(), None, Unsized(), max_epochs=1, **QUIET)
    options = {"schedule": "constant", "batch_size": 8, "max_epochs": 1, **QUIET}
    assert "kl" in fit(small_vae(), None, Unsized(), **options)[0]


class Explodes:
    def __call__(self, batch):
        loss = batch.latents.sum() * float("inf")
        return loss, {"boom": loss}


def test_an_exploding_loss_is_said_with_its_terms(table, predictor):
    with pytest.raises(FloatingPointError, match="`fit` must reach finite losses. Got boom"):
        fit(small_vae(), predictor, table, objective=Explodes(), **QUIET)


def test_a_regression_is_recognised(table):
    predictor = nn.Linear(6, 1)
    history = fit(small_vae(), predictor, table, penalties=[Sparsity()], max_epochs=1, **QUIET)
    assert "prediction" in history[0]


@pytest.mark.parametrize("objective", ["betavae", FactorVAE, 4.0])
def test_what_is_no_objective_is_refused(objective, table, predictor):
    with pytest.raises(TypeError, match="`objective` must be an objective such as BetaVAE.* Got"):
        fit(small_vae(), predictor, table, objective=objective, max_epochs=1, **QUIET)


class LookedError(Exception):
    """A value of a tensor was asked for."""


def test_a_step_that_does_not_look_asks_for_no_value_of_a_tensor(table, predictor, monkeypatch):
    """On a GPU each such question would wait for all that was asked before."""
    module = VAETraining(small_vae(), predictor, penalties=[Sparsity()], penalty_every=1)
    module.log_dict = lambda *args, **kwargs: None
    module.training_step(table[:32], 0).backward()  # makes the predictor's replica

    def look(*_):
        raise LookedError

    monkeypatch.setattr(module, "looks", lambda index: False)
    for name in ("item", "tolist", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, look)
    module.training_step(table[:32], 1).backward()
    monkeypatch.setattr(module, "looks", lambda index: True)
    with pytest.raises(LookedError):
        module.training_step(table[:32], 2)


def test_where_looking_waits_for_a_gpu_it_is_rare(predictor, monkeypatch):
    module = VAETraining(small_vae(), predictor)
    assert all(module.looks(index) for index in range(100))
    monkeypatch.setattr(VAETraining, "device", torch.device("cuda"))
    assert [index for index in range(120) if module.looks(index)] == [0, 50, 100]


def test_a_loss_of_torch_is_no_objective(table):
    with pytest.raises(TypeError, match="`objective` must be an objective such as .* Got MSELoss"):
        fit(small_vae(), None, table, objective=nn.MSELoss(), max_epochs=1, **QUIET)
