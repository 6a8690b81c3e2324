import math

import numpy as np
import pytest
import torch
from scipy.stats import f_oneway

from benchmarks.planted_rules.class_rules import CLASS_RULES
from benchmarks.planted_rules.rules import COLUMNS, DATA, FACTORS
from benchmarks.planted_rules.scores import correlations, factor_correlation, strongest_is_factors

GRID = DATA.factors[:, COLUMNS]
PLACES = {name: FACTORS.index(name) for name in FACTORS}


def test_correlations_are_pearsons_and_the_ratio_of_an_analysis_of_variance():
    factors = GRID[torch.randperm(len(GRID))[:200]]
    latents = torch.randn(200, 3, dtype=torch.float64) + factors[:, :1] * torch.tensor([0, 1, -2])
    found = correlations(latents, factors)
    for axis, own in zip(found, latents.T.numpy(), strict=True):
        for name in ("scale", "x", "y"):
            plain = np.corrcoef(own, factors[:, PLACES[name]].numpy())[0, 1]
            assert math.isclose(axis[PLACES[name]], abs(plain), rel_tol=1e-9)
        groups = [own[factors[:, PLACES["shape"]].numpy() == level] for level in range(3)]
        ratio = f_oneway(*groups).statistic * 2 / 197
        assert math.isclose(axis[PLACES["shape"]] ** 2, ratio / (1 + ratio), rel_tol=1e-9)


def test_an_axis_that_is_a_factor_has_one_also_where_its_levels_have_no_order():
    latents = GRID.double()
    latents[:, PLACES["shape"]] = torch.tensor([3.0, -1.0, 7.0])[GRID[:, PLACES["shape"]]].double()
    torch.testing.assert_close(correlations(latents, GRID), torch.eye(4).double())


def test_an_axis_that_does_not_vary_has_nothing():
    assert correlations(torch.full((len(GRID), 1), 0.3), GRID).abs().max() == 0


def test_a_turn_by_an_eighth_shares_two_factors_alike():
    unit = (GRID.double() - GRID.double().mean(dim=0)) / GRID.double().std(dim=0)
    x, y = unit[:, PLACES["x"]], unit[:, PLACES["y"]]
    turned = torch.stack([x + y, x - y, unit[:, PLACES["scale"]]], dim=1)
    found = factor_correlation(turned, GRID)
    expected = {"shape": 0.0, "scale": 1.0, "x": 0.5**0.5, "y": 0.5**0.5}
    torch.testing.assert_close(found, torch.tensor([expected[name] for name in FACTORS]).double())


@pytest.fixture
def axis_of_factors():
    """Four axes, in another order than the factors'."""
    order = torch.tensor([2, 0, 3, 1])
    return torch.eye(4).double()[order].T * 0.9 + 0.05, order


@pytest.mark.parametrize("name", CLASS_RULES)
def test_explanations_by_factors_have_the_factors_axis(name, axis_of_factors):
    rule = CLASS_RULES[name]
    correlation, _ = axis_of_factors
    predicted = torch.arange(rule.n_classes).repeat(3)
    # What speaks for a class on a factor's axis: that the class has the example's part.
    by_factor = -rule.between[predicted].double()
    attributions = by_factor @ (correlation.T > 0.5).double()
    shares = strongest_is_factors(attributions, predicted, correlation, rule)
    assert shares == dict.fromkeys(rule.relevant, 1.0)


def test_explanations_by_classes_have_the_axis_of_no_factor(axis_of_factors):
    rule = CLASS_RULES["three bits"]
    correlation = torch.cat([axis_of_factors[0], torch.full((8, 4), 0.2).double()])
    predicted = torch.arange(8)
    attributions = torch.zeros(8, 8, 12)
    attributions[:, :, 4:] = torch.eye(8)
    shares = strongest_is_factors(attributions, predicted, correlation, rule)
    assert shares == dict.fromkeys(rule.relevant, 0.0)


@pytest.mark.parametrize("name", CLASS_RULES)
def test_the_share_is_that_of_a_count_one_by_one(name):
    rule = CLASS_RULES[name]
    attributions = torch.randn(40, rule.n_classes, 5)
    predicted = torch.randint(rule.n_classes, (40,))
    correlation = torch.rand(5, 4)
    hits = {factor: [] for factor in rule.relevant}
    for row, ours in zip(attributions, predicted.tolist(), strict=True):
        for other in range(rule.n_classes):
            if len(names := rule.factors_between(ours, other)) == 1:
                axis = int(correlation[:, PLACES[names[0]]].argmax())
                hits[names[0]].append(int((row[ours] - row[other]).abs().argmax()) == axis)
    shares = strongest_is_factors(attributions, predicted, correlation, rule)
    assert shares == pytest.approx({factor: np.mean(each) for factor, each in hits.items()})
