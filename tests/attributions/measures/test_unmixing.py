"""Latents that are mixtures, and latents that are not."""

import math

import pytest
import torch

from attributions.measures import unmix

N = 2000


def draw(n=N, size=3, seed=0):
    """Independent uniform factors of variance 1."""
    return math.sqrt(12) * (
        torch.rand(n, size, generator=torch.Generator().manual_seed(seed)) - 0.5
    )


def turn(degrees):
    angle = math.radians(degrees)
    return torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


def test_the_gain_is_the_total_correlation_that_a_turn_makes():
    # Two uniform factors turned by 45 degrees are triangular: log sqrt(6) + 1/2 nats each, where
    # uniform ones have log sqrt(12).
    expected = 2 * (0.5 + math.log(math.sqrt(6)) - math.log(math.sqrt(12)))
    found = unmix(draw(size=2) @ turn(45))
    assert found.gain.value == pytest.approx(expected, abs=0.05)
    assert found.gain.interval.low < found.gain.value < found.gain.interval.high
    assert found.purity.tolist() == pytest.approx([math.sqrt(0.5)] * 2, abs=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_factors_gain_nothing_and_are_pure_while_turned_ones_are_not(seed):
    factors = draw(400, 4, seed)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(seed)))[0]
    straight, turned = unmix(factors), unmix(factors @ rotation)
    assert straight.gain.interval.low < 0.1
    assert straight.purity.min() > 0.95
    assert straight.correlation < 0.25
    assert turned.gain.interval.low > 0.15
    assert turned.purity.min() < 0.95


def test_of_normal_latents_no_direction_is_better():
    found = unmix(torch.randn(N, 4, generator=torch.Generator().manual_seed(0)))
    assert abs(found.gain.value) < 0.05


def test_correlation_goes_too():
    one, other = torch.randn(2, N, generator=torch.Generator().manual_seed(0))
    latents = torch.stack([one, 0.8 * one + 0.6 * other], dim=1)
    rho = float(torch.corrcoef(latents.T)[0, 1])
    found = unmix(latents)
    assert found.gain.value == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.1)
    assert found.correlation == pytest.approx(0.8, abs=0.03)


def test_latents_of_noise_and_dead_ones_are_left_out():
    factors = draw()
    latents = torch.cat([factors[:, :2] @ turn(45), torch.zeros(N, 1), 0.1 * factors], dim=1)
    deviations = torch.tensor([0.05, 0.05, 1.0, 1.0, 1.0, 1.0]).expand(N, 6)
    found = unmix(latents, deviations)
    assert found.purity.isnan().tolist() == [False, False, True, True, True, True]
    assert found.gain.value > 0.2


def test_posteriors_are_sampled():
    # Two values of each factor: no density, until the posteriors give one.
    signs = (draw(size=2) > 0).float() * 2 - 1
    found = unmix(signs @ turn(30), torch.full((N, 2), 0.1))
    assert found.gain.interval.low > 1
    assert unmix(signs, torch.full((N, 2), 0.1)).gain.value < 0.1


def test_it_is_the_same_each_time_and_whatever_the_scale():
    turned = draw() @ torch.linalg.qr(torch.randn(3, 3))[0]
    once = unmix(turned)
    again = unmix(turned.requires_grad_() * torch.tensor([1.0, 10.0, 0.1]) + 5)
    assert again.gain.value == pytest.approx(once.gain.value, abs=1e-3)
    assert again.purity.tolist() == pytest.approx(once.purity.tolist(), abs=1e-3)


@pytest.mark.parametrize(
    "latents",
    [
        draw(199),
        draw(size=1),
        draw(size=21),
        torch.cat([draw(), draw()], dim=1),
        torch.zeros(N, 3),
        draw().round(),
    ],
    ids=["few", "one", "many", "copies", "dead", "whole numbers"],
)
def test_nothing_is_said_where_nothing_can_be_told(latents):
    assert unmix(latents) is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"latents": torch.zeros(200)}, "`latents` must have shape"),
        ({"deviations": torch.zeros(200, 2)}, "`deviations` the same"),
        ({"n_shuffled": 1}, "`n_shuffled` must be 2 or more"),
        ({"n_shuffled": 0}, "`n_shuffled`"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        unmix(**{"latents": draw(200), **arguments})
