"""The smallest move that changes an answer, as a card tells it."""

import pytest
import torch
from torch import nn

from attributions.predictors import Predictor
from tests.trimvae.explanation.made import by_hand, image_explanation
from trimvae import explain
from trimvae.explanation.searching import Margins
from trimvae.report.flips import flips_of, is_cheap
from trimvae.report.moving import moves_of


class Line(nn.Module):
    """A code whose latents are its inputs."""

    def encode(self, inputs):
        return torch.distributions.Normal(inputs, torch.full_like(inputs, 0.1))

    def decode(self, latents):
        return latents


def rule(rows):
    """Says the second class where the first column is above 1."""
    return torch.stack([1 - rows[:, 0], rows[:, 0] - 1], dim=1) * 5


@pytest.fixture
def explanation():
    rows = torch.tensor([[0.0, 0.3], [2.0, -1.0], [0.5, 0.0]])
    return explain(
        Line(), rule, rows, class_names=["low", "high"], latent_names=["width", "height"]
    )


def test_the_move_crosses_the_line_and_names_what_is_moved(explanation):
    flips = flips_of(explanation, [0, 1, 2], (), 40)
    expected = (("+0.0", "high"), ("+2.0", "low"), ("+0.5", "high"))
    for flip, (before, other) in zip(flips, expected, strict=True):
        assert flip.found
        [(name, start, end)] = flip.moves
        assert (name, start) == ("width", before)
        assert float(end) == pytest.approx(1.0, abs=0.11)
        assert flip.said.startswith(other)
        assert flip.picture is None
        assert flip.judged == []


def test_examples_are_told_in_the_order_that_is_asked_for(explanation):
    assert flips_of(explanation, [2, 0], (), 40) == [
        flips_of(explanation, [index], (), 40)[0] for index in (2, 0)
    ]


def test_judges_say_what_they_say_of_what_is_drawn_then(explanation):
    stubborn = lambda rows: torch.tensor([[9.0, 0.0]]).expand(len(rows), -1)  # noqa: E731
    flip = flips_of(explanation, [0], (rule, stubborn), 40)[0]
    assert flip.judged[0] == flip.said
    assert flip.judged[1].startswith("low")
    with pytest.raises(
        ValueError,
        match=r"`judges` must tell the predictor's 2 classes. Got judge 0 with outputs \(1, 3\)",
    ):
        flips_of(explanation, [0], [lambda rows: torch.zeros(len(rows), 3)], 40)


def test_nothing_is_searched_where_nothing_can_be_asked_or_decided(explanation):
    assert flips_of(by_hand(), [0, 1], (), 40) == [None, None]
    assert flips_of(explanation, [], (), 40) == []
    quantity = explain(Line(), lambda rows: rows.sum(dim=1), torch.randn(3, 2))
    assert flips_of(quantity, [0], (), 40) == [None]


def test_an_answer_that_never_changes_is_said_to_stay(tmp_path):
    constant = explain(Line(), lambda rows: torch.stack([9 + 0 * rows[:, 0], 0 * rows[:, 0]], 1),
                       torch.randn(3, 2), check_parts=False)  # fmt: skip
    assert not flips_of(constant, [0], (), 40)[0].found
    page = constant.to_html(tmp_path / "report.html").read_text("utf-8")
    assert "No move of up to three latents within their ranges changes the answer" in page


def test_a_page_shows_the_picture_and_what_judges_say(tmp_path):
    explanation = image_explanation()
    predictor = explanation._context.predictor
    page = explanation.to_html(tmp_path / "report.html", judges=[predictor]).read_text("utf-8")
    shown = page.count("The smallest move to another answer:")
    assert shown + page.count("No move of up to three latents") == 12
    assert page.count("a second classifier says") == shown


def test_a_judge_sees_what_the_predictor_sees():
    rows = torch.tensor([[0.0, 0.3], [2.0, -1.0]])
    explanation = explain(Line(), rule, rows, preprocess=lambda given: 10 * (given - 0.5))
    for flip in flips_of(explanation, [0, 1], [rule], 40):
        assert flip.judged == [flip.said]
    own = Predictor(rule, preprocess=lambda given: 0 * given)
    assert flips_of(explanation, [0], [own], 40)[0].judged[0].startswith("0")


def test_a_search_that_is_dear_is_only_made_where_it_is_asked_for():
    wide = explain(Line(), rule, torch.randn(2, 40), check_parts=False)
    assert not is_cheap(wide)
    assert flips_of(wide, [0], (), 40) == [None]
    assert flips_of(wide, [0], (), 40, search=True)[0].found


def test_what_sliders_have_asked_is_not_asked_again(monkeypatch):
    """The search's first round is the sliders' own grid; later rounds and bisection are asked."""
    explanation = image_explanation()
    examples, latents = list(range(12)), explanation.latents.shape[1]
    moves = moves_of(explanation, examples, latents, 11, 40)
    rows, at = [], Margins.at

    def counted(self, points, some):
        rows.append(len(points))
        return at(self, points, some)

    monkeypatch.setattr(Margins, "at", counted)
    alone = flips_of(explanation, examples, (), 40)
    asked = sum(rows)
    rows.clear()
    assert flips_of(explanation, examples, (), 40, moves=moves) == alone
    assert sum(rows) == asked - len(examples) * latents * 11
    rows.clear()
    for other in (moves_of(explanation, examples, 2, 11, 40), moves_of(explanation, [0], 3, 5, 40)):
        few = [each.example for each in other]
        assert flips_of(explanation, few, (), 40, moves=other) == alone[: len(few)]
