"""InfoMEC beside codes whose scores are known, and beside the formulas written out."""

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from trimvae.metrics import infomec

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(0, 4, size=(2000, 3))
NOISE = 0.05 * RNG.normal(size=(2000, 3))


def test_a_code_of_one_latent_for_each_factor_is_perfect():
    found = infomec(FACTORS[:, [2, 0, 1]] + NOISE, FACTORS)
    assert found.modularity > 0.97
    assert found.compactness > 0.97
    assert found.explicitness > 0.97
    assert found.active.all()
    assert found.information.argmax(axis=1).tolist() == [2, 0, 1]


def test_a_code_that_is_turned_is_neither_modular_nor_compact_but_still_explicit():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    found = infomec((FACTORS + NOISE) @ turn.T, FACTORS)
    assert found.modularity < 0.5
    assert found.compactness < 0.5
    assert found.explicitness > 0.9


def test_two_latents_for_a_factor_are_modular_and_not_compact():
    found = infomec(np.concatenate([FACTORS + NOISE, FACTORS - NOISE], axis=1), FACTORS)
    assert found.modularity > 0.97
    assert found.compactness == pytest.approx((0.5 - 1 / 6) / (1 - 1 / 6), abs=0.02)


def test_noise_tells_nothing():
    noise = np.random.default_rng(2).normal(size=(2000, 3))
    found = infomec(noise, FACTORS)
    assert found.information.max() < 0.05
    assert abs(found.explicitness) < 0.05


def test_latents_of_a_small_range_are_not_in_use():
    codes = np.concatenate([FACTORS + NOISE, 0.1 * RNG.random(size=(2000, 2))], axis=1)
    found = infomec(codes, FACTORS)
    assert found.active.tolist() == [True, True, True, False, False]
    assert found.modularity > 0.97


def test_it_is_the_formula_written_out():
    codes = FACTORS @ np.random.default_rng(3).normal(size=(3, 4)) + 0.1 * RNG.normal(
        size=(2000, 4)
    )
    found = infomec(codes, FACTORS)
    for latent, factor in ((0, 0), (3, 2)):
        alone = mutual_info_classif(
            codes[:, [latent]], FACTORS[:, factor], n_neighbors=10, random_state=0
        )[0] / mutual_info_score(FACTORS[:, factor], FACTORS[:, factor])
        assert found.information[latent, factor] == pytest.approx(alone, abs=1e-3)
    table = found.information
    modular = np.mean([row.max() / row.sum() for row in table])
    compact = np.mean([column.max() / column.sum() for column in table.T])
    assert found.modularity == pytest.approx((modular - 1 / 3) / (2 / 3))
    assert found.compactness == pytest.approx((compact - 1 / 4) / (3 / 4))


def test_the_reader_is_scored_on_examples_that_it_has_not_seen():
    """40 latents of noise for 100 examples: a reader learns them by heart."""
    codes = np.random.default_rng(4).normal(size=(100, 40))
    factors = np.random.default_rng(5).integers(0, 2, size=(100, 1))
    found = infomec(codes, factors)
    assert found.explicitness < 0.1
    assert np.isnan(found.modularity)  # one factor


def test_continuous_factors_are_cut_into_levels():
    factors = np.random.default_rng(6).normal(size=(1500, 2))
    found = infomec(factors, factors, bins=5)
    assert found.modularity > 0.9
    assert found.explicitness > 0.5


def test_the_same_seed_gives_the_same_figures():
    codes = FACTORS + NOISE
    one, other = infomec(codes, FACTORS, seed=3), infomec(codes, FACTORS, seed=3)
    assert one.explicitness == other.explicitness
    assert np.array_equal(one.information, other.information)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n_neighbors": 0}, "`n_neighbors` must be at least 1"),
        ({"test_share": 1.0}, "`test_share` must leave examples on both sides"),
    ],
)
def test_options_out_of_range_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        infomec(FACTORS + NOISE, FACTORS, **options)


def test_too_few_examples_are_refused():
    with pytest.raises(ValueError, match="`codes` must hold at least 20 examples"):
        infomec(FACTORS[:10] + NOISE[:10], FACTORS[:10])
