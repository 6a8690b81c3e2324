"""Numbers and lists in running text."""

from tests.trimvae.explanation.made import by_hand
from trimvae.report.wording import asked_model, in_letters, listed, percent, plural


def test_shares_are_whole_percent():
    assert [percent(share) for share in (0.0, 0.944, 1.0)] == ["0 %", "94 %", "100 %"]


def test_small_numbers_are_words():
    assert [in_letters(count) for count in (0, 2, 10, 11, 1200)] == [
        "no",
        "two",
        "ten",
        "11",
        "1,200",
    ]
    assert [plural("factor", count) for count in (1, 2)] == ["factor", "factors"]


def test_lists_end_in_and():
    assert [listed(parts) for parts in (["x"], ["x", "y"], ["x", "y", "z"])] == [
        "x",
        "x and y",
        "x, y and z",
    ]


def test_a_regression_is_of_a_model():
    assert asked_model(by_hand()) == "the classifier"
    assert asked_model(by_hand({"task": "regression"})) == "the model"
