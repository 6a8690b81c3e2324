"""What sliders show, against traversals one by one."""

import numpy as np
import pytest
import torch

from tests.trimvae.explanation.made import image_explanation, table_explanation
from tests.trimvae.report.test_drawing import opened
from trimvae.report.drawing import drawn
from trimvae.report.moving import moves_of, seen_at


@pytest.fixture(scope="module")
def table():
    return table_explanation(n_steps=2)


def as_traversed(explanation, moves, place):
    """The same latent of the same example, moved alone."""
    return explanation.traverse(moves.example, moves.chosen[place], values=moves.values[place])


def test_moves_are_the_traversals_of_the_strongest_latents(table):
    found = moves_of(table, [4, 1], 2, 5, 40)
    assert [moves.example for moves in found] == [4, 1]
    for moves in found:
        assert moves.chosen == table.strongest(moves.example, 2)
        for place in range(2):
            alone = as_traversed(table, moves, place)
            torch.testing.assert_close(moves.outputs[place], alone.outputs)
            rows = moves.drawn["rows"][place]
            columns = [int(name.removeprefix("x")) for name in rows["names"]]
            shown = torch.tensor(rows["values"])
            torch.testing.assert_close(shown, alone.inputs[:, columns], atol=6e-4, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_has_a_row_for_each_latent(channels):
    explanation = image_explanation(batch=3, channels=channels)
    (moves,) = moves_of(explanation, [2], 9, 3, 14)
    assert (moves.drawn["height"], moves.drawn["width"]) == (14, 14)
    _, sheet = opened(moves.drawn["sheet"])
    assert sheet.shape == (3 * 14, 4 * 14, 3)
    for place in range(3):
        alone = drawn(as_traversed(explanation, moves, place).inputs, 14).reshape(4, 14, 14, -1)
        row = np.concatenate(list(alone.expand(-1, -1, -1, 3).numpy()), axis=1).astype(int)
        assert np.abs(sheet[14 * place : 14 * (place + 1)] - row).max() <= 1


def test_the_example_s_own_value_stands_in_its_place():
    explanation = table_explanation(n_steps=2)
    low, high = explanation.ranges
    explanation.latents[0] = torch.stack([low[0] - 1, high[1] + 1, low[2]])  # beyond, and equal
    (moves,) = moves_of(explanation, [0], 3, 4, 40)
    places = dict(zip(moves.chosen, moves.own, strict=True))
    assert places == {0: 0, 1: 4, 2: 0}
    for place, latent in enumerate(moves.chosen):
        values = moves.values[place]
        assert torch.equal(values, values.sort().values)
        assert values[moves.own[place]] == explanation.latents[0, latent]


def test_what_is_known_of_the_example_itself_is_not_asked_again(table):
    (moves,) = moves_of(table, [3], 3, 2, 40)
    for place, own in enumerate(moves.own):
        assert torch.equal(moves.outputs[place, own], table.reencoded_outputs[3])


def test_many_examples_are_decoded_together_and_no_more_than_fit(table, monkeypatch):
    sizes = []
    decoder = type(table.trim.decoder)
    forward = decoder.forward

    def counted(self, latents):
        sizes.append(len(latents))
        return forward(self, latents)

    monkeypatch.setattr(decoder, "forward", counted)
    whole = moves_of(table, range(12), 3, 5, 40)
    assert sizes == [180]  # of 256 that fit
    monkeypatch.setattr("trimvae.report.moving.at_once", lambda inputs: 40)
    sizes.clear()
    parts = moves_of(table, range(12), 3, 5, 40)
    assert sizes == [30] * 6
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one.outputs, other.outputs)
        assert one.drawn["rows"][0]["names"] == other.drawn["rows"][0]["names"]
    monkeypatch.setattr("trimvae.report.moving.at_once", lambda inputs: 7)
    sizes.clear()
    moves_of(table, range(2), 3, 5, 40)
    assert sizes == [7, 7, 1] * 2


def test_points_are_seen_as_the_predictor_sees_them(table):
    points = torch.randn(5, 3)
    seen = seen_at(table, points, 40)
    torch.testing.assert_close(seen.shown, table.trim.decode(points))
    torch.testing.assert_close(seen.outputs, table.trim.predictor(seen.shown))
    assert not seen.outputs.requires_grad
    some = seen.at(torch.tensor([[0, 1], [4, 4]]))
    assert some.outputs.shape == (2, 2, 4)
    assert torch.equal(some.shown[1, 0], seen.shown[4])
