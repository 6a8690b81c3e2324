import numpy as np
import pytest
from scipy.stats import rankdata

from tests import reference
from tests.trimvae.metrics.scores import rotated
from trimvae import metrics


def test_mcc_is_the_best_of_all_matchings(factors, noise):
    codes = (factors + noise)[:200]
    correlations = np.abs(np.corrcoef(codes.T, factors[:200].T)[:3, 3:])
    assert metrics.mcc(codes, factors[:200]) == pytest.approx(
        reference.best_matching(correlations.tolist())
    )


def test_spearman_sees_through_a_monotonic_map(noise):
    assert metrics.mcc(np.exp(3 * noise), noise, correlation="spearman") == pytest.approx(1.0)
    assert metrics.mcc(np.exp(3 * noise), noise) < 0.8


def test_fewer_latents_than_sources_lose_what_they_lack(noise):
    assert metrics.mcc(noise[:, :2], noise) == pytest.approx(2 / 3, abs=1e-6)


def test_active_units_are_counted(noise):
    assert metrics.active_units(noise * np.array([1.0, 0.09, 2.0])) == 2


def test_udr_is_the_loop(noise):
    codes = [noise[:60, :2], (noise @ rotated(np.eye(3)))[:60], noise[:60, [2, 0]]]
    expected = reference.udr_loop([code.tolist() for code in codes], rankdata)
    found = metrics.udr(codes, [np.ones(code.shape[1]) for code in codes])
    np.testing.assert_allclose(found, expected)


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
    # Nor does one whose means never vary, whatever its KL.
    twin[:, 3] = 2.0
    np.testing.assert_allclose(
        metrics.udr([twin, noise], [np.ones(4), np.ones(3)]),
        metrics.udr([noise] * 2, [np.ones(3)] * 2),
    )


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda c, f: metrics.mcc(c[:2], f[:2]), "at least 3 examples"),
        (lambda c, f: metrics.mcc(c, f, correlation="kendall"), "`correlation` must be one of"),
        (lambda c, f: metrics.udr([c], [np.ones(3)]), "2 models or more"),
        (lambda c, f: metrics.udr([c, c[:9]], [np.ones(3)] * 2), "of the same examples"),
    ],
)
def test_bad_arguments_are_named(act, words, factors, noise):
    with pytest.raises(ValueError, match=words):
        act(noise, factors)
