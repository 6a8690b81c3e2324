"""evaluate(): the figures of a known rule, whatever the batches and the kind of explanation."""

import math

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, GradientShap
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from attributions import Contrast, Predictor
from tests.cases import assert_same_snapshot, snapshot
from tests.trimvae.evaluation.rules import OPTIONS, Rule, Straight
from trimvae import VAE, evaluate, explain


def test_a_code_that_draws_is_refused_before_anything_is_explained():
    code = Straight()
    code.encode = lambda rows: rows + torch.randn_like(rows)
    with pytest.raises(ValueError, match="`code.encode` must not change from call to call"):
        evaluate(code, Rule(), torch.randn(30, 6), **OPTIONS)


def test_figures_of_a_known_rule_are_the_known_ones():
    """Of those that are sampled, the worst of ten seeds: flips by random latents 0.35, information
    flow 0.616 instead of 0.693 and 0.033 instead of 0, agreement after replacing 0.6."""
    evaluation = evaluate(Straight(), Rule(), torch.randn(300, 6), **OPTIONS)
    figures = evaluation.metrics
    assert figures["agreement"] == 1
    assert figures["effective_latents"] == pytest.approx(1)
    # One latent decides between both classes: its sign tells them apart, not its number.
    assert figures["effective_latents_over_data"] == pytest.approx(1)
    assert figures["class_dependence"] == 0
    assert figures["classes_per_latent"] == pytest.approx(2)
    assert figures["completeness_error"] == pytest.approx(0, abs=1e-5)
    assert figures["monotonicity"] == pytest.approx(1)
    assert figures["flip_at_1"] == 1
    assert figures["flip_at_1_random"] < 0.7
    assert figures["deletion_score"] == pytest.approx(1)
    assert figures["insertion_score"] == pytest.approx(1)
    assert figures["infidelity"] == pytest.approx(0, abs=1e-3)
    by_latent = evaluation.by_latent
    assert by_latent["z0"]["information_flow"] == pytest.approx(math.log(2), abs=0.2)
    assert by_latent["z3"]["information_flow"] < 0.15
    assert by_latent["z0"]["agreement_when_replaced"] < 0.9
    assert by_latent["z3"]["agreement_when_replaced"] == 1
    assert sum(row["examples"] for row in evaluation.by_class.values()) == 300
    assert "2" not in evaluation.by_class  # never predicted


def test_figures_do_not_depend_on_the_batches():
    vae, predictor = VAE.dense((6,), latent_size=3, hidden=(16,)), nn.Linear(6, 4)
    inputs = torch.randn(50, 6)
    options = {**OPTIONS, "n_interventions": 50}
    whole = evaluate(vae, predictor, inputs, **options)
    parts = evaluate(vae, predictor, DataLoader(inputs, batch_size=7), **options)
    for name, value in whole.metrics.items():
        assert parts.metrics[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
    explanation = explain(vae, predictor, inputs)
    for name, value in explanation.metrics.items():
        assert whole.metrics[name] == pytest.approx(value, rel=1e-4), name
    assert set(explanation.metrics) < set(whole.metrics)
    assert "class_dependence_of_class_directions" in whole.metrics
    for name, row in whole.by_class.items():
        assert parts.by_class[name] == pytest.approx(row, rel=1e-3)


def test_a_stream_of_unknown_length_is_read_once_and_nothing_changes():
    class Stream(IterableDataset):
        def __iter__(self):
            generator = torch.Generator().manual_seed(0)
            return iter(torch.randn(30, 6, generator=generator))

    vae, predictor = VAE.dense((6,), latent_size=3, hidden=(16,)), nn.Linear(6, 4)
    before, state = (snapshot(vae), snapshot(predictor)), torch.get_rng_state()
    evaluation = evaluate(vae, predictor, Stream(), batch_size=8, **OPTIONS)
    assert evaluation.settings["examples"] == 30
    assert evaluation.settings["intervention_examples"] == 30
    assert_same_snapshot(before[0], snapshot(vae))
    assert_same_snapshot(before[1], snapshot(predictor))
    assert torch.equal(state, torch.get_rng_state())


def test_of_a_tuple_the_first_is_explained():
    inputs = torch.randn(12, 6)
    data = TensorDataset(inputs, torch.zeros(12))
    options = {**OPTIONS, "n_alpha": 5, "n_beta": 5}
    of_pairs = evaluate(Straight(), Rule(), data, **options)
    assert of_pairs.metrics == pytest.approx(
        evaluate(Straight(), Rule(), inputs, **options).metrics
    )


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
    vae, predictor = VAE.dense((6,), latent_size=3, hidden=(16,)), nn.Linear(6, outputs)
    inputs = torch.randn(20, 6)
    if "background" in options:
        options = {**options, "background": inputs}
    evaluation = evaluate(vae, predictor, inputs, **options, **OPTIONS)
    decides = outputs == 3 and "explained" not in options
    decides |= options.get("task") == "classification"
    assert ("flip_at_1" in evaluation.metrics) == decides
    assert ("monotonicity" in evaluation.metrics) == ("method" not in options)
    assert math.isfinite(evaluation.metrics["deletion_score"])
    assert evaluation.settings["flow_samples"] == [60, 20]
    if options.get("task") == "regression":
        whole = explain(vae, predictor, inputs, task="regression").metrics["agreement"]
        assert evaluation.metrics["agreement"] == pytest.approx(whole, rel=1e-4)
        assert evaluation.by_class == {}


def test_the_predictor_is_checked_and_warned_of_once():
    vae, predictor = VAE.dense((6,), latent_size=2, hidden=(8,)), nn.Linear(6, 3)
    softmax = nn.Sequential(predictor, nn.Softmax(dim=1))
    inputs, options = torch.randn(30, 6), {"batch_size": 10, "n_alpha": 5, "n_beta": 5}
    with pytest.warns(UserWarning, match="ends in a softmax") as said:
        found = evaluate(vae, softmax, inputs, **options)
    assert [warning.filename for warning in said] == [__file__]
    plain = evaluate(vae, predictor, inputs, **options).metrics
    for name in ("agreement", "prediction_kl", "effective_latents", "latent_share"):
        assert found.metrics[name] == pytest.approx(plain[name], rel=1e-3, abs=1e-5), name


def test_a_predictor_of_the_callers_is_evaluated_as_it_says():
    network = nn.Linear(6, 3)
    inputs, options = torch.randn(12, 6), {"n_alpha": 5, "n_beta": 5}
    made = Predictor(network, preprocess=lambda rows: 2 * rows, explained="output")
    one = evaluate(Straight(), made, inputs, **options)
    other = evaluate(
        Straight(),
        network,
        inputs,
        preprocess=lambda rows: 2 * rows,
        explained="output",
        **options,
    )
    assert one.metrics == pytest.approx(other.metrics)
    assert one.settings["explained"] == "output"


def test_one_class_data_gives_defined_figures():
    inputs = torch.randn(30, 6)
    inputs[:, 0] = inputs[:, 0].abs() + 1
    evaluation = evaluate(Straight(), Rule(), inputs, **OPTIONS)
    assert list(evaluation.by_class) == ["0"]
    assert evaluation.metrics["flip_at_1"] == 0  # the data's range never crosses the rule
    assert math.isinf(evaluation.metrics["flip_distance"])


def test_the_seed_reaches_methods_that_sample():
    inputs, options = torch.randn(10, 6), {"n_alpha": 2, "n_beta": 2, "method": GradientShap}
    predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    one, same, other = (
        evaluate(Straight(), predictor, inputs, seed=seed, **options) for seed in (1, 1, 2)
    )
    assert one.metrics == pytest.approx(same.metrics)
    assert one.metrics["attribution_size"] != other.metrics["attribution_size"]
    assert other.settings["seed"] == 2


def test_names_are_those_that_were_given():
    evaluation = evaluate(
        Straight(),
        Rule(),
        torch.randn(20, 6),
        class_names=["up", "down", "never"],
        latent_names=list("abcdef"),
        n_alpha=5,
        n_beta=5,
    )
    assert set(evaluation.by_class) == {"up", "down"}
    assert list(evaluation.by_latent) == list("abcdef")


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`data` must hold at least one batch"):
        evaluate(Straight(), Rule(), torch.randn(0, 6))
    for name in ("n_interventions", "k", "n_alpha", "n_beta"):
        with pytest.raises(ValueError, match=f"`{name}` must be at least 1. Got 0"):
            evaluate(Straight(), Rule(), torch.randn(3, 6), **{name: 0})
    with pytest.raises(ValueError, match="in the dtype of the code"):
        evaluate(VAE.dense((6,), latent_size=2, hidden=(4,)), Rule(), torch.randn(3, 6).double())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_evaluated_as_well(dtype):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = VAE.dense((6,), latent_size=3, hidden=(16,)).to(dtype)
        predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
        inputs = torch.randn(30, 6).to(dtype)
    found = evaluate(vae, predictor, inputs, **{**OPTIONS, "n_alpha": 5, "n_beta": 5})
    assert {"sensitivity", "infidelity", "reread", "direction"} < set(found.metrics)
    assert all(math.isfinite(value) for value in found.metrics.values())


def test_of_many_classes_the_predicted_ones_are_evaluated():
    torch.manual_seed(0)
    vae, predictor = VAE.dense((6,), 3, hidden=(16,)), nn.Linear(6, 120)
    inputs = torch.randn(30, 6)
    found = evaluate(vae, predictor, inputs, batch_size=16, **OPTIONS)
    assert found.settings["classes"] == "predicted"
    whole = explain(vae, predictor, inputs, classes="all").metrics
    for name in ("agreement", "effective_latents", "class_dependence", "monotonicity"):
        assert found.metrics[name] == pytest.approx(whole[name], abs=1e-3), name
    assert found.metrics["completeness_error"] <= 0.01


def test_whole_numbers_of_numpy_are_taken():
    inputs, (eight, two) = torch.randn(24, 6), map(np.int64, (8, 2))
    few = {**OPTIONS, "n_alpha": two, "n_beta": two, "n_interventions": eight, "seed": eight}
    evaluation = evaluate(Straight(), Rule(), inputs, **{**few, "batch_size": eight})
    assert evaluation.settings["examples"] == 24


def test_a_seed_that_is_no_whole_number_is_refused():
    with pytest.raises(TypeError, match="`seed` must be a whole number. Got 1.5"):
        evaluate(Straight(), Rule(), torch.randn(24, 6), seed=1.5)


@pytest.mark.parametrize("beside", ["labels", "shifted"])
def test_what_goes_row_by_row_is_refused_beside_a_loader_that_shuffles(beside):
    inputs = torch.randn(24, 6)
    shuffled = DataLoader(TensorDataset(inputs), 8, shuffle=True)
    given = {"labels": torch.zeros(24).long(), "shifted": -inputs}[beside]
    with pytest.raises(ValueError, match=f"`data` must come in the order of `{beside}`"):
        evaluate(Straight(), Rule(), shuffled, **{beside: given})


def test_one_judge_alone_is_refused():
    with pytest.raises(TypeError, match="`judges` must be a list of classifiers. Got Rule"):
        evaluate(Straight(), Rule(), torch.randn(24, 6), judges=Rule())
