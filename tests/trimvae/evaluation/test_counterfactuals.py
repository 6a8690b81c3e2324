"""Smallest moves that flip decisions, where they are known."""

import pytest
import torch
from torch import nn

from attributions import Predictor
from attributions.methods.paths import integrated_gradients
from tests.trimvae.evaluation.rules import Rule, Straight
from tests.trimvae.explanation.made import linear
from trimvae import explain
from trimvae.evaluation.counterfactuals import flip_figures
from trimvae.evaluation.figure import sample_of
from trimvae.evaluation.interventions import Interventions
from trimvae.explanation.asking import as_frozen


def flipped(predictor, inputs, judges=()):
    kept = [explain(Straight(), predictor, part, n_steps=4) for part in inputs.split(10)]
    asked = Interventions(kept, len(inputs), method=integrated_gradients, seed=0)
    judges = [Predictor(judge) for judge in judges]
    return flip_figures(as_frozen(Straight()), asked, sample_of(kept, len(inputs)), judges)


INPUTS = torch.randn(25, 6, generator=torch.Generator().manual_seed(0))


def test_one_column_decides_so_that_the_smallest_move_is_its_distance_from_0():
    found = flipped(
        Rule(), INPUTS, [Rule(), linear([-1.0] + [0.0] * 5, [1.0] + [0.0] * 5, [-9.0] * 6)]
    )
    assert found["counterfactual_validity"].value == 1
    expected = INPUTS[:, 0].abs().mean().item()
    assert found["counterfactual_distance"].value == pytest.approx(expected, rel=0.1)
    before = INPUTS[:, 0].square().mean().item() / 2  # to 0, the most likely place
    assert found["counterfactual_log_prior_change"].value == pytest.approx(before, rel=0.1)
    assert -1 <= found["counterfactual_cout"].value <= 1
    assert found["counterfactual_oracle_score"].value == pytest.approx(0.5, abs=0.1)
    for name, figure in found.items():
        assert figure.interval.low <= figure.value <= figure.interval.high, name


def test_a_decision_that_never_flips_has_a_validity_of_0_and_nothing_else():
    inputs = INPUTS.clone()
    inputs[:, 0] = inputs[:, 0].abs() + 1
    found = flipped(Rule(), inputs)
    assert set(found) == {"counterfactual_validity"}
    assert found["counterfactual_validity"].value == 0


def test_a_regression_has_none_and_without_judges_nobody_is_asked():
    assert flipped(nn.Linear(6, 1), INPUTS) == {}
    assert "counterfactual_oracle_score" not in flipped(Rule(), INPUTS)
