import itertools

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.svm import LinearSVC

from tests import reference
from trimvae import metrics

SAMPLED = {"n_train": 1000, "n_test": 1000}


@pytest.fixture
def factors():
    return np.random.default_rng(0).integers(0, 5, (3000, 3))


@pytest.fixture
def noise():
    return np.random.default_rng(1).normal(size=(3000, 3))


def rotated(factors: np.ndarray) -> np.ndarray:
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    return factors @ rotation


SCORES = {
    "mig": metrics.mig,
    "aam": metrics.aam,
    "modularity": metrics.modularity,
    "sap": metrics.sap,
    "explicitness": metrics.explicitness,
    "disentanglement": lambda c, f: metrics.dci(c, f).disentanglement,
    "completeness": lambda c, f: metrics.dci(c, f).completeness,
    "higgins": lambda c, f: metrics.higgins_metric(c, f, **SAMPLED),
    "factor_vae": lambda c, f: metrics.factor_vae_metric(c, f, **SAMPLED),
    "irs": metrics.irs,
    "mcc": metrics.mcc,
}
# A linear machine on one of five unordered levels, one against rest, cannot name the middle ones;
# one level against the rest is no half-space for a linear reader either.
IDENTITY = {"sap": 0.2, "explicitness": 0.4}
CHANCE = {"higgins": 1 / 3, "factor_vae": 1 / 3}


@pytest.mark.parametrize("name", list(SCORES))
def test_identity_codes_score_one(name, factors):
    if name in IDENTITY:
        assert SCORES[name](factors, factors) > IDENTITY[name]
        binary = factors > 2
        assert SCORES[name](binary.astype(float), binary.astype(int)) > 0.48
    else:
        assert SCORES[name](factors, factors) == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize("name", [name for name in SCORES if name != "modularity"])
def test_independent_noise_scores_about_nothing(name, factors, noise):
    # Modularity of noise is that of the noise of its mutual informations: see below.
    score = SCORES[name](noise, factors) - CHANCE.get(name, 0.0)
    limit = {"irs": 0.35, "aam": 0.3, "completeness": 0.1}.get(name, 0.07)
    assert abs(score) < limit


# A linear reader does not mind a rotation, and FactorVAE's vote only needs the least variance:
# these saturate on codes that are not disentangled, as the field knows.
SATURATING = ("explicitness", "higgins", "factor_vae")


@pytest.mark.parametrize("name", [name for name in SCORES if name not in SATURATING])
def test_rotated_codes_fall(name, factors):
    assert SCORES[name](rotated(factors), factors) < SCORES[name](factors, factors) - 0.05


def test_documented_values_on_a_fixed_small_case():
    factors = np.array(list(itertools.product(range(4), range(4))) * 20)
    codes = factors @ np.array([[1.0, 0.5], [0.0, 1.0]])  # the second latent mixes both
    values = {
        "mig": metrics.mig(codes, factors),
        "aam": metrics.aam(codes, factors),
        "modularity": metrics.modularity(codes, factors),
        "irs": metrics.irs(codes, factors),
        "mcc": metrics.mcc(codes, factors),
    }
    matrix = reference.information_matrix_loop(codes.tolist(), factors.tolist())
    assert values["mig"] == pytest.approx(reference.mig_loop(matrix, factors.tolist()))
    assert values["mcc"] == pytest.approx((1 + 2 / 5**0.5) / 2)
    # By hand, in bits: I(a; v1) = 2, I(a; v2) = 0, I(b; v1) = I(b; v2) = 1.25.
    expected = {"mig": 0.5, "aam": 0.6875, "modularity": 0.5, "irs": 0.8, "mcc": 0.947}
    assert values == pytest.approx(expected, abs=5e-4)


def test_mutual_information_is_the_loops_and_scikit_learns(factors, noise):
    codes = factors[:300] + noise[:300]
    found = metrics.mutual_information(codes, factors[:300])
    oracle = reference.information_matrix_loop(codes.tolist(), factors[:300].tolist())
    np.testing.assert_allclose(found.matrix, oracle, atol=1e-9)
    for j, k in itertools.product(range(3), range(3)):
        digits = np.digitize(codes[:, j], np.histogram(codes[:, j], 20)[1][:-1])
        assert found.matrix[j, k] == pytest.approx(
            mutual_info_score(factors[:300, k], digits), abs=0.02
        )


def test_mig_and_modularity_are_the_loops(factors, noise):
    codes = factors + noise
    matrix = reference.information_matrix_loop(codes.tolist(), factors.tolist())
    assert metrics.mig(codes, factors) == pytest.approx(
        reference.mig_loop(matrix, factors.tolist()), abs=1e-6
    )
    assert metrics.modularity(codes, factors) == pytest.approx(
        reference.modularity_loop(matrix), abs=1e-6
    )


def test_sap_is_the_gap_of_one_machine_per_latent(factors, noise):
    codes = factors + noise
    order = np.random.default_rng(0).permutation(len(codes))
    train, test = order[1000:], order[:1000]
    gaps = []
    for levels in factors.T:
        scores = []
        for code in codes.T:
            machine = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
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


def test_aam_and_the_scores_of_dci_are_the_loops(factors, noise):
    codes = factors + noise
    matrix = reference.information_matrix_loop(codes.tolist(), factors.tolist())
    assert metrics.aam(codes, factors) == pytest.approx(reference.axis_alignment_loop(matrix))
    found = metrics.dci(codes, factors)
    expected = reference.dci_from_importance(found.importance.tolist())
    assert found[:2] == pytest.approx(expected, abs=1e-6)


def test_votes_and_pairs_agree_with_the_loops_within_sampling_error(factors, noise):
    codes = (factors @ np.array([[1, 0.8, 0], [0, 1, 0.5], [0.6, 0, 1]]) + 2 * noise)[:500]
    levels = factors[:500]
    votes = metrics.factor_vae_metric(codes, levels, n_train=2000, n_test=2000)
    assert 0.5 < votes < 0.98
    assert votes == pytest.approx(
        reference.factor_vae_loop(codes, levels.tolist(), 600, seed=1), abs=0.05
    )
    pairs = metrics.higgins_metric(codes, levels, n_train=2000, n_test=2000)
    assert pairs == pytest.approx(
        reference.higgins_loop(codes, levels.tolist(), 150, seed=1), abs=0.09
    )


def test_explicitness_is_the_mean_area_under_the_curve(factors, noise):
    codes, levels = (factors + noise)[:300, :2], factors[:300, :1] > 2
    order = np.random.default_rng(0).permutation(300)
    train, test = order[100:], order[:100]
    model = LogisticRegression(max_iter=1000).fit(codes[train], levels[train, 0])
    area = reference.area_under_curve(model.decision_function(codes[test]), levels[test, 0])
    assert metrics.explicitness(codes, levels.astype(int)) == pytest.approx(2 * area - 1, abs=0.02)


def test_udr_is_the_loop(noise):
    codes = [noise[:60, :2], (noise @ rotated(np.eye(3)))[:60], noise[:60, [2, 0]]]
    expected = reference.udr_loop([code.tolist() for code in codes], rankdata)
    found = metrics.udr(codes, [np.ones(code.shape[1]) for code in codes])
    np.testing.assert_allclose(found, expected)


def test_irs_and_mcc_are_the_loops(factors, noise):
    codes = (factors + noise)[:200]
    assert metrics.irs(codes, factors[:200]) == pytest.approx(
        reference.interventional_robustness_loop(codes, factors[:200], 0.99)
    )
    correlations = np.abs(np.corrcoef(codes.T, factors[:200].T)[:3, 3:])
    assert metrics.mcc(codes, factors[:200]) == pytest.approx(
        reference.best_matching(correlations.tolist())
    )


def test_spearman_sees_through_a_monotonic_map(noise):
    assert metrics.mcc(np.exp(3 * noise), noise, correlation="spearman") == pytest.approx(1.0)
    assert metrics.mcc(np.exp(3 * noise), noise) < 0.8


def test_fewer_latents_than_sources_lose_what_they_lack(noise):
    assert metrics.mcc(noise[:, :2], noise) == pytest.approx(2 / 3, abs=1e-6)


def test_quantile_bins_survive_an_outlier_that_breaks_equal_widths():
    factors = np.random.default_rng(0).integers(0, 10, (2000, 2))
    codes = factors.astype(float)
    codes[0] = 1e4
    assert metrics.mig(codes, factors) < 0.01
    assert metrics.mig(codes, factors, binning="quantile") > 0.95


def test_continuous_factors_work_everywhere():
    sources = np.random.default_rng(0).uniform(-1, 1, (1500, 2))
    for name, score in SCORES.items():
        limit = {"sap": 0.9, "mig": 0.8, "explicitness": 0.5}.get(name, 0.85)
        assert score(sources, sources) > limit, name


def test_posterior_samples_give_the_closed_form_of_a_gaussian_channel():
    # z = level + deviation * noise: information from many samples against the integral.
    levels = np.random.default_rng(0).integers(0, 4, (4000, 1))
    means, deviations = levels.astype(float), np.full((4000, 1), 0.5)
    exact = metrics.mutual_information(means, levels, deviations=deviations).matrix[0, 0]
    samples = np.random.default_rng(1).normal(np.repeat(means, 50, 0), 0.5)
    plugged = metrics.mutual_information(samples, np.repeat(levels, 50, 0), bins=200)
    assert exact == pytest.approx(plugged.matrix[0, 0], rel=0.01)
    sharp = metrics.mutual_information(means, levels, deviations=deviations / 100)
    assert sharp.matrix[0, 0] == pytest.approx(np.log(4), rel=0.01)


def test_dead_latents_do_not_vote_and_all_dead_score_zero(factors):
    dead = 1e-3 * np.random.default_rng(0).normal(size=(3000, 1))
    codes = np.hstack([factors, dead])
    assert metrics.factor_vae_metric(codes, factors, **SAMPLED) == 1.0
    assert metrics.factor_vae_metric(dead, factors, **SAMPLED) == 0.0
    assert metrics.irs(np.zeros((3000, 2)), factors) == 0.0


def test_active_units_are_counted(noise):
    assert metrics.active_units(noise * np.array([1.0, 0.09, 2.0])) == 2


def test_udr_ranks_agreeing_models_first_whatever_order_and_sign(noise):
    mixed = rotated(noise)
    codes = [noise, -noise[:, ::-1], noise[:, [1, 0, 2]], mixed]
    scores = metrics.udr(codes, [np.ones(3)] * 4)
    assert scores.argmin() == 3
    # Of a pair without any noise in R every term is 1.
    exact = metrics.udr([np.eye(4)[:, :2]] * 2, [np.ones(2)] * 2, correlation="pearson")
    matrix = np.array([[1, 1 / 3], [1 / 3, 1]])
    expected = (1 / matrix.sum(axis=0)).mean()
    np.testing.assert_allclose(exact, expected, atol=1e-6)


def test_uninformative_latents_do_not_count_in_udr(noise):
    twin = np.hstack([noise, np.random.default_rng(5).normal(size=(3000, 1))])
    kls = np.array([1.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(
        metrics.udr([twin, noise], [kls, np.ones(3)]), metrics.udr([noise] * 2, [np.ones(3)] * 2)
    )
    assert metrics.udr([twin, noise], [0 * kls, np.ones(3)])[0] == 0


@pytest.mark.parametrize("name", list(SCORES))
def test_scores_repeat_and_take_tensors(name, factors, noise):
    codes = factors + noise
    once = SCORES[name](codes, factors)
    assert once == SCORES[name](torch.from_numpy(codes), torch.from_numpy(factors))


def test_a_generator_may_seed_a_score(factors, noise):
    codes = factors + noise
    first, second = (
        metrics.factor_vae_metric(codes, factors, seed=np.random.default_rng(3), **SAMPLED)
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("name", list(SCORES))
def test_bad_arrays_are_named(name, factors, noise):
    score = SCORES[name]
    with pytest.raises(ValueError, match="one row per row of `codes`"):
        score(noise, factors[:100])
    with pytest.raises(ValueError, match="`factors` must vary in every column"):
        score(noise, np.hstack([factors, np.ones((3000, 1), dtype=int)]))
    with pytest.raises(ValueError, match="`codes` must be finite"):
        score(np.where(noise > 2, np.nan, noise), factors)
    with pytest.raises(ValueError, match=r"`codes` must have shape \(n, latent_size\)"):
        score(noise[:, 0], factors)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda c, f: metrics.mig(c[:, :1], f), "at least 2 latents"),
        (lambda c, f: metrics.sap(c[:, :1], f), "at least 2 latents"),
        (lambda c, f: metrics.modularity(c, f[:, :1]), "at least 2 columns"),
        (lambda c, f: metrics.mig(c, f, bins=1), "`bins` must be at least 2"),
        (lambda c, f: metrics.mig(c, f, binning="log"), "`binning` must be one of"),
        (lambda c, f: metrics.mig(c, f, deviations=c[:5]), "`deviations` must be above 0"),
        (lambda c, f: metrics.dci(c, f, trees="lasso"), "`trees` must be one of"),
        (lambda c, f: metrics.dci(c[:5], f[:5]), "at least 10 examples"),
        (lambda c, f: metrics.sap(c, f, test_share=1.0), "`test_share` must leave"),
        (lambda c, f: metrics.irs(c, f, quantile=0.0), "`quantile` must be in"),
        (lambda c, f: metrics.higgins_metric(c, f, pairs=0), "`pairs` must be larger"),
        (lambda c, f: metrics.higgins_metric(c, f[:, :1]), "`factors` must have at least 2"),
        (
            lambda c, f: metrics.factor_vae_metric(c[:40], np.arange(40)[:, None]),
            "every level at least twice",
        ),
        (lambda c, f: metrics.mcc(c, f, correlation="kendall"), "`correlation` must be one of"),
        (lambda c, f: metrics.udr([c], [np.ones(3)]), "2 models or more"),
        (lambda c, f: metrics.udr([c, c[:9]], [np.ones(3)] * 2), "of the same examples"),
    ],
)
def test_bad_arguments_are_named(act, words, factors, noise):
    with pytest.raises(ValueError, match=words):
        act(noise, factors)
