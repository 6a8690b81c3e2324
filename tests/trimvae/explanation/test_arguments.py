"""What is given: arrays, tables, names and labels; and what is refused, by its name."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from attributions import Contrast, Predictor, exact_shapley
from tests.trimvae.explanation.made import Identity, linear
from trimvae import VAE, evaluate, explain
from trimvae.storage import write_json

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def case():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = VAE.dense((3,), latent_size=2, hidden=(4,))
        return vae, nn.Linear(3, 4), torch.randn(6, 3)


def test_arrays_and_tables_are_explained_like_tensors(case):
    vae, predictor, inputs = case
    labels, baselines = torch.arange(6) % 4, torch.randn(6, 2)
    expected = explain(vae, predictor, inputs, labels=labels, baselines=baselines, n_steps=4)
    table = pd.DataFrame(inputs.double().numpy(), columns=["age", "sex", "income"])
    for given in (inputs.numpy(), inputs.double().numpy(), table):
        found = explain(
            vae,
            predictor,
            given,
            labels=labels.numpy(),
            baselines=baselines.numpy(),
            n_steps=4,
        )
        torch.testing.assert_close(found.attributions, expected.attributions)
        assert torch.equal(found.labels, labels)
    of_series = explain(vae, predictor, table, labels=pd.Series(labels.numpy()), n_steps=4)
    assert torch.equal(of_series.labels, labels)


def test_the_background_may_be_an_array_or_a_table(case):
    vae, predictor, inputs = case
    options = {"baselines": "dataset_mean", "n_steps": 4}
    expected = explain(vae, predictor, inputs, background=inputs, **options).baselines
    for background in (inputs.numpy(), pd.DataFrame(inputs.numpy())):
        found = explain(vae, predictor, inputs, background=background, **options).baselines
        torch.testing.assert_close(found, expected)


def test_arrays_go_to_the_precision_of_the_code(case):
    vae = VAE.dense((3,), latent_size=2, hidden=(4,)).double()
    inputs = case[2].numpy()
    predictor = nn.Linear(3, 4).double()
    assert explain(vae, predictor, inputs).attributions.dtype == torch.float64
    assert evaluate(vae, predictor, inputs, n_alpha=2, n_beta=2).settings["examples"] == 6


def test_a_tables_columns_name_the_features_unless_others_are_given(case):
    vae, predictor, inputs = case
    table = pd.DataFrame(inputs.numpy(), columns=["age", "sex", 3])
    assert explain(vae, predictor, table).settings["feature_names"] == ["age", "sex", "3"]
    named = explain(vae, predictor, table, feature_names=["a", "b", "c"])
    assert named.settings["feature_names"] == ["a", "b", "c"]
    assert explain(vae, predictor, inputs).settings["feature_names"] is None


def test_tables_are_evaluated_like_tensors(case):
    vae, predictor, inputs = case
    options = {"n_alpha": 5, "n_beta": 5, "batch_size": 4}
    expected = evaluate(vae, predictor, inputs, **options)
    for given in (inputs.numpy(), pd.DataFrame(inputs.numpy())):
        assert evaluate(vae, predictor, given, **options).metrics == pytest.approx(expected.metrics)


def test_an_array_is_not_written_to(case):
    class InPlace(Identity):
        def encode(self, inputs):
            return inputs.mul_(2.0)

    array = np.ones((4, 2), dtype=np.float32)
    explain(InPlace(), linear([1.0, 0.0], [0.0, 1.0]), array)
    assert (array == 1).all()


def test_what_holds_no_numbers_is_refused(case):
    vae, predictor, inputs = case
    with pytest.raises(TypeError, match="`inputs` must hold numbers"):
        explain(vae, predictor, pd.DataFrame({"a": ["x"], "b": [1.0], "c": [2.0]}))
    with pytest.raises(TypeError, match="`inputs` must be a tensor, NumPy array"):
        explain(vae, predictor, [[1.0, 2.0, 3.0]])
    with pytest.raises(TypeError, match="`labels` must hold numbers"):
        explain(vae, predictor, inputs, labels=pd.Series(["a"] * 6))
    with pytest.raises(TypeError, match="`baselines` must be a tensor, NumPy array"):
        explain(vae, predictor, inputs, baselines=[[0.0, 0.0]])


def test_bad_inputs_are_refused(case):
    vae, predictor, inputs = case
    with pytest.raises(ValueError, match="`inputs` must hold at least one example"):
        explain(vae, predictor, inputs[:0])
    with pytest.raises(ValueError, match="in the dtype of the code"):
        explain(vae, predictor, inputs.double())
    with pytest.raises(ValueError, match="`inputs` must be finite"):
        explain(vae, predictor, torch.full((2, 3), torch.nan))
    with pytest.raises(ValueError, match="Got NaN or infinity"):
        explain(Identity(), predictor, torch.full((2, 3), torch.inf))
    with pytest.raises(ValueError, match="Got torch.int64"):
        explain(Identity(), predictor, torch.ones(2, 3, dtype=torch.long))


def test_bad_names_labels_and_contrasts_are_refused(case):
    vae, predictor, inputs = case
    with pytest.raises(ValueError, match="`class_names` must have 4 entries"):
        explain(vae, predictor, inputs, class_names=["a"])
    with pytest.raises(ValueError, match="`latent_names` must have 2 entries"):
        explain(vae, predictor, inputs, latent_names=["a"])
    with pytest.raises(ValueError, match="`explained` must name classes below 4"):
        explain(vae, predictor, inputs, explained=Contrast(9, 0))
    for labels in (torch.zeros(3, dtype=torch.long), torch.zeros(6)):
        with pytest.raises(ValueError, match="`labels` must be 6 whole numbers"):
            explain(vae, predictor, inputs, labels=labels)


def test_baselines_of_another_shape_are_refused(case):
    vae, predictor, inputs = case
    for shape in ((2, 2), (1, 3), (6, 3), (2,)):
        with pytest.raises(ValueError, match=r"`baselines` must have shape \(1, 2\) or \(6, 2\)"):
            explain(vae, predictor, inputs, baselines=torch.zeros(shape))


def test_outputs_that_are_not_finite_name_their_examples(case):
    vae, _, inputs = case

    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, inputs):
            outputs = self.linear(inputs)
            if len(outputs) <= 8:
                return outputs
            return outputs.masked_fill(torch.arange(len(outputs)).unsqueeze(1) == 10, torch.inf)

    with pytest.raises(ValueError, match=r"for the examples \[10\]"):
        explain(vae, Breaks(), torch.cat([inputs] * 2))


@pytest.mark.parametrize(
    ("outputs", "options", "expected"),
    [
        (4, {}, "centred logit"),
        (4, {"explained": "output"}, "output"),
        (4, {"explained": Contrast(2, 0)}, "2 rather than 0"),
        (4, {"explained": Contrast(-1, 0)}, "3 rather than 0"),
        (4, {"explained": Contrast(1, 3), "class_names": list("abcd")}, "b rather than d"),
        (1, {}, "output"),
        (1, {"task": "classification"}, "logit"),
    ],
)
def test_what_is_explained_has_a_name(case, outputs, options, expected):
    vae, _, inputs = case
    settings = explain(vae, nn.Linear(3, outputs), inputs, n_steps=2, **options).settings
    assert settings["explained_name"] == expected


def test_classes_and_latents_are_numbered_unless_they_have_names(case):
    vae, predictor, inputs = case
    explanation = explain(vae, predictor, inputs)
    assert explanation.class_names == ("0", "1", "2", "3")
    assert explanation.latent_names == ("z0", "z1")
    binary = explain(vae, nn.Linear(3, 1), inputs, task="classification")
    assert binary.class_names == ("0", "1")
    assert explain(vae, nn.Linear(3, 1), inputs).class_names == ("output",)

    class Named(Identity):
        latent_names = ("size", "hue", "slant")

    assert explain(Named(), predictor, inputs).latent_names == ("size", "hue", "slant")
    other = explain(Named(), predictor, inputs, latent_names=list("abc"))
    assert other.latent_names == ("a", "b", "c")


def test_a_mapping_or_its_file_renames_some_latents_and_leaves_the_others(case, tmp_path):
    vae, predictor, inputs = case
    renamed = explain(vae, predictor, inputs, latent_names={"z1": "loop"})
    assert renamed.latent_names == ("z0", "loop")
    write_json(tmp_path / "names.json", {"z0": "slant"})
    for path in (tmp_path / "names.json", str(tmp_path / "names.json")):
        assert explain(vae, predictor, inputs, latent_names=path).latent_names == ("slant", "z1")
    assert explain(vae, predictor, inputs, latent_names={}).latent_names == ("z0", "z1")


def test_names_that_rename_nothing_are_refused(case, tmp_path):
    vae, predictor, inputs = case
    with pytest.raises(ValueError, match=r"`latent_names` must rename .* z0, z1. Got 'z7'"):
        explain(vae, predictor, inputs, latent_names={"z7": "loop"})
    with pytest.raises(TypeError, match="`latent_names` must hold new names as text. Got 3"):
        explain(vae, predictor, inputs, latent_names={"z0": 3})
    write_json(tmp_path / "names.json", ["loop", "slant"])
    with pytest.raises(ValueError, match="`latent_names` must be a JSON file of old names"):
        explain(vae, predictor, inputs, latent_names=tmp_path / "names.json")
    with pytest.raises(FileNotFoundError, match=r"none.json"):
        explain(vae, predictor, inputs, latent_names=tmp_path / "none.json")


def test_a_predictor_of_the_callers_brings_its_own_options(case):
    vae, network, inputs = case
    predictor = Predictor(
        network, preprocess=lambda rows: rows + 1, explained="output", task="classification"
    )
    explanation = explain(vae, predictor, inputs)
    torch.testing.assert_close(explanation.outputs, network(inputs + 1).detach())
    assert explanation.settings["explained"] == "output"


def test_baselines_that_are_not_finite_are_refused(case):
    vae, predictor, inputs = case
    missing = torch.full_like(inputs, torch.nan)
    for options in (
        {"baselines": torch.full((1, 2), torch.nan)},
        {"baselines": "dataset_mean", "background": missing},
    ):
        with pytest.raises(ValueError, match="`baselines` must be finite. Got NaN or infinity"):
            explain(vae, predictor, inputs, **options)


def test_a_number_is_no_batch(case):
    vae, predictor, _ = case
    with pytest.raises(ValueError, match="`inputs` must hold at least one example"):
        explain(vae, predictor, torch.tensor(1.0))


def test_a_table_needs_a_name_for_each_column(case):
    vae, predictor, inputs = case
    with pytest.raises(ValueError, match="`feature_names` must have 3 entries. Got 1"):
        explain(vae, predictor, inputs, feature_names=["height"])


@pytest.mark.parametrize("label", [-1, 4, 7])
def test_a_label_that_is_no_class_is_refused(case, label):
    vae, predictor, inputs = case
    labels = torch.tensor([0, 1, 2, 3, 0, label])
    with pytest.raises(ValueError, match=f"`labels` must be class numbers .* to 3. Got {label}"):
        explain(vae, predictor, inputs, labels=labels)
    with pytest.raises(ValueError, match=f"`labels` must be class numbers .* to 3. Got {label}"):
        evaluate(vae, predictor, inputs, labels=labels)


def test_labels_of_a_binary_logit_are_0_and_1_and_those_of_a_regression_are_any(case):
    vae, _, inputs = case
    logit, labels = nn.Linear(3, 1), torch.tensor([0, 1, 0, 1, 0, 1])
    found = explain(vae, logit, inputs, task="classification", labels=labels)
    assert torch.equal(found.labels, labels)
    with pytest.raises(ValueError, match="from 0 to 1. Got 2"):
        explain(vae, logit, inputs, task="classification", labels=labels * 2)
    assert torch.equal(explain(vae, logit, inputs, labels=labels * 7).labels, labels * 7)


def test_classes_of_a_fitted_estimator_have_its_names(case):
    vae, _, inputs = case
    odd = np.array([3, 7, 3, 7, 3, 7])
    estimator = LogisticRegression().fit(inputs.numpy(), odd)
    found = explain(vae, estimator, inputs, method=exact_shapley)
    assert found.class_names == ("3", "7")
    assert explain(
        vae, estimator, inputs, method=exact_shapley, class_names=["a", "b"]
    ).class_names == ("a", "b")
    with pytest.raises(ValueError, match="from 0 to 1. Got 3.*places in its classes_"):
        explain(vae, estimator, inputs, method=exact_shapley, labels=odd)


def test_classes_of_one_name_are_numbered_and_latents_of_one_name_are_refused(case):
    vae, predictor, inputs = case
    found = explain(vae, predictor, inputs, class_names=["crane", "owl", "crane", "cat"])
    assert found.class_names == ("crane #0", "owl", "crane #2", "cat")
    for names in (["z1", "z1"], {"z0": "z1"}):
        with pytest.raises(ValueError, match="`latent_names` must tell all 2 apart. Got 'z1' more"):
            explain(vae, predictor, inputs, latent_names=names)
    swapped = explain(vae, predictor, inputs, latent_names={"z0": "z1", "z1": "z0"})
    assert swapped.latent_names == ("z1", "z0")


def test_names_may_be_an_array_and_must_be_a_list(case):
    vae, predictor, inputs = case
    names = {"class_names": np.array(list("abcd")), "latent_names": np.array(["x", "y"])}
    found = explain(vae, predictor, inputs, **names)
    assert (found.class_names, found.latent_names) == (("a", "b", "c", "d"), ("x", "y"))
    with pytest.raises(TypeError, match="`class_names` must be a list of names. Got 3"):
        explain(vae, predictor, inputs, class_names=3)
    with pytest.raises(TypeError, match="`latent_names` must be a list of names. Got 3"):
        explain(vae, predictor, inputs, latent_names=3)
