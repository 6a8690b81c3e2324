import itertools

import pytest
import torch
from torch.distributions import Normal

from tests.trimvae.objectives.cases import batch
from trimvae.objectives import (
    DIPVAE,
    BetaTCVAE,
    BetaVAE,
    CapacityVAE,
    batch_decomposition,
    covariance_penalties,
)


def test_beta_tc_with_all_weights_one_is_the_plain_vae():
    one = batch()
    assert torch.equal(BetaTCVAE(1.0)(one).total, BetaVAE()(one).total)


def test_beta_tc_weighs_each_part():
    one = batch()
    parts = batch_decomposition(one.latents, one.posterior, one.prior, 100)
    plain = BetaVAE()(one).total
    weighted = BetaTCVAE(6.0, alpha=3.0, gamma=0.5)(one).total
    expected = plain + 2 * parts[0] + 5 * parts[1] - 0.5 * parts[2]
    torch.testing.assert_close(weighted, expected)


def test_capacity_takes_the_absolute_value_of_the_batch_mean():
    # KLs of 0 and 50 nats around a capacity of 25: pythae's would pay 25, the equation nothing.
    mean = torch.tensor([[0.0], [10.0]]).double()
    one = batch(n=2, size=1)._replace(posterior=Normal(mean, torch.ones(2, 1).double()))
    loss = CapacityVAE(capacity=25.0, gamma=1000.0)(one)
    torch.testing.assert_close(loss.total, loss.terms["reconstruction"])
    far = CapacityVAE(capacity=20.0, gamma=10.0)(one)
    torch.testing.assert_close(far.total, far.terms["reconstruction"] + 50.0)


@pytest.mark.parametrize("moments", ["I", "II"])
def test_dip_penalties_are_those_of_the_covariance_matrix(moments):
    one = batch(n=20)
    off, on = covariance_penalties(one.posterior, moments)
    covariance = torch.cov(one.posterior.mean.T, correction=0)
    if moments == "II":
        covariance = covariance + torch.diag(one.posterior.variance.mean(0))
    expected = sum(covariance[i, j] ** 2 for i, j in itertools.permutations(range(3), 2))
    torch.testing.assert_close(off, expected)
    torch.testing.assert_close(on, ((covariance.diagonal() - 1) ** 2).sum())


def test_dip_defaults_follow_the_study():
    assert DIPVAE(5.0, moments="I").diagonal == 50.0
    assert DIPVAE(5.0, moments="II").diagonal == 5.0


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: BetaTCVAE(estimator="exact"), "`estimator` must be one of"),
        (lambda: BetaTCVAE(-1.0), "`beta` must be at least 0"),
        (lambda: BetaVAE(float("nan")), "`beta` must be at least 0"),
        (lambda: CapacityVAE(gamma=-1.0), "`gamma` must be at least 0"),
        (lambda: DIPVAE(moments="III"), "`moments` must be one of"),
        (lambda: BetaTCVAE()(batch(dataset_size=None)), "`dataset_size` must be known"),
        (lambda: BetaTCVAE()(batch(n=1)), "at least 2 examples"),
        (lambda: DIPVAE()(batch(n=1)), "2 examples or more"),
    ],
)
def test_bad_arguments_are_named(act, words):
    with pytest.raises(ValueError, match=words):
        act()
