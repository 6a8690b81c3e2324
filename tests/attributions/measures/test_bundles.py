"""Which part of what is drawn does the predictor respond to? Closed forms, and all orders."""

import itertools

import numpy as np
import pytest
import torch

from attributions.measures.bundles import (
    caused_shares,
    common_share,
    drawn_shares,
    integrated_shares,
)
from attributions.transforms import (
    Cosine,
    Fourier,
    Identity,
    IndependentComponents,
    NonNegativeParts,
    Parts,
)


@pytest.mark.parametrize("transform", [Fourier((5,)), Cosine((6,)), Fourier((1, 4, 5), dims=2)])
def test_the_energy_of_what_is_drawn_is_parsevals(transform):
    """Also of Fourier's half spectrum, whose coefficients stand for two."""
    shape = transform.event_shape
    before, after = torch.randn(3, *shape).double(), torch.randn(3, *shape).double()
    found = drawn_shares(before, after, transform)
    change = (after - before).flatten(1)
    expected = []
    coefficients = transform.encode(after) - transform.encode(before)
    for group in range(len(transform.group_names)):
        alone = transform.decode(coefficients * (transform.groups == group))
        expected.append(alone.square().sum() / change.square().sum())
    torch.testing.assert_close(found, torch.stack(expected))
    assert float(found.sum()) == pytest.approx(1)


def test_shares_of_an_oblique_transform_are_none_below_0():
    oblique = IndependentComponents(torch.rand(200, 2) @ torch.tensor([[1.0, 0.9], [0.0, 0.1]]), 2)
    for _ in range(20):
        shares = drawn_shares(torch.zeros(1, 2), torch.randn(1, 2), oblique)
        assert bool((shares >= 0).all())
        assert float(shares.sum()) == pytest.approx(1, abs=1e-5)


def test_what_each_part_causes_is_its_mean_gain_over_all_orders():
    parts = Parts((6,), {"a": torch.arange(6) < 2, "b": torch.arange(6) == 2})
    weight = torch.randn(6, 3).double()
    before, after = torch.randn(4, 6).double(), torch.randn(4, 6).double()

    def function(inputs):
        return (inputs.square() @ weight).sin()

    masks = [parts.groups == group for group in range(3)]
    gains = torch.zeros(4, 3, 3).double()
    for order in itertools.permutations(range(3)):
        inputs = before.clone()
        for part in order:
            further = torch.where(masks[part], after, inputs)
            gains[:, part] += (function(further) - function(inputs)) / 6
            inputs = further
    whole = function(after) - function(before)
    expected = (gains * whole.unsqueeze(1)).sum(dim=(0, 2)) / whole.square().sum()
    for max_points in (1, 64, np.int64(7)):
        found = caused_shares(function, before, after, parts, max_points=max_points)
        torch.testing.assert_close(found, expected)


def test_a_part_that_works_against_the_whole_has_a_share_below_0():
    weight = torch.tensor([[2.0], [-1.0]])
    found = caused_shares(lambda x: x @ weight, torch.zeros(1, 2), torch.ones(1, 2), Identity((2,)))
    torch.testing.assert_close(found, torch.tensor([2.0, -1.0]))
    drawn = torch.tensor([0.25, 0.75])
    assert common_share(drawn, found).item() == pytest.approx(0.25)


def test_a_shift_of_the_transforms_origin_changes_nothing():
    centred = IndependentComponents(torch.rand(200, 3) + 5, 3)
    weight = torch.randn(3, 2)
    shares = caused_shares(lambda x: x @ weight, torch.rand(4, 3), torch.rand(4, 3), centred)
    assert float(shares.sum()) == pytest.approx(1, abs=1e-4)


def test_what_is_drawn_and_caused_alike_has_all_in_common():
    shares = torch.tensor([0.7, 0.2, 0.1])
    assert common_share(shares, shares).item() == pytest.approx(1)
    assert common_share(shares, 3 * shares).item() == pytest.approx(1)
    assert common_share(shares, torch.tensor([0.0, 0.0, 1.0])).item() == pytest.approx(0.1)


def test_where_nothing_changes_there_are_no_shares():
    same, transform = torch.rand(2, 4), Identity((4,))
    assert bool(drawn_shares(same, same, transform).isnan().all())
    assert bool(caused_shares(lambda x: x, same, same, transform).isnan().all())
    nothing = torch.full((4,), torch.nan)
    assert bool(common_share(nothing, nothing).isnan())


def test_transforms_that_cannot_split_are_refused():
    before, after = torch.rand(2, 6), torch.rand(2, 6)
    nonlinear = NonNegativeParts(torch.rand(20, 6), 3)
    for measure in (drawn_shares, lambda *some: caused_shares(lambda x: x, *some)):
        with pytest.raises(ValueError, match="`transform` must be linear. Got NonNegativeParts"):
            measure(before, after, nonlinear)
        with pytest.raises(ValueError, match=r"made for inputs of shape \(6,\). Got one for \(4,"):
            measure(before, after, Identity((4,)))
    with pytest.raises(ValueError, match="few entries for exact Shapley values. Got 20"):
        caused_shares(lambda x: x, torch.zeros(1, 20), torch.ones(1, 20), Identity((20,)))


@pytest.mark.parametrize("transform", [Identity((12,)), Cosine((12,)), Cosine((3, 4), dims=1)])
def test_of_effects_that_add_up_integrated_shares_are_those_of_all_orders(transform):
    weight = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)).double()
    before, after = torch.randn(2, 5, *transform.event_shape).double()

    def function(inputs):
        return inputs.flatten(1) @ weight

    found = integrated_shares(function, before, after, transform, n_steps=1)
    expected = caused_shares(function, before, after, transform)
    torch.testing.assert_close(found, expected)
    assert float(found.sum()) == pytest.approx(1)


def test_of_any_function_integrated_shares_are_its_path_integral():
    """A loop over examples, classes and points."""
    weight = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double()
    before, after = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(1)).double()

    def function(inputs):
        return (inputs @ weight).sin()

    expected = torch.zeros(6).double()
    for start, end in zip(before, after, strict=True):
        change = function(end[None]) - function(start[None])
        for point in (torch.arange(64) + 0.5) / 64:
            at = (start + point * (end - start))[None]
            slopes = torch.autograd.functional.jacobian(function, at)[0, :, 0]
            expected += (change @ slopes)[0] * (end - start) / 64
    found = integrated_shares(
        function, before, after, Identity((6,)), n_steps=64, max_points=np.int64(70)
    )
    torch.testing.assert_close(found, expected / expected.sum())


def test_integrated_shares_refuse_no_points():
    with pytest.raises(ValueError, match="`n_steps` must be"):
        integrated_shares(
            lambda x: x, torch.zeros(1, 2), torch.ones(1, 2), Identity((2,)), n_steps=0
        )
