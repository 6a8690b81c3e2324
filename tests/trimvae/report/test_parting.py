"""Where two explanations part."""

from dataclasses import replace

import pytest
import torch

from tests.trimvae.explanation.made import by_hand
from trimvae.explanation.comparison import compare, same_strongest
from trimvae.report.parting import (
    likeness,
    parted_card,
    parted_classes,
    parted_examples,
)


@pytest.fixture
def pair():
    """The second says the opposite of the last example, and decides the third otherwise."""
    one = by_hand()
    attributions, outputs = one.attributions.clone(), one.outputs.clone()
    attributions[3] = attributions[3].flip(-1)
    outputs[2] = torch.tensor([9.0, 0.0, 0.0])
    other = replace(one, attributions=attributions, outputs=outputs)
    return one, other, compare(one, other)


def test_the_same_attributions_have_a_likeness_of_one(pair):
    one, other, comparison = pair
    found = likeness(one, other, comparison)
    torch.testing.assert_close(found[:2], torch.ones(2).double())
    # [-2, 0, 6] and [6, 0, -2]: -24 / 40
    assert float(found[3]) == pytest.approx(-0.6)
    assert same_strongest(one, other, comparison.matched).tolist()[3] is False


def test_inputs_that_are_decided_otherwise_come_first_and_those_alike_do_not_come(pair):
    assert parted_examples(*pair) == [2, 3]


def test_classes_that_part_most_come_first(pair):
    rows = parted_classes(*pair)
    assert [row.name for row in rows] == ["b", "c", "a"]
    assert [row.examples for row in rows] == [1, 1, 2]
    assert [row.decided for row in rows] == ["0 %", "100 %", "100 %"]
    assert rows[1].cosine == "-0.60"
    assert rows[2].strongest == "100 %"


def test_a_card_says_what_both_say_and_by_which_factors(pair):
    one, other, _ = pair
    card = parted_card(one, other, 3, 40)
    assert card["picture"] is None
    assert not card["decided_apart"]
    first, second = card["sides"]
    assert [name for name, _ in first["factors"]] == ["z", "x"]
    assert [name for name, _ in second["factors"]] == ["x", "z"]
    assert parted_card(one, other, 2, 40)["decided_apart"]


def test_a_regression_has_no_classes(pair):
    one, other, comparison = pair
    settings = {**one.settings, "task": "regression"}
    assert parted_classes(replace(one, settings=settings), other, comparison) == []
