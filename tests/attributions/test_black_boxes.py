"""Predictors of other libraries: what is asked of them, and what explains them."""

import captum.attr
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from attributions import Trim, exact_shapley
from attributions.black_boxes import as_function, black_box
from attributions.checks import checked_predictor
from attributions.methods.captum import needs_gradient
from attributions.predictors import LEAST_PROBABILITY, Predictor

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 4)).astype(np.float32)
LABELS = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)
INPUTS = torch.from_numpy(ROWS)


def checked(estimator, **options):
    return checked_predictor(estimator, INPUTS[:8], gradient=False, **options)


def test_a_pipeline_is_asked_for_probabilities_of_which_logarithms_are_explained():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)
    predictor = checked(pipeline)  # warnings are errors here: an estimator has no logits to return
    expected = np.log(np.maximum(pipeline.predict_proba(ROWS), LEAST_PROBABILITY))
    np.testing.assert_allclose(predictor(INPUTS), expected, atol=1e-5)
    assert predictor.task == "classification"
    assert predictor.is_black_box


def test_a_forest_that_says_0_gives_no_infinite_logit():
    forest = RandomForestClassifier(10, random_state=0).fit(ROWS, LABELS)
    predictor = checked(forest)
    assert (forest.predict_proba(ROWS) == 0).any()
    assert predictor(INPUTS).min() == pytest.approx(np.log(LEAST_PROBABILITY))


def test_without_probabilities_decisions_are_asked_for_and_of_a_regressor_its_prediction():
    ridge = RidgeClassifier().fit(ROWS, LABELS)
    np.testing.assert_allclose(checked(ridge)(INPUTS), ridge.decision_function(ROWS), atol=1e-5)
    forest = RandomForestRegressor(5, random_state=0).fit(ROWS, ROWS[:, 0])
    regression = checked(forest)
    assert regression.task == "regression"
    np.testing.assert_allclose(regression(INPUTS)[:, 0], forest.predict(ROWS), atol=1e-6)


def test_what_was_fitted_to_a_frame_is_asked_with_one(recwarn):
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c", "d"])
    model = RidgeClassifier().fit(frame, LABELS)
    checked(model)(INPUTS)
    assert not [w for w in recwarn if "feature names" in str(w.message)]


def test_names_of_classes_are_refused():
    class Names:
        classes_ = ("a", "b")

        def predict(self, rows):
            return ["a"] * len(rows)

    with pytest.raises(TypeError, match="Got Names, which only names classes"):
        Predictor(Names())
    with pytest.raises(TypeError, match="`predictor` must return numbers. Got an array of <U"):
        Predictor(black_box(lambda rows: np.array(["a"] * len(rows))))(INPUTS)
    with pytest.raises(TypeError, match="`function` must be a function of arrays. Got int"):
        black_box(3)
    with pytest.raises(TypeError, match="must be a module or a function. Got str"):
        Predictor("forest")
    assert as_function(NearestCentroid) is NearestCentroid  # a class can be called


def test_no_gradient_is_asked_of_what_has_none():
    forest = RandomForestRegressor(5, random_state=0).fit(ROWS, ROWS[:, 0])
    with pytest.raises(RuntimeError, match="`predictor` must have a gradient here. Got a black"):
        checked_predictor(forest, INPUTS[:8])
    with pytest.raises(RuntimeError, match="`predictor` must have a gradient here"):
        checked_predictor(Predictor(forest), INPUTS[:8])

    def rounded(inputs):
        return inputs.detach()

    checked(rounded)  # a function of tensors that no gradient passes
    with pytest.raises(RuntimeError, match="`predictor` must be differentiable"):
        checked_predictor(rounded, INPUTS[:8])


def test_exact_shapley_values_are_those_of_the_forest_itself():
    """Two latents: half of what each adds alone, and half of what it adds last."""
    forest = RandomForestRegressor(5, random_state=0).fit(ROWS, ROWS[:, 0] * ROWS[:, 1])
    predictor = checked(forest)
    matrix = torch.from_numpy(RNG.normal(size=(2, 4)).astype(np.float32))
    trim, latents = Trim(predictor, lambda z: z @ matrix), torch.tensor([[1.0, -2.0]])

    def at(*where):
        rows = (torch.tensor([where]) @ matrix).numpy()
        return float(forest.predict(rows)[0])

    found = exact_shapley(trim, latents)
    first = (at(1.0, 0.0) - at(0.0, 0.0) + at(1.0, -2.0) - at(0.0, -2.0)) / 2
    assert float(found[0, 0, 0]) == pytest.approx(first, abs=1e-5)
    assert float(found.sum()) == pytest.approx(at(1.0, -2.0) - at(0.0, 0.0), abs=1e-5)


def test_methods_say_whether_they_need_a_gradient():
    free = (captum.attr.KernelShap, captum.attr.Lime, captum.attr.FeatureAblation, exact_shapley)
    assert not any(map(needs_gradient, free))
    assert needs_gradient(captum.attr.IntegratedGradients)
    assert not needs_gradient(captum.attr.ShapleyValueSampling(lambda x: x))
    assert needs_gradient(lambda trim: captum.attr.Saliency(trim))


def test_nothing_of_the_caller_s_is_written_to():
    def in_place(rows):
        rows *= 0
        return rows

    inputs = INPUTS[:3].clone()
    Predictor(black_box(in_place))(inputs)
    assert torch.equal(inputs, INPUTS[:3])
