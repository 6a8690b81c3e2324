"""A waterfall's bars add up, and are drawn where they belong."""

import pytest
from matplotlib.figure import Figure

from attributions import Contrast
from tests.trimvae.explanation.made import by_hand, table_explanation
from trimvae.figures import plot_waterfall
from trimvae.figures.waterfall import contributions


@pytest.fixture(scope="module")
def table():
    return table_explanation()


def test_bars_add_up_from_the_baseline_to_the_predictors_own_output(table):
    for example in range(4):
        bars = contributions(table, example, n_latents=2)
        assert bars.start + sum(bars.values) == pytest.approx(bars.end, abs=1e-4)
        outputs = table.outputs[example]
        centred = outputs - outputs.mean()
        assert bars.end == pytest.approx(centred[table.predicted[example]].item(), abs=1e-4)
        assert bars.names[2] == "1 other latents"
        assert bars.names[-1] == "residual"


def test_bars_are_the_attributions_the_largest_first():
    bars = contributions(by_hand(), 3, n_latents=2)
    assert bars.latents == [2, 0]
    assert bars.names == ["z", "x", "1 other latents", "residual"]
    # From -0.5 at the baseline over 3.5 at the latents to 5 at the input.
    assert bars.values == [6.0, -2.0, 0.0, 1.5]
    assert (bars.start, bars.end) == (-0.5, 5.0)
    assert bars.title == "Example 3, predicted c"
    assert bars.label == "output of c"


def test_what_the_quadrature_misses_has_a_bar_of_its_own_where_it_is_to_be_seen():
    end = by_hand().explained_at + 1.0
    bars = contributions(by_hand(explained_at=end), 3)
    assert bars.names == ["z", "x", "y", "not attributed", "residual"]
    assert bars.values == pytest.approx([6.0, -2.0, 0.0, 1.0, 0.5])
    hardly = contributions(by_hand(explained_at=by_hand().explained_at + 0.01), 3)
    assert hardly.names == ["z", "x", "y", "residual"]
    assert hardly.start + sum(hardly.values) == pytest.approx(hardly.end)
    assert "not attributed" in contributions(table_explanation(n_steps=1), 0, hidden=0.0).names


def test_with_residual_nothing_is_left_out_of_the_bars():
    bars = contributions(table_explanation(residual=True, n_steps=16), 0)
    assert "residual" not in bars.names
    assert bars.start + sum(bars.values) == pytest.approx(bars.end, abs=1e-4)


def test_a_contrast_and_a_regression_say_what_they_explain():
    contrast = table_explanation(explained=Contrast(0, 1), n_steps=4)
    assert plot_waterfall(contrast).get_xlabel() == "0 rather than 1"
    regression = plot_waterfall(table_explanation(outputs=1, n_steps=4))
    assert regression.get_title(loc="left") == "Example 0"
    assert regression.get_xlabel() == "output"


def test_each_bar_is_drawn_from_where_the_one_before_ends():
    axes = plot_waterfall(by_hand(), 3)
    drawn = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert drawn == [(-0.5, 6.0), (5.5, -2.0), (3.5, 0.0), (3.5, 1.5)]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["at the baseline", "z", "x", "y", "residual", "at the input"]


def test_it_is_drawn_where_the_caller_says(table):
    axes = Figure().subplots()
    assert plot_waterfall(table, ax=axes) is axes


def test_examples_and_counts_out_of_range_are_named(table):
    with pytest.raises(ValueError, match="`example` must be from 0 to 11. Got 12"):
        plot_waterfall(table, 12)
    with pytest.raises(ValueError, match="`n_latents` must be at least 1. Got 0"):
        plot_waterfall(table, n_latents=0)
