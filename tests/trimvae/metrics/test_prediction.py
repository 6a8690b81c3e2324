import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from tests import reference
from trimvae import metrics


def test_sap_is_the_gap_of_one_machine_per_latent(factors, noise):
    codes = factors + noise
    order = np.random.default_rng(0).permutation(len(codes))
    train, test = order[1000:], order[:1000]
    gaps = []
    for levels in factors.T:
        scores = []
        for code in codes.T:
            machine = LinearSVC(C=0.01, class_weight="balanced", dual="auto", random_state=0)
            machine.fit(code[train, None], levels[train])
            scores.append((machine.predict(code[test, None]) == levels[test]).mean())
        gaps.append(sorted(scores)[-1] - sorted(scores)[-2])
    assert metrics.sap(codes, factors) == pytest.approx(np.mean(gaps), abs=1e-6)


def test_dci_by_the_exact_protocol_is_that_of_boosted_trees(factors, noise):
    codes = (factors + 0.7 * noise)[:600]
    levels = factors[:600, :2]
    found = metrics.dci(codes, levels, trees="gradient_boosting")
    order = np.random.default_rng(0).permutation(600)
    importance = np.stack(
        [
            GradientBoostingClassifier(random_state=3)
            .fit(codes[order[200:]], column[order[200:]])
            .feature_importances_
            for column in levels.T
        ],
        axis=1,
    )
    np.testing.assert_allclose(found.importance, importance, atol=0.02)
    entropies = [
        -sum(p * np.log(p) for p in row / row.sum() if p > 0) / np.log(2) for row in importance
    ]
    weights = importance.sum(axis=1) / importance.sum()
    assert found.disentanglement == pytest.approx((1 - np.array(entropies)) @ weights, abs=0.03)


def test_explicitness_is_the_mean_area_under_the_curve(factors, noise):
    codes, levels = (factors + noise)[:300, :2], factors[:300, :1] > 2
    order = np.random.default_rng(0).permutation(300)
    train, test = order[100:], order[:100]
    model = LogisticRegression(max_iter=1000).fit(codes[train], levels[train, 0])
    area = reference.area_under_curve(model.decision_function(codes[test]), levels[test, 0])
    assert metrics.explicitness(codes, levels.astype(int)) == pytest.approx(2 * area - 1, abs=0.02)


def test_the_scores_of_dci_are_the_loops(factors, noise):
    found = metrics.dci(factors + noise, factors)
    expected = reference.dci_from_importance(found.importance.tolist())
    assert found[:2] == pytest.approx(expected, abs=1e-6)


def test_codes_that_never_vary_are_of_no_importance(factors):
    assert metrics.dci(np.zeros((3000, 2)), factors)[:2] == (0.0, 0.0)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda c, f: metrics.sap(c[:, :1], f), "at least 2 latents"),
        (lambda c, f: metrics.dci(c, f, trees="lasso"), "`trees` must be one of"),
        (lambda c, f: metrics.dci(c[:5], f[:5]), "at least 10 examples"),
        (lambda c, f: metrics.sap(c, f, test_share=1.0), "`test_share` must leave"),
    ],
)
def test_bad_arguments_are_named(act, words, factors, noise):
    with pytest.raises(ValueError, match=words):
        act(noise, factors)
