import json

import pytest
import torch

from attributions import Sparsity
from tests.trimvae.training.cases import QUIET, small_vae
from trimvae import BetaVAE, VAETraining, fit
from trimvae.training.base import Training, described


class Anonymous:
    """Has the `repr` of every object: with its address."""


def test_descriptions_are_alike_for_alike_things_wherever_they_lie():
    first, second = Anonymous(), Anonymous()
    assert repr(first) != repr(second)
    assert described(first) == described(second)
    assert described(BetaVAE(4.0)) != described(BetaVAE(2.0))
    assert described(None) is None


def test_settings_are_plain_values_that_a_checkpoint_can_hold(predictor):
    module = VAETraining(small_vae(), predictor, penalties=[Sparsity(weight=2.0)], seed=3)
    assert json.loads(json.dumps(module.settings)) == module.settings
    assert module.settings["penalties"] == ["Sparsity(weight=2.0, form='path')"]
    assert module.settings["seed"] == 3


def test_random_numbers_follow_from_seed_and_numbers_alone():
    def drawn(seed, *numbers):
        module = VAETraining(small_vae(), seed=seed)
        torch.manual_seed(torch.seed())
        return torch.rand(3, generator=module.generator(torch.device("cpu"), *numbers)).tolist()

    assert drawn(0, 5, 1) == drawn(0, 5, 1)
    others = [drawn(0, 5, 1), drawn(1, 5, 1), drawn(0, 6, 1), drawn(0, 5, 2), drawn(0, 1, 5)]
    assert len({tuple(numbers) for numbers in others}) == len(others)


def test_penalties_without_a_prediction_loss_leave_a_loophole(predictor):
    options = {"penalties": [Sparsity()]}
    assert VAETraining(small_vae(), predictor, prediction_weight=0, **options).hides_the_class
    assert not VAETraining(small_vae(), predictor, prediction_weight=1, **options).hides_the_class
    assert not VAETraining(small_vae(), predictor, prediction_weight=0).hides_the_class


def test_what_a_step_is_must_be_said_by_a_subclass():
    with pytest.raises(NotImplementedError):
        Training(small_vae())


def test_a_code_that_is_all_frozen_has_nothing_to_train(table):
    frozen = small_vae().requires_grad_(False)
    with pytest.raises(ValueError, match="`code` must have parameters to train. Got none that req"):
        fit(frozen, None, table, max_epochs=1, **QUIET)
