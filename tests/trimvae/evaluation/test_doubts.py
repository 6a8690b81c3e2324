"""Warnings of an evaluation: on the right side of their bounds, and by more than chance."""

import pytest

from attributions.measures.following import Following
from attributions.measures.intervals import Interval, share_interval
from trimvae.evaluation.doubts import doubts_of
from trimvae.evaluation.figure import Measured
from trimvae.explanation.cues import Cue


def said(examples=100, cues=(), **figures):
    agreed = figures.pop("agreement", Measured(1.0, share_interval(1.0, 100)))
    return " ".join(doubts_of({"agreement": agreed, **figures}, cues, examples))


def between(low, value, high):
    return Measured(value, Interval(low, high))


def test_nothing_is_said_of_what_is_right():
    assert said() == ""


@pytest.mark.parametrize(("examples", "warned"), [(1, True), (19, True), (20, False)])
def test_fewer_than_twenty_examples_are_said_to_be_few(examples, warned):
    assert ("intervals are wide" in said(examples)) == warned
    assert ("1 example was" in said(1)) != ("1 example was" in said(2))


@pytest.mark.parametrize(
    ("name", "figure", "words", "warned"),
    [
        ("judges_gap", between(0.2, 0.3, 0.4), "their agreement is 0.30 lower", True),
        ("judges_gap", between(0.05, 0.3, 0.5), "their agreement is", False),
        ("real_pairs_correlation", between(-0.2, 0.1, 0.4), "(correlation 0.10)", True),
        ("real_pairs_correlation", between(0.2, 0.5, 0.7), "(correlation", False),
        (
            "randomised_predictor_rank_correlation",
            between(0.6, 0.7, 0.8),
            "much alike (rank correlation 0.70)",
            True,
        ),
        ("randomised_predictor_rank_correlation", between(0.3, 0.6, 0.8), "much alike", False),
        ("majority_share", Measured(1.0), "decides alike for every example", True),
        ("majority_share", Measured(0.98), "not surely above the share", True),
        ("majority_share", Measured(0.9), "not surely", False),
    ],
)
def test_each_bound_is_that_of_the_interval(name, figure, words, warned):
    assert (words in said(**{name: figure})) == warned


def test_following_below_chance_is_warned_of_once():
    figures = {
        "following": Measured(0.2),
        "following_by_chance": Measured(0.4),
        "following_beyond_chance": between(-0.3, -0.2, -0.1),
    }
    assert "follows in 20%, and would in 40% by chance" in said(**figures)
    assert said(**{**figures, "following_beyond_chance": between(-0.4, -0.2, 0.01)}) == ""
    lost = Cue("hybrid at 0.2", True, Following(0.1, 0.9, 0.5, 90, 100))
    both = said(cues=[lost], **figures)
    assert "The predictor reads what the code does not follow" in both
    assert "by chance" not in both
