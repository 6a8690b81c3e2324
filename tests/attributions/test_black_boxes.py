"""Predictors of other libraries: what is asked of them, and what explains them."""

import captum.attr
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from attributions import Trim, exact_shapley
from attributions.black_boxes import LEAST_PROBABILITY, as_function, black_box
from attributions.checks import checked_predictor
from attributions.methods.captum import needs_gradient
from attributions.predictors import Predictor

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 4)).astype(np.float32)
LABELS = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0.5)
INPUTS = torch.from_numpy(ROWS)


def checked(estimator, **options):
    return checked_predictor(estimator, INPUTS[:8], gradient=False, **options)


def test_a_pipeline_is_asked_for_probabilities_of_which_logarithms_are_explained():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS)
    predictor = checked(pipeline)  # warnings are errors here: an estimator has no logits to return
    np.testing.assert_allclose(predictor(INPUTS), np.log(pipeline.predict_proba(ROWS)), atol=1e-5)
    assert predictor.task == "classification"
    assert predictor.is_black_box


def test_a_forest_that_says_0_gives_no_infinite_logit():
    forest = RandomForestClassifier(10, random_state=0).fit(ROWS, LABELS)
    predictor = checked(forest)
    assert (forest.predict_proba(ROWS) == 0).any()
    assert predictor(INPUTS).min() == pytest.approx(np.log(LEAST_PROBABILITY))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_logits_of_a_sure_regression_are_its_own_however_far_they_reach(classes):
    sure = LogisticRegression(C=100).fit(ROWS, np.minimum(LABELS, classes - 1))
    predictor, scores = checked(sure), sure.decision_function(4 * ROWS)
    if classes == 2:
        scores = np.stack([0 * scores, scores], axis=1)
    logits = predictor(4 * INPUTS)
    assert np.ptp(scores, axis=1).max() > 40  # 1 - p is 0 in float64
    np.testing.assert_allclose(
        logits - logits.mean(dim=1, keepdim=True),
        scores - scores.mean(axis=1, keepdims=True),
        rtol=1e-4,
        atol=1e-4,
    )


def test_scores_are_taken_where_their_softmax_is_the_probability_and_nowhere_else():
    bayes = GaussianNB().fit(ROWS, LABELS)
    expected = bayes.predict_log_proba(2 * ROWS)
    assert expected.min() < -20
    np.testing.assert_allclose(checked(bayes)(2 * INPUTS), expected, rtol=1e-3, atol=1e-3)
    votes = AdaBoostClassifier(n_estimators=5, random_state=0).fit(ROWS, LABELS)
    expected = np.maximum(votes.predict_proba(ROWS), LEAST_PROBABILITY)
    np.testing.assert_allclose(checked(votes)(INPUTS), np.log(expected), atol=1e-5)


def test_scores_of_another_scale_are_not_taken_where_both_are_all_but_certain():
    class Scaled(LogisticRegression):
        def decision_function(self, rows):
            return 2 * super().decision_function(rows)

        def predict_proba(self, rows):
            no = 1 / (1 + np.exp(super().decision_function(rows)))
            return np.stack([no, 1 - no], axis=1)

    scaled = Scaled(C=100).fit(ROWS, ROWS[:, 0] > 0)
    far = INPUTS[scaled.decision_function(ROWS) > 20]
    box = as_function(scaled)
    assert len(far) > 5
    assert box(far)[:, 0].max() < 1e-4
    assert box.logarithms(far) is None
    assert box.least == LEAST_PROBABILITY


def test_probabilities_that_mean_to_be_small_and_are_not_taken_so_are_said():
    def softmax(rows):
        logits = np.stack([20 * rows[:, 0], 0 * rows[:, 0]], axis=1)
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    with pytest.warns(UserWarning, match=r"probabilities of 0.001 or more. Got one of .*logarithm"):
        checked(black_box(softmax))
    checked(black_box(lambda rows: np.log(softmax(rows))))  # warnings are errors here
    checked(black_box(lambda rows: np.eye(2)[(rows[:, 0] > 0).astype(int)]))


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
