"""Bars for each part of what a latent draws."""

import pytest
import torch
from matplotlib.figure import Figure

from tests.trimvae.explanation.made import table_explanation
from tests.trimvae.explanation.textured import texture_reader, textured_explanation
from trimvae.figures import plot_within


@pytest.fixture(scope="module")
def lie():
    return textured_explanation(texture_reader(), batch=8)


def widths(bars):
    return [bar.get_width() for bar in bars]


def test_bars_are_the_shares_of_each_part(lie):
    found, axes = lie.within(0), plot_within(lie, 0)
    drawn, used, caused = axes.containers
    assert widths(drawn) == pytest.approx(found.drawn.tolist())
    assert widths(used) == pytest.approx(found.used.tolist())
    assert widths(caused) == pytest.approx(found.caused.tolist(), abs=1e-4)
    assert [label.get_text() for label in axes.get_yticklabels()] == list(found.names)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "drawn (energy)", "used (absolute attribution)", "caused (changed alone)",
    ]  # fmt: skip
    assert axes.get_title(loc="left").replace("\n", " ") == found.sentence


def test_of_many_parts_the_largest_are_drawn():
    table = table_explanation(feature_names=list("abcdef"))
    found, axes = table.within(1, "columns"), plot_within(table, 1, transform="columns", n_parts=2)
    assert len(axes.containers) == 3
    largest = torch.stack([found.drawn, found.used, found.caused]).amax(dim=0)
    kept = sorted(largest.argsort(descending=True)[:2].tolist())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["abcdef"[i] for i in kept]


def test_pixels_have_no_bar_for_their_cause(lie):
    axes = plot_within(lie, 0, transform="pixels", n_parts=5)
    assert len(axes.containers) == 2
    assert len(axes.get_yticklabels()) == 5


def test_it_is_drawn_where_the_caller_says_and_by_its_method(lie):
    axes = Figure().subplots()
    assert plot_within(lie, 0, ax=axes) is axes
    assert len(lie.plot_within(1, n_parts=3).get_yticklabels()) == 3


def test_what_is_not_there_is_refused(lie):
    with pytest.raises(ValueError, match="`latent` must be from 0 to 2. Got 4"):
        plot_within(lie, 4)
    with pytest.raises(ValueError, match="`n_parts` must be at least 1. Got 0"):
        plot_within(lie, 0, n_parts=0)
