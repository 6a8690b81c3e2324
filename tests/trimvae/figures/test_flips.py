"""A flipped decision drawn: before, after, the difference and the move."""

import pytest
import torch
from matplotlib.figure import Figure

from tests.trimvae.explanation.made import Identity, image_explanation, linear, table_explanation
from trimvae import explain
from trimvae.figures import plot_counterfactual


@pytest.fixture(scope="module")
def rule():
    """The first of three latents decides, and is 1 at the first example."""
    inputs = torch.tensor([[1.0, 0.5, -0.5], [-1.0, 1.0, 0.0], [0.3, 0.0, 1.0]])
    predictor = linear([3.0, 0.0, 0.0], [-3.0, 0.0, 0.0])
    return explain(Identity(), predictor, inputs, class_names=["up", "down"], n_steps=2)


def test_the_latents_that_moved_are_bars_of_their_move(rule):
    figure = plot_counterfactual(rule)
    profiles, bars = figure.axes
    (bar,) = bars.patches
    assert bar.get_width() == pytest.approx(-1.0, abs=0.01)
    assert [label.get_text() for label in bars.get_yticklabels()] == ["z0"]
    before, after = profiles.lines
    assert before.get_xdata()[0] == pytest.approx(1.0)
    assert after.get_xdata()[0] == pytest.approx(0.0, abs=0.01)
    assert figure.get_suptitle().startswith(
        "Example 0: the decision flips after a move of 1.00 in latents"
    )
    legend = [text.get_text() for text in profiles.get_legend().get_texts()]
    assert legend[0].startswith("decoded: up")
    assert legend[1].startswith("moved: down")


def test_a_decision_that_does_not_flip_is_said():
    certain = explain(
        Identity(),
        linear([0.0, 0.1], [0.0, 0.0]),
        torch.tensor([[1.0, 9.0], [0.0, 8.0]]),
        n_steps=2,
    )
    assert "NOT flipped" in plot_counterfactual(certain).get_suptitle()


@pytest.mark.parametrize("options", [{}, {"method": "gradient"}])
@pytest.mark.parametrize(("classes", "channels"), [(2, 1), (1000, 3)])
def test_an_image_is_drawn_as_input_decoded_moved_and_difference(classes, channels, options):
    images = image_explanation(classes, channels, batch=2)
    figure = plot_counterfactual(images, 1, **options)
    titles = [axes.get_title().split("\n")[0] for axes in figure.axes[:5]]
    assert titles == ["input", "decoded", "moved", "moved - decoded", "latents moved by"]
    low, high = figure.axes[3].images[0].get_clim()
    assert low == -high


def test_the_class_to_reach_and_the_options_of_the_search_are_handed_on(rule):
    with pytest.raises(ValueError, match="`target` must be a class from 0 to 1. Got 5"):
        plot_counterfactual(rule, target=5)
    with pytest.raises(ValueError, match="`n_latents` must be at least 1"):
        plot_counterfactual(rule, n_latents=0)
    at_home = plot_counterfactual(rule, 0, target=0)
    assert "after a move of 0.00" in at_home.get_suptitle()


def test_a_binary_logit_can_flip_and_a_regression_cannot():
    binary = table_explanation(
        outputs=1, task="classification", class_names=["no", "yes"], n_steps=2
    )
    assert plot_counterfactual(binary).axes
    regression = table_explanation(outputs=1, n_steps=2)
    with pytest.raises(ValueError, match="`task` must be 'classification' for counterfactuals"):
        plot_counterfactual(regression)


def test_it_is_drawn_where_the_caller_says_and_refuses_what_is_not_there(rule):
    figure = Figure()
    assert plot_counterfactual(rule, fig=figure) is figure
    with pytest.raises(ValueError, match="`example` must be from 0 to 2. Got 3"):
        plot_counterfactual(rule, 3)
