"""The heatmap as a table of coloured cells."""

import torch

from tests.trimvae.explanation.made import by_hand
from trimvae.report.overview import heatmap


def test_cells_are_the_mean_attributions_of_each_predicted_class():
    found = heatmap(by_hand())
    assert [row.name for row in found["rows"]] == ["a", "b", "c"]
    assert [[cell.text for cell in row.cells] for row in found["rows"]] == [
        ["+1.5", "0", "+1.0"],
        ["0", "+4.0", "0"],
        ["-2.0", "0", "+6.0"],
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
    assert cells[1].ink == "#111"


def test_small_numbers_keep_two_digits_that_matter():
    attributions = by_hand().attributions / 1000
    found = heatmap(by_hand(attributions=attributions))
    assert [cell.text for cell in found["rows"][2].cells] == ["-0.002", "0", "+0.006"]


def test_what_is_left_out_is_counted():
    outputs = torch.eye(40)
    usage = by_hand(
        inputs=torch.zeros(39, 2),
        outputs=outputs[:39],  # the last class is never predicted
        reencoded_outputs=outputs[:39],
        latents=torch.ones(39, 25),
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
