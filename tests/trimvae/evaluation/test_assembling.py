"""Figures put together, and inputs that the caller shifted."""

import pytest
import torch
from torch import nn

from tests.trimvae.evaluation.rules import OPTIONS, Rule, Straight
from tests.trimvae.explanation.textured import Discs, position_reader, texture_reader
from trimvae import evaluate
from trimvae.evaluation.assembling import as_shifted

FEW = {**OPTIONS, "n_alpha": 5, "n_beta": 5, "n_interventions": 90}


def discs(count=64):
    latents = torch.randn(count, 3, generator=torch.Generator().manual_seed(1)).clamp(-2, 2)
    return Discs().decode(latents)


def test_the_texture_lie_is_warned_of_and_the_honest_rule_is_not():
    lie = evaluate(Discs(), texture_reader(), discs(), **FEW)
    assert lie.metrics["agreement"] > 0.95
    assert any("reads what the code does not follow" in text for text in lie.warnings)
    honest = evaluate(Discs(), position_reader(), discs(), **FEW)
    assert honest.warnings == []


def test_every_part_is_in_its_place():
    inputs = torch.randn(60, 6)
    labels = (inputs[:, 0] <= 0).long()
    labels[:5] = 1 - labels[:5]
    found = evaluate(
        Straight(), Rule(), inputs, labels=labels, judges=[Rule()], shifted=-inputs[:20], **FEW
    )
    assert set(found.intervals) < set(found.metrics)
    for name, (low, high) in found.intervals.items():
        assert low <= found.metrics[name] <= high, name
    assert found.metrics["judges_gap"] == 0
    assert found.metrics["examples_where_wrong"] == 5
    assert found.by_change["shifted"]["following"] == 1
    assert "real_pairs" in found.by_latent["z0"]
    assert found.warnings == []


def test_of_fewer_than_twenty_examples_the_width_of_intervals_is_said():
    found = evaluate(Straight(), Rule(), torch.randn(8, 6), **FEW)
    assert any("Only 8 examples were evaluated" in text for text in found.warnings)
    low, high = found.intervals["agreement"]
    assert (found.metrics["agreement"], high) == (1, 1)
    assert low < 0.7
    single = evaluate(Straight(), Rule(), torch.randn(1, 6), **FEW)
    assert single.by_change == {}
    assert "latent_share" not in single.intervals


def test_one_class_is_said_and_no_change_of_it_is_followed():
    inputs = torch.randn(30, 6)
    inputs[:, 0] = inputs[:, 0].abs() + 5
    found = evaluate(Straight(), Rule(), inputs, **FEW)
    assert any("decides alike for every example" in text for text in found.warnings)
    assert "following" not in found.metrics
    assert all(row["changed"] == 0 for row in found.by_change.values())


def test_a_regression_has_pairs_and_no_decisions_to_follow():
    found = evaluate(Straight(), nn.Linear(6, 1), torch.randn(60, 6), **FEW)
    assert "real_pairs" in found.metrics
    assert not {"following", "majority_share", "agreement_where_close"} & set(found.metrics)
    assert found.by_change == {}


def test_a_predictor_without_a_gradient_is_not_asked_for_pairs():
    from captum.attr import FeatureAblation

    found = evaluate(Straight(), Rule(), torch.randn(90, 6), method=FeatureAblation, **FEW)
    assert "real_pairs" not in found.metrics
    assert "following" in found.metrics


def test_shifted_inputs_that_do_not_fit_are_refused():
    inputs = torch.randn(10, 6)
    assert as_shifted(None, inputs) is None
    assert as_shifted(inputs[:3].double().numpy(), inputs).dtype == torch.float32
    for shifted in (torch.randn(3, 5), torch.randn(6), torch.randn(0, 6)):
        with pytest.raises(ValueError, match=r"`shifted` must be of shape \(m, 6\), one for each"):
            as_shifted(shifted, inputs)


def test_labels_that_are_none_are_refused():
    for labels in (torch.randn(10), torch.zeros(10, 2).long()):
        with pytest.raises(ValueError, match="`labels` must be whole numbers, one for each"):
            evaluate(Straight(), Rule(), torch.randn(10, 6), labels=labels, **FEW)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_shifted_inputs_that_are_not_finite_are_refused(value):
    shifted = torch.randn(4, 6)
    shifted[2, 3] = value
    with pytest.raises(ValueError, match="`shifted` must be finite. Got NaN or infinity"):
        as_shifted(shifted, torch.randn(9, 6))
