import numpy as np
import pytest

from tests import reference
from tests.trimvae.metrics.scores import SAMPLED
from trimvae import metrics


def test_votes_and_pairs_agree_with_the_loops_within_sampling_error(factors, noise):
    codes = (factors @ np.array([[1, 0.8, 0], [0, 1, 0.5], [0.6, 0, 1]]) + 2 * noise)[:500]
    levels = factors[:500]
    # Ten seeds: votes from .63 to .76, with chance at .33, and differences up to .04 each.
    votes = metrics.factor_vae_metric(codes, levels, n_train=2000, n_test=2000)
    assert 0.5 < votes < 0.9
    assert votes == pytest.approx(
        reference.factor_vae_loop(codes, levels.tolist(), 600, seed=1), abs=0.1
    )
    pairs = metrics.higgins_metric(codes, levels, n_train=2000, n_test=2000)
    assert pairs == pytest.approx(
        reference.higgins_loop(codes, levels.tolist(), 150, seed=1), abs=0.1
    )


def test_dead_latents_do_not_vote_and_all_dead_score_zero(factors):
    dead = 1e-3 * np.random.default_rng(0).normal(size=(3000, 1))
    codes = np.hstack([factors, dead])
    assert metrics.factor_vae_metric(codes, factors, **SAMPLED) == 1.0
    assert metrics.factor_vae_metric(dead, factors, **SAMPLED) == 0.0
    assert metrics.irs(np.zeros((3000, 2)), factors) == 0.0


def test_a_generator_may_seed_a_score(factors, noise):
    codes = factors + noise
    first, second = (
        metrics.factor_vae_metric(codes, factors, seed=np.random.default_rng(3), **SAMPLED)
        for _ in range(2)
    )
    assert first == second


def test_interventional_robustness_is_the_loop(factors, noise):
    codes = (factors + noise)[:200]
    assert metrics.irs(codes, factors[:200]) == pytest.approx(
        reference.interventional_robustness_loop(codes, factors[:200], 0.99)
    )


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda c, f: metrics.irs(c, f, quantile=0.0), "`quantile` must be in"),
        (lambda c, f: metrics.higgins_metric(c[:3], f[:3]), "at least 4 examples"),
        (lambda c, f: metrics.higgins_metric(c, f, pairs=0), "`pairs` must be larger"),
        (lambda c, f: metrics.higgins_metric(c, f[:, :1]), "`factors` must have at least 2"),
        (
            lambda c, f: metrics.factor_vae_metric(c[:40], np.arange(40)[:, None]),
            "every level at least twice",
        ),
    ],
)
def test_bad_arguments_are_named(act, words, factors, noise):
    with pytest.raises(ValueError, match=words):
        act(noise, factors)
