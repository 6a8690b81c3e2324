import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from attributions import Predictor, Sparsity
from attributions.methods import exact_shapley
from tests.trimvae.tables.mixed import labels_of, mixed_frame, pipeline
from trimvae import VAE, Explanation, evaluate, explain, fit
from trimvae.models import IVAE
from trimvae.tables.asking import encoded_by, for_rows, of_rows


@pytest.fixture(scope="module")
def frame():
    return mixed_frame()


@pytest.fixture(scope="module")
def model(frame):
    return pipeline(frame)


@pytest.fixture(scope="module")
def vae(frame, model):
    torch.manual_seed(0)
    made = VAE.table(frame, latent_size=3, hidden=(32,))
    fit(made, model, frame, max_epochs=3, progress=False)
    return made


def test_an_estimator_of_a_dataframe_is_asked_about_rows(frame, model, vae):
    asked = for_rows(vae, model)
    expected = torch.from_numpy(model.predict_proba(frame)).float()
    torch.testing.assert_close(asked(vae.schema.encode(frame)), expected, atol=1e-5, rtol=1e-4)


def test_logarithms_of_an_estimator_of_a_dataframe_come_from_its_scores(frame, model, vae):
    asked = Predictor(for_rows(vae, model), probabilities=True)
    logits = asked(vae.schema.encode(frame))
    assert asked.least_probability == 0
    expected = torch.from_numpy(model.decision_function(frame)).float()
    torch.testing.assert_close(logits[:, 1] - logits[:, 0], expected, atol=1e-4, rtol=1e-4)


def test_columns_may_stand_in_another_order_for_the_estimator(frame, vae):
    turned = pipeline(frame[frame.columns[::-1]])
    expected = torch.from_numpy(turned.predict_proba(frame[frame.columns[::-1]])).float()
    found = for_rows(vae, turned)(vae.schema.encode(frame))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_what_takes_tensors_is_asked_with_tensors(frame, model, vae):
    network = nn.Linear(11, 2)
    assert for_rows(vae, network) is network
    assert for_rows(VAE.dense((11,), 2), model) is model
    rows = torch.zeros(2, 11)
    assert encoded_by(vae, rows) is rows
    assert encoded_by(VAE.dense((11,), 2), frame) is frame


def test_an_estimator_of_other_columns_is_refused(frame, model):
    other = VAE.table(frame.drop(columns="town"), latent_size=2)
    with pytest.raises(ValueError, match="`predictor` must be fitted to columns.*Got 'town'"):
        explain(other, model, frame.drop(columns="town"), method=exact_shapley)


def test_a_function_of_a_dataframe_sees_rows_that_a_table_holds(frame, vae):
    seen = []

    def rule(rows: pd.DataFrame) -> np.ndarray:
        seen.append(rows)
        return np.stack([rows["age"], -rows["age"]], axis=1)

    of_rows(vae.schema, rule)(vae.decode(torch.randn(20, 3)))
    rows = seen[0]
    assert list(rows) == list(frame)
    assert rows.dtypes.equals(frame.dtypes)
    assert rows["age"].between(18, 79).all()
    assert set(rows["job"].dropna()) <= {"clerk", "nurse", "teacher"}


def test_an_explanation_of_a_dataframe_is_that_of_its_tensor(frame, model, vae):
    options = {"method": exact_shapley, "labels": labels_of(frame)[:6]}
    of_frame = explain(vae, model, frame[:6], **options)
    of_tensor = explain(vae, model, vae.schema.encode(frame[:6]), **options)
    assert torch.equal(of_frame.attributions, of_tensor.attributions)
    assert of_frame.settings["feature_names"] == vae.schema.feature_names
    assert of_frame.metrics["completeness_error"] < 1e-5
    shown = vae.schema.to_frame(of_frame.inputs)
    pd.testing.assert_frame_equal(shown, frame[:6], rtol=1e-5)


def test_an_explanation_is_read_with_estimator_and_code(frame, model, vae, tmp_path):
    explanation = explain(vae, model, frame[:6], method=exact_shapley)
    explanation.save(tmp_path / "it.safetensors")
    vae.save(tmp_path / "vae.safetensors")
    code = VAE.load(tmp_path / "vae.safetensors")
    assert code.schema.columns == vae.schema.columns
    again = Explanation.load(tmp_path / "it.safetensors", code=code, predictor=model)
    expected = explanation.traverse(0, 1)
    torch.testing.assert_close(again.traverse(0, 1).outputs, expected.outputs)
    torch.testing.assert_close(again.traverse(0, 1).inputs, expected.inputs)


def test_an_evaluation_takes_a_dataframe_and_judges_of_one(frame, model, vae):
    found = evaluate(
        vae,
        model,
        frame[:40],
        method=exact_shapley,
        judges=[pipeline(frame[:200])],
        n_interventions=8,
        n_alpha=3,
        n_beta=3,
    )
    assert 0 <= found.metrics["agreement"] <= 1
    assert found.settings["table"] == vae.schema.description


def test_a_network_on_the_tensors_is_trained_through_with_penalties(frame):
    torch.manual_seed(0)
    vae, network = VAE.table(frame, latent_size=2, hidden=(16,)), nn.Linear(11, 2)
    options = {"validation": frame[:50], "penalties": [Sparsity()], "progress": False}
    history = fit(vae, network, frame, max_epochs=8, **options)
    assert history[-1]["reconstruction"] < history[0]["reconstruction"]
    assert "sparsity" in history[-1]
    explanation = explain(vae, network, frame[:5])
    assert explanation.attributions.shape == (5, 2, 2)


def test_seen_along_axes_it_is_still_of_the_table(frame, vae):
    from attributions.axes import Rotation

    turned = vae.with_axes(Rotation(3))
    rows = turned.schema.encode(frame)
    torch.testing.assert_close(turned(rows), vae(rows), atol=1e-4, rtol=1e-4)


def test_an_ivae_is_made_of_no_table(frame):
    with pytest.raises(TypeError, match="`table` must be asked of VAE. Got IVAE"):
        IVAE.table(frame, latent_size=2)


def test_boosted_trees_are_asked_with_categories_of_pandas():
    lightgbm = pytest.importorskip("lightgbm")
    frame = mixed_frame().astype({"job": "category"})
    trees = lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1)
    trees.fit(frame, labels_of(frame))
    vae = VAE.table(frame, latent_size=2, hidden=(16,))
    found = for_rows(vae, trees)(vae.schema.encode(frame))
    expected = torch.from_numpy(trees.predict_proba(frame)).float()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert explain(vae, trees, frame[:3], method=exact_shapley).attributions.shape == (3, 2, 2)


@pytest.fixture(scope="module")
def numbers():
    rows = np.random.default_rng(0).normal(size=(40, 3))
    return pd.DataFrame(rows, columns=["age", "sex", "income"])


@pytest.fixture(scope="module")
def of_numbers(numbers):
    made = VAE.dense((3,), latent_size=2, hidden=(4,))
    fit(made, None, numbers, validation=numbers, max_epochs=1, progress=False)
    return made


def test_a_code_of_tensors_refuses_the_columns_of_training_in_another_order(
    numbers, of_numbers, tmp_path
):
    turned, network = numbers[["sex", "age", "income"]], nn.Linear(3, 2)
    told = "`frame` must have its columns in the order of training. Got 'sex' in the place of 'age'"
    for asked in (explain, evaluate):
        with pytest.raises(ValueError, match=told):
            asked(of_numbers, network, turned)
    with pytest.raises(ValueError, match=told):
        explain(of_numbers, network, numbers, background=turned, baselines="dataset_mean")
    of_numbers.save(tmp_path / "code.safetensors")
    with pytest.raises(ValueError, match=told):
        explain(VAE.load(tmp_path / "code.safetensors"), network, turned)
    restored = turned[of_numbers.trained_with["columns"]]
    explanation = explain(of_numbers, network, restored)
    assert explanation.settings["feature_names"] == ["age", "sex", "income"]


def test_validation_has_the_order_of_the_data_and_another_training_an_order_of_its_own(numbers):
    made, turned = VAE.dense((3,), latent_size=2, hidden=(4,)), numbers[["sex", "age", "income"]]
    with pytest.raises(ValueError, match="Got 'sex' in the place of 'age'"):
        fit(made, None, numbers, validation=turned, max_epochs=1, progress=False)
    for frame in (numbers, turned):
        fit(made, None, frame, max_epochs=1, progress=False)
        assert made.trained_with["columns"] == list(frame.columns)


def test_other_names_say_nothing_of_the_order(numbers, of_numbers):
    renamed = numbers.set_axis(["a", "b", "c"], axis=1)
    for rows in (renamed, numbers.to_numpy(), torch.randn(4, 3)):
        assert encoded_by(of_numbers, rows) is rows
