"""Re-encoded decisions beside the predictor's, where inputs are changed."""

import itertools

import pytest
import torch

from attributions.measures.following import Following, followed_decisions

NOTHING = Following(None, None, None, 0, 3)


def test_a_perfect_code_follows_always_and_one_that_draws_something_else_never():
    before, after = torch.zeros(6).long(), torch.tensor([1, 2, 1, 2, 0, 0])
    assert followed_decisions(before, after, after)[:2] == (1.0, 0.0)
    assert followed_decisions(before, after, before)[:2] == (0.0, 1.0)
    third = torch.full((6,), 3)
    assert followed_decisions(before, after, third)[:2] == (0.0, 0.0)


def test_only_changed_decisions_count():
    before, after = torch.tensor([0, 0, 0]), torch.tensor([1, 0, 0])
    found = followed_decisions(before, after, torch.tensor([1, 5, 5]))
    assert (found.share, found.changed, found.asked) == (1.0, 1, 3)


def test_chance_is_the_mean_share_over_all_orders_of_the_reencoded_decisions():
    before, after = torch.full((6,), 9), torch.tensor([0, 1, 2, 0, 1, 0])
    again = torch.tensor([0, 0, 1, 9, 2, 9])
    shares = [
        (again[list(order)] == after).double().mean() for order in itertools.permutations(range(6))
    ]
    found = followed_decisions(before, after, again)
    assert found.chance == pytest.approx(float(torch.stack(shares).mean()))
    assert 0 < found.chance < 1


def test_a_code_that_always_says_one_class_is_no_better_than_chance():
    before, after = torch.full((40,), 2), torch.arange(40) % 2
    found = followed_decisions(before, after, torch.zeros(40).long())
    assert found.share == found.chance == 0.5


def test_no_changed_decision_is_no_success():
    same = torch.tensor([0, 1, 2])
    assert followed_decisions(same, same, same) == NOTHING
    assert NOTHING.in_words() == "no decision changed, of 3"


def test_what_became_of_decisions_is_said():
    found = followed_decisions(
        torch.zeros(4).long(), torch.ones(4).long(), torch.tensor([1, 0, 0, 0])
    )
    assert found.in_words() == "25% of 4 changed decisions (chance 25%)"


def test_decisions_of_other_inputs_are_refused():
    with pytest.raises(ValueError, match="must be one decision for each input"):
        followed_decisions(torch.zeros(3), torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match="must be one decision for each input"):
        followed_decisions(*[torch.zeros(3, 2)] * 3)
