"""What is left of inputs that are drawn and read again? Closed forms, loops, guessed strengths."""

import math

import pytest
import torch

from attributions.measures.redrawing import (
    drawn_variance,
    reread_share,
    strength_correlation,
    weakest_strength,
)


def drawing(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shrinking", [0.0, 0.3, 1.0, 2.0])
def test_a_latent_that_shrinks_keeps_one_less_the_square_of_what_is_lost(shrinking):
    latents = torch.randn(60, 1, generator=drawing())
    latents -= latents.mean(dim=0)
    found = reread_share(latents, shrinking * latents, generator=drawing(1))
    assert found.value == pytest.approx(1 - (1 - shrinking) ** 2, abs=1e-6)
    assert found.interval.low == pytest.approx(found.interval.high, abs=1e-6)


def test_the_lowest_of_the_latents_counts():
    latents = torch.randn(200, 3, generator=drawing())
    reread = latents.clone()
    reread[:, 1] += 0.8 * torch.randn(200, generator=drawing(1))
    error = (reread - latents)[:, 1].square().sum() / (
        (latents - latents.mean(dim=0))[:, 1].square().sum()
    )
    found = reread_share(latents, reread, generator=drawing(2))
    assert found.value == pytest.approx(1 - float(error), rel=1e-5)
    low, high = found.interval
    assert low < found.value < high
    assert 0.05 < high - low < 0.5


def test_a_latent_that_does_not_vary_has_no_share():
    found = reread_share(torch.ones(5, 1), torch.zeros(5, 1), generator=drawing())
    assert not math.isfinite(found.value)
    assert found.interval is None


def test_drawing_always_the_mean_draws_nothing_and_the_negative_less_than_that():
    inputs = torch.randn(50, 2, 3, 3, generator=drawing())
    inputs -= inputs.mean(dim=0)
    for factor, share in ((0.0, 0.0), (1.0, 1.0), (0.5, 0.75), (-1.0, -3.0)):
        found = drawn_variance(inputs, factor * inputs, generator=drawing(1))
        assert found.value == pytest.approx(share, abs=1e-6)


def test_a_class_that_is_guessed_has_no_strength_left():
    strength = torch.rand(400, generator=drawing()) + 1
    sign = torch.where(torch.arange(400) < 200, 1.0, -1.0)
    outputs = torch.stack([sign * strength, -sign * strength], dim=1)
    guessed = outputs[torch.cat([torch.randperm(200, generator=drawing(1)) + n for n in (0, 200)])]
    told = outputs.argmax(dim=1)
    kept = strength_correlation(outputs, 3 * outputs + 1, told, generator=drawing())
    assert kept.value == pytest.approx(1)
    lost = strength_correlation(outputs, guessed, told, generator=drawing())
    assert abs(lost.value) < 0.2
    assert lost.interval.low < 0 < lost.interval.high


def test_it_is_the_correlation_that_a_loop_over_classes_finds():
    outputs = torch.randn(40, 4, generator=drawing()).double()
    again = outputs + torch.randn(40, 4, generator=drawing(1)).double()
    told = outputs.argmax(dim=1)
    products, left, right = 0.0, 0.0, 0.0
    for index in range(4):
        rows = [side[told == index] for side in (outputs, again)]
        u, v = (
            (side - side.mean(1, keepdim=True)) - (side - side.mean(1, keepdim=True)).mean(0)
            for side in rows
        )
        products, left, right = (
            products + (u * v).sum(),
            left + (u * u).sum(),
            right + (v * v).sum(),
        )
    found = strength_correlation(outputs, again, told, generator=drawing())
    assert found.value == pytest.approx(float(products / (left * right).sqrt()))


def test_a_quantity_is_one_class_and_its_strength_the_plain_correlation():
    outputs, noise = torch.randn(2, 80, 1, generator=drawing()).double()
    again = outputs + noise
    found = strength_correlation(
        outputs, again, torch.zeros(80, dtype=torch.long), generator=drawing()
    )
    plain = torch.corrcoef(torch.stack([outputs[:, 0], again[:, 0]]))[0, 1]
    assert found.value == pytest.approx(float(plain))


def test_the_weakest_class_is_the_lowest_correlation_of_a_class_with_twenty_examples():
    outputs = torch.randn(90, 3, generator=drawing())
    again = outputs + torch.randn(90, 3, generator=drawing(1))
    told = torch.tensor([0] * 40 + [1] * 31 + [2] * 19)
    each = [
        strength_correlation(
            outputs[told == index], again[told == index], told[told == index], generator=drawing()
        )
        for index in (0, 1)
    ]
    found = weakest_strength(outputs, again, told, generator=drawing())
    lowest = min(each, key=lambda one: one.value)
    assert found.value == pytest.approx(lowest.value)
    assert found.interval == pytest.approx(lowest.interval, abs=0.02)
    few = weakest_strength(outputs[:19], again[:19], told[:19], generator=drawing())
    assert math.isnan(few.value)


def test_differences_of_rounding_have_no_strength():
    told = torch.zeros(50, dtype=torch.long)
    for noise, silent in ((1e-7, True), (1e-3, False)):
        outputs = torch.tensor([3.0, -7.0]) * (1 + noise * torch.randn(50, 2, generator=drawing()))
        for measure in (strength_correlation, weakest_strength):
            found = measure(outputs, outputs, told, generator=drawing())
            assert math.isnan(found.value) == silent


def test_one_masked_class_does_not_hide_the_strength_of_the_others():
    outputs = torch.randn(50, 3, generator=drawing())
    told = outputs[:, :2].argmax(dim=1)
    outputs[:, 2] = -1e9
    found = strength_correlation(outputs, outputs, told, generator=drawing())
    assert found.value == pytest.approx(1)


def test_evidence_that_is_there_or_not_has_no_strength():
    sign = torch.tensor([1.0, -1.0]).repeat(50)
    for noise, told in ((0.05, False), (0.5, True)):
        logit = sign * (1 + noise * torch.randn(100, generator=drawing()))
        outputs = torch.stack([logit, -logit], dim=1)
        found = strength_correlation(outputs, outputs, outputs.argmax(dim=1), generator=drawing())
        assert math.isfinite(found.value) == told


def test_classes_that_are_drawn_by_one_picture_each_have_lost_all_strength():
    outputs = torch.randn(60, 2, generator=drawing())
    told = outputs.argmax(dim=1)
    same = torch.eye(2)[told]
    assert strength_correlation(outputs, same, told, generator=drawing()).value == pytest.approx(0)


def test_a_float16_is_measured_as_well():
    outputs = torch.randn(30, 2, generator=drawing())
    for dtype in (torch.float16, torch.bfloat16):
        half = outputs.to(dtype)
        assert drawn_variance(half, half, generator=drawing()).value == 1
        assert reread_share(half, half, generator=drawing()).value == 1
        told = half.argmax(dim=1)
        assert strength_correlation(half, half, told, generator=drawing()).value == pytest.approx(1)


def test_pairs_that_do_not_fit_are_refused():
    one = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"`latents` and `reread` must have one shape .* \(4, 3\)"):
        reread_share(one, torch.zeros(4, 3))
    with pytest.raises(ValueError, match=r"`inputs` and `reconstructions` must .* Got \(4,\)"):
        drawn_variance(torch.zeros(4), torch.zeros(4))
    with pytest.raises(ValueError, match=r"Got \(0, 2\) and \(0, 2\)"):
        reread_share(one[:0], one[:0])
    with pytest.raises(ValueError, match="`predicted` must be one class for each of 4 outputs"):
        strength_correlation(one, one, torch.zeros(3, dtype=torch.long))
