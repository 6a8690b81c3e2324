"""Cards of examples: what was decided, the bars, and what the sliders show."""

import pytest
import torch

from tests.trimvae.explanation.made import by_hand, image_explanation, table_explanation
from trimvae.report.examples import example_card
from trimvae.report.moving import moves_of


@pytest.fixture(scope="module")
def table():
    return table_explanation(n_steps=8, labels=torch.arange(12) % 4)


@pytest.fixture(scope="module")
def images():
    return image_explanation(classes=10, batch=3)


def card_of(explanation, example, n_latents, frames, max_pixels):
    """A card as the page asks for it."""
    moves = [None]
    if explanation.can_be_asked:
        moves = moves_of(explanation, [example], n_latents, frames, max_pixels)
    return example_card(explanation, example, n_latents, max_pixels, *moves)


def test_a_card_says_what_was_decided_and_whether_it_is_right():
    explanation = by_hand(labels=torch.tensor([0, 1, 1, 2]))
    right, wrong = (card_of(explanation, example, 3, 3, 40) for example in (0, 1))
    assert (right["label"], right["right"], right["disagrees"]) == ("a", True, False)
    assert right["said"].startswith("a (0.")
    assert (wrong["label"], wrong["right"], wrong["disagrees"]) == ("b", False, True)
    assert wrong["reencoded"].startswith("b (0.")
    unknown = card_of(by_hand(), 0, 3, 3, 40)
    assert unknown["label"] is None
    assert unknown["right"] is None
    assert unknown["moves"] is None


def test_bars_are_the_waterfall_in_percent_of_the_largest():
    card = card_of(by_hand(), 3, 2, 3, 40)
    assert card["bars"] == [
        ("z", "+6.00", 100.0, True),
        ("x", "-2.00", 33.3, False),
        ("1 other latents", "0.00", 0.0, False),
        ("residual", "+1.50", 25.0, True),
    ]
    assert (card["start"], card["end"]) == ("-0.50", "5.00")
    assert card["explained"] == "output of c"


def test_a_tables_card_has_its_columns(table):
    card = card_of(table, 2, 2, 3, 40)
    assert card["input"] is None
    assert [name for name, _ in card["columns"]] == [f"x{index}" for index in range(6)]
    assert float(card["columns"][4][1]) == pytest.approx(table.inputs[2, 4].item(), abs=0.006)


def test_sliders_hold_the_examples_own_value_among_the_steps(table):
    moves = card_of(table, 2, 2, 5, 40)["moves"]
    chosen = table.strongest(2, 2)
    assert moves["latents"] == [table.latent_names[latent] for latent in chosen]
    assert moves["numbers"] == chosen
    for latent, values, own in zip(chosen, moves["values"], moves["own"], strict=True):
        assert len(values) == 6
        assert values == sorted(values)
        assert values[own] == pytest.approx(table.latents[2, latent].item(), abs=0.006)
        assert (values[0], values[-1]) == (-2.5, 2.5)


def card_said(explanation, example):
    return card_of(explanation, example, 1, 3, 40)["reencoded"]


def test_what_a_slider_says_is_what_the_predictor_says_there(table):
    moves = card_of(table, 2, 1, 5, 40)["moves"]
    latent = table.strongest(2, 1)[0]
    low, high = table.traverse(2, latent, n_steps=2).outputs.softmax(dim=1)
    assert moves["classes"] == ["0", "1", "2", "3"]
    assert moves["chances"][0][0] == pytest.approx(low.tolist(), abs=1e-3)
    assert moves["chances"][0][-1] == pytest.approx(high.tolist(), abs=1e-3)
    assert moves["winners"][0][0] == str(int(low.argmax()))
    assert moves["said"][0][0] == f"{int(low.argmax())} ({low.max():.2f})"
    assert moves["said"][0][moves["own"][0]] == card_said(table, 2)
    rows = moves["rows"][0]
    moved = table.traverse(2, latent, n_steps=2).inputs
    first = int(rows["names"][0].removeprefix("x"))
    assert rows["values"][0][0] == pytest.approx(moved[0, first].item(), abs=1e-3)


def test_of_many_classes_five_are_shown_and_the_predicted_one_is_among_them(images):
    for example in range(3):
        moves = card_of(images, example, 2, 3, 40)["moves"]
        assert len(moves["classes"]) == 5
        assert images.class_names[int(images.predicted[example])] in moves["classes"]
        assert len(moves["chances"][0][0]) == 5


def test_an_image_has_its_picture_and_a_sheet_that_the_script_does_not_repeat(images):
    card = card_of(images, 0, 2, 3, 14)
    assert card["input"].startswith("data:image/")
    assert (card["moves"]["height"], card["moves"]["width"]) == (14, 14)
    assert card["moves"]["sheet"].startswith("data:image/png")
    assert not {"sheet", "latents"} & set(card["moves_data"])
    assert card["moves_data"]["values"] == card["moves"]["values"]
    assert card["columns"] == []


def test_a_regression_shows_its_output():
    regression = table_explanation(outputs=1, n_steps=2, class_names=["price"])
    card = card_of(regression, 0, 1, 3, 40)
    assert (card["label"], card["right"]) == (None, None)
    assert card["moves"]["chances"] is None
    expected = regression.traverse(0, regression.strongest(0, 1)[0], n_steps=2).outputs[:, 0]
    ends = card["moves"]["said"][0]
    assert [ends[0], ends[-1]] == [f"price {value:.2f}" for value in expected.tolist()]
