"""Curves over epochs, and one figure against another."""

import pytest
from matplotlib.figure import Figure

from trimvae.figures import plot_history, plot_trade_off

HISTORY = [
    {"epoch": 0, "loss": 3.0, "validation_loss": 3.5, "kl": 1.0},
    {"epoch": 1, "loss": 2.0, "kl": 1.5},
]
POINTS = {
    "plain": {"effective_latents": 5.0, "agreement": 0.7, "other": 1.0},
    "trimvae": {"effective_latents": 2.0, "agreement": 0.9, "other": 2.0},
}


def test_a_history_has_a_panel_for_each_figure_with_its_validation():
    figure = plot_history(HISTORY)
    loss, kl = figure.axes
    assert (loss.get_title(loc="left"), kl.get_title(loc="left")) == ("loss", "kl")
    training, validation = loss.lines
    assert list(training.get_ydata()) == [3.0, 2.0]
    assert list(validation.get_xdata()) == [0]
    assert list(kl.lines[0].get_ydata()) == [1.0, 1.5]
    assert len(kl.lines) == 1


def test_chosen_figures_alone_are_drawn_where_the_caller_says():
    figure = Figure()
    assert plot_history(HISTORY, ["kl"], fig=figure) is figure
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["kl"]


def test_a_history_without_epochs_or_figures_is_refused():
    with pytest.raises(ValueError, match="`names` must be among"):
        plot_history(HISTORY, ["accuracy"])
    with pytest.raises(ValueError, match="`names` must be among"):
        plot_history(HISTORY, [])
    with pytest.raises(ValueError, match="`history` must have at least one epoch"):
        plot_history([])


def test_a_trade_off_names_its_points_in_their_order():
    axes = plot_trade_off(POINTS)
    assert [text.get_text() for text in axes.texts] == ["plain", "trimvae"]
    assert list(axes.lines[0].get_xdata()) == [5.0, 2.0]
    assert list(axes.lines[0].get_ydata()) == [0.7, 0.9]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("effective latents", "agreement")


def test_other_figures_may_be_traded_off():
    axes = Figure().subplots()
    assert plot_trade_off(POINTS, x="other", y="agreement", ax=axes) is axes
    assert list(axes.lines[0].get_xdata()) == [1.0, 2.0]


def test_points_without_a_figure_and_no_points_are_refused():
    with pytest.raises(ValueError, match="`points` must hold .* Got 'plain' without"):
        plot_trade_off({"plain": {"agreement": 1.0}})
    with pytest.raises(ValueError, match="`points` must hold at least one code"):
        plot_trade_off({})
