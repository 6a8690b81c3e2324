import itertools

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from tests import reference
from trimvae import metrics


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


def test_axis_alignment_is_the_loop(factors, noise):
    codes = factors + noise
    matrix = reference.information_matrix_loop(codes.tolist(), factors.tolist())
    assert metrics.aam(codes, factors) == pytest.approx(reference.axis_alignment_loop(matrix))


def test_quantile_bins_survive_an_outlier_that_breaks_equal_widths():
    factors = np.random.default_rng(0).integers(0, 10, (2000, 2))
    codes = factors.astype(float)
    codes[0] = 1e4
    assert metrics.mig(codes, factors) < 0.01
    assert metrics.mig(codes, factors, binning="quantile") > 0.95


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


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda c, f: metrics.mig(c[:, :1], f), "at least 2 latents"),
        (lambda c, f: metrics.modularity(c, f[:, :1]), "at least 2 columns"),
        (lambda c, f: metrics.mig(c, f, bins=1), "`bins` must be at least 2"),
        (lambda c, f: metrics.mig(c, f, binning="log"), "`binning` must be one of"),
        (lambda c, f: metrics.mig(c, f, deviations=c[:5]), "`deviations` must be above 0"),
    ],
)
def test_bad_arguments_are_named(act, words, factors, noise):
    with pytest.raises(ValueError, match=words):
        act(noise, factors)
