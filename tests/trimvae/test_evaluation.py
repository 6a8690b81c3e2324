import math

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from attributions import Contrast
from tests.cases import assert_same_snapshot, snapshot
from trimvae import VAE, evaluate, explain
from trimvae.quantus import for_quantus


class Rule(nn.Module):
    """Decoded inputs' first feature decides; with weights that can be drawn anew."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 3)
        with torch.no_grad():
            self.linear.weight.zero_()
            self.linear.weight[0, 0], self.linear.weight[1, 0] = 20.0, -20.0
            self.linear.bias.copy_(torch.tensor([0.0, 0.0, -100.0]))

    def forward(self, inputs):
        return self.linear(inputs)


class Straight(nn.Module):
    """A code whose latents are the features themselves."""

    latent_size = 6

    def encode(self, inputs):
        return inputs

    def decode(self, latents):
        return latents


OPTIONS = {"n_interventions": 40, "n_alpha": 60, "n_beta": 20}


def test_figures_of_a_known_rule_are_the_known_ones():
    evaluation = evaluate(Straight(), Rule(), torch.randn(300, 6), **OPTIONS)
    figures = evaluation.metrics
    assert figures["agreement"] == 1
    assert figures["effective_latents"] == pytest.approx(1)
    assert figures["completeness_error"] == pytest.approx(0, abs=1e-5)
    assert figures["monotonicity"] == pytest.approx(1)
    assert figures["flip_at_1"] == 1
    assert figures["flip_at_1_random"] < 0.6
    assert figures["deletion_score"] == pytest.approx(1)
    assert figures["insertion_score"] == pytest.approx(1)
    assert figures["infidelity"] == pytest.approx(0, abs=1e-3)
    assert abs(figures["randomised_predictor_rank_correlation"]) < 0.6
    by_latent = evaluation.by_latent
    assert by_latent["z0"]["information_flow"] == pytest.approx(math.log(2), abs=0.1)
    assert by_latent["z3"]["information_flow"] < 0.05
    assert by_latent["z0"]["agreement_when_replaced"] < 0.8
    assert by_latent["z3"]["agreement_when_replaced"] == 1
    assert sum(row["examples"] for row in evaluation.by_class.values()) == 300
    assert "2" not in evaluation.by_class  # never predicted
    text = evaluation.to_markdown()
    assert text.count("| z") == 6
    assert "| flip_at_1 | 1 |" in text


def test_figures_do_not_depend_on_the_batches():
    vae, predictor = VAE.dense((6,), latent_size=3).eval(), nn.Linear(6, 4)
    inputs = torch.randn(50, 6)
    whole = evaluate(vae, predictor, inputs, **OPTIONS)
    parts = evaluate(vae, predictor, DataLoader(inputs, batch_size=7), **OPTIONS)
    for name, value in whole.metrics.items():
        assert parts.metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
    explanation = explain(vae, predictor, inputs)
    for name, value in explanation.metrics.items():
        assert whole.metrics[name] == pytest.approx(value, rel=1e-4), name


def test_a_stream_of_unknown_length_is_read_once_and_nothing_changes():
    class Stream(IterableDataset):
        def __iter__(self):
            generator = torch.Generator().manual_seed(0)
            return iter(torch.randn(30, 6, generator=generator))

    vae, predictor = VAE.dense((6,), latent_size=3), nn.Linear(6, 4)
    before, state = snapshot(predictor), torch.get_rng_state()
    evaluation = evaluate(vae, predictor, Stream(), batch_size=8, **OPTIONS)
    assert evaluation.settings["examples"] == 30
    assert_same_snapshot(before, snapshot(predictor))
    assert torch.equal(state, torch.get_rng_state())
    assert vae.training


@pytest.mark.parametrize(
    ("outputs", "options"),
    [
        (1, {"task": "regression"}),
        (1, {"task": "classification"}),
        (3, {"explained": Contrast(0, 2)}),
        (3, {"method": FeatureAblation, "baselines": "dataset_mean", "background": "inputs"}),
    ],
)
def test_every_kind_of_explanation_is_evaluated(outputs, options):
    vae, predictor = VAE.dense((6,), latent_size=3), nn.Linear(6, outputs)
    inputs = torch.randn(20, 6)
    if "background" in options:
        options = {**options, "background": inputs}
    evaluation = evaluate(vae, predictor, inputs, **options, **OPTIONS)
    decides = outputs == 3 and "explained" not in options
    decides |= options.get("task") == "classification"
    assert ("flip_at_1" in evaluation.metrics) == decides
    assert evaluation.metrics["deletion_score"] is not None
    if options.get("task") == "regression":
        whole = explain(vae, predictor, inputs, task="regression").metrics["agreement"]
        assert evaluation.metrics["agreement"] == pytest.approx(whole, rel=1e-4)


def test_one_class_data_gives_defined_figures():
    inputs = torch.randn(30, 6)
    inputs[:, 0] = inputs[:, 0].abs() + 1
    evaluation = evaluate(Straight(), Rule(), inputs, **OPTIONS)
    assert list(evaluation.by_class) == ["0"]
    assert evaluation.metrics["flip_at_1"] == 0  # the data's range never crosses the rule
    assert math.isinf(evaluation.metrics["flip_distance"])


def test_empty_data_is_refused():
    with pytest.raises(ValueError, match="`data` must hold at least one batch"):
        evaluate(Straight(), Rule(), torch.randn(0, 6))


def test_quantus_runs_on_latents():
    quantus = pytest.importorskip("quantus", reason="pip install 'trimvae[quantus]'")
    explanation = explain(Straight(), Rule(), torch.randn(8, 6))
    arguments = for_quantus(explanation)
    assert arguments["a_batch"].shape == (8, 1, 6)
    sparseness = quantus.Sparseness(disable_warnings=True)(**arguments)
    complexity = quantus.Complexity(disable_warnings=True)(**arguments)
    # One latent of six: Gini's index is 5/6, the entropy of its share 0.
    np.testing.assert_allclose(sparseness, 5 / 6, atol=1e-3)
    np.testing.assert_allclose(complexity, 0, atol=5e-3)
    flipping = quantus.PixelFlipping(
        features_in_step=1, perturb_baseline=0.0, disable_warnings=True
    )(**arguments)
    # Without its strongest latent, each decision is a tie of the two classes that it decides.
    np.testing.assert_allclose(np.array(flipping)[:, 0], 0.5, atol=0.01)


def test_an_explanation_without_predictor_cannot_go_to_quantus(tmp_path):
    explanation = explain(Straight(), Rule(), torch.randn(2, 6))
    explanation.save(tmp_path / "saved")
    with pytest.raises(RuntimeError, match="loaded without them"):
        for_quantus(type(explanation).load(tmp_path / "saved"))
