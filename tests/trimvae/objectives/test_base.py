import pytest
import torch

from tests.trimvae.objectives.cases import batch
from trimvae.objectives import BetaVAE, CapacityVAE, Ramp, kl, reconstruction


def test_terms_are_sums_over_the_event_and_means_over_the_batch():
    one = batch()
    per_pixel = -one.observation.log_prob(one.inputs)
    torch.testing.assert_close(
        reconstruction(one.inputs, one.observation), per_pixel.sum() / len(one.inputs)
    )
    mean, deviation = one.posterior.mean, one.posterior.stddev
    closed = 0.5 * (mean**2 + deviation**2 - 1 - 2 * deviation.log()).sum() / len(mean)
    torch.testing.assert_close(kl(one.posterior, one.prior), closed)


def test_ramps_give_their_value_at_the_pass_step():
    one = batch(step=50)
    ramped = BetaVAE(Ramp(4.0, steps=100))(one)
    torch.testing.assert_close(ramped.total, BetaVAE(2.0)(one).total)
    late = CapacityVAE(Ramp(25.0, steps=100))(batch(step=10_000))
    torch.testing.assert_close(late.total, CapacityVAE(25.0)(batch()).total)


def test_a_ramp_without_steps_is_refused():
    with pytest.raises(ValueError, match="`steps` must be at least 1"):
        Ramp(1.0, steps=0)
