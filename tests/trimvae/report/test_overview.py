"""The heatmap as a table of coloured cells."""

import torch

from tests.trimvae.explanation.made import by_hand
from tests.trimvae.report.colours import contrast
from trimvae.report.overview import _cell, heatmap


def test_cells_are_the_mean_attributions_of_each_predicted_class():
    found = heatmap(by_hand())
    assert [row.name for row in found["rows"]] == ["a", "b", "c"]
    assert [[cell.text for cell in row.cells] for row in found["rows"]] == [
        ["+1.5 ▲", "0", "+1.0 ▲"],
        ["0", "+4.0 ▲", "0"],
        ["-2.0 ▼", "0", "+6.0 ▼"],
    ]
    assert [row.effective for row in found["rows"]] == ["2.2", "1.0", "1.6"]
    assert [row.agreement for row in found["rows"]] == ["0.50", "1.00", "1.00"]
    assert found["columns"] == ["x", "y", "z"]
    assert (found["left_out"], found["latents_left_out"], found["empty"]) == (0, 0, 0)


def test_red_speaks_for_and_blue_against_and_ink_can_be_read_on_both():
    cells = heatmap(by_hand())["rows"][2].cells
    against, nothing, strongest = (
        tuple(int(cell.background[index : index + 2], 16) for index in (1, 3, 5)) for cell in cells
    )
    assert strongest[0] > strongest[2]
    assert against[2] > against[0]
    assert min(nothing) > 240
    assert cells[2].ink == "#fff"
    assert cells[1].ink == "#000"


def test_an_arrow_is_the_direction_of_the_slope_and_small_cells_have_none():
    slopes = by_hand().slopes
    for place, row in enumerate(heatmap(by_hand())["rows"]):
        for column, cell in enumerate(row.cells):
            arrow = "▲" if slopes[place, column] > 0 else "▼"
            assert cell.text == "0" or cell.text.endswith(arrow)
    weak = by_hand().attributions.clone()
    weak[3, 2, 0] = -0.2  # a thirtieth of the largest
    assert heatmap(by_hand(attributions=weak))["rows"][2].cells[0].text == "-0.2"


def test_ink_can_be_read_on_every_colour_of_the_map():
    for share in torch.linspace(-1, 1, 201).tolist():
        cell = _cell(share, 1.0, 1.0)
        assert contrast(cell.ink, cell.background) >= 4.5


def test_rows_that_are_often_decided_otherwise_are_doubtful():
    lost = by_hand().outputs.roll(1, dims=1)
    rows = [3] * 30 + [2] * 30
    kept = by_hand().select(rows)
    assert not any(row.doubtful for row in heatmap(kept)["rows"])
    doubted = by_hand(reencoded_outputs=lost).select(rows)
    assert all(row.doubtful for row in heatmap(doubted)["rows"])


def test_small_numbers_keep_two_digits_that_matter():
    attributions = by_hand().attributions / 1000
    found = heatmap(by_hand(attributions=attributions))
    assert [cell.text for cell in found["rows"][2].cells] == ["-0.002 ▼", "0", "+0.006 ▼"]


def test_what_is_left_out_is_counted():
    outputs = torch.eye(40)
    usage = by_hand(
        inputs=torch.zeros(39, 2),
        outputs=outputs[:39],  # the last class is never predicted
        reencoded_outputs=outputs[:39],
        latents=torch.ones(39, 25),
        baselines=torch.zeros(1, 25),
        attributions=(1.0 + torch.arange(40.0)).view(1, 40, 1).expand(39, 40, 25).clone(),
        class_names=tuple(map(str, range(40))),
        latent_names=tuple(f"z{index}" for index in range(25)),
    )
    found = heatmap(usage)
    # Of 39 classes those 30 with the largest attributions, in their own order.
    assert [row.name for row in found["rows"]] == [str(index) for index in range(9, 39)]
    assert (found["left_out"], found["empty"]) == (9, 1)
    assert (len(found["columns"]), found["latents_left_out"]) == (20, 5)


def test_a_regression_has_one_row_without_agreement():
    regression = by_hand(
        {"task": "regression", "explained_name": "output"},
        attributions=torch.ones(4, 1, 3),
        class_names=("price",),
    )
    (row,) = heatmap(regression)["rows"]
    assert row.agreement == ""
    assert len(row.cells) == 3
