"""Traversals drawn: which latents, where the decision flips, and what moves."""

import pytest
import torch
from matplotlib.figure import Figure

from tests.trimvae.explanation.made import (
    Identity,
    by_hand,
    image_explanation,
    linear,
    table_explanation,
)
from trimvae import explain
from trimvae.figures import plot_traversals
from trimvae.figures.strips import flips, moving_columns, saying, sayings, title_of_example


@pytest.fixture(scope="module")
def table():
    return table_explanation(n_steps=8)


@pytest.fixture(scope="module", params=[(2, 1), (1000, 3)])
def images(request):
    classes, channels = request.param
    return image_explanation(classes, channels, batch=3)


def test_the_strongest_latents_of_an_image_have_a_strip_and_a_curve_each(images):
    figure = plot_traversals(images, n_latents=2, frames=3)
    assert len(figure.axes) == 4
    names = [axes.get_ylabel().split("\n")[0] for axes in figure.axes[::2]]
    assert names == [images.latent_names[latent] for latent in images.strongest(0, 2)]
    strip, curve = figure.axes[:2]
    assert strip.get_xlim() == curve.get_xlim()
    values = curve.lines[1].get_xdata()
    assert len(values) == 9  # four steps from frame to frame
    assert (values[0], values[-1]) == (-2.5, 2.5)


def test_a_tables_latents_have_a_curve_and_the_columns_that_move_most(table):
    figure = plot_traversals(table, 3, n_latents=2)
    assert len(figure.axes) == 4
    curve, columns = figure.axes[:2]
    first = table.strongest(3, 1)[0]
    score = table.target_attributions[3, first]
    assert curve.get_title(loc="left") == f"{table.latent_names[first]} ({score:+.2f})"
    assert len(columns.lines) == 4
    own = curve.lines[0].get_xdata()[0]
    assert own == pytest.approx(table.latents[3, first].item())
    outputs = table.traverse(3, first, n_steps=33).outputs
    centred = (outputs - outputs.mean(dim=1, keepdim=True))[:, table.predicted[3]]
    assert list(curve.lines[1].get_ydata()) == pytest.approx(centred.tolist())
    assert curve.get_ylim() == figure.axes[2].get_ylim()


def test_a_flip_is_marked_where_it_is_and_with_the_class_it_goes_to():
    inputs = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [2.0, 1.0], [-2.0, 1.0]])
    predictor = linear([5.0, 0.0], [-5.0, 0.0])
    explanation = explain(Identity(), predictor, inputs, class_names=["up", "down"], n_steps=2)
    curve = plot_traversals(explanation, 0, n_latents=1).axes[0]
    (name,) = [text.get_text() for text in curve.texts]
    assert name == "up"  # from left to right
    assert curve.lines[-1].get_xdata()[0] == pytest.approx(0.0, abs=0.1)
    assert len(curve.lines) == 3


def test_a_regression_draws_its_output_and_no_flips():
    regression = table_explanation(outputs=1, n_steps=2, class_names=["price"])
    curve = plot_traversals(regression, n_latents=1).axes[0]
    outputs = regression.traverse(0, regression.strongest(0, 1)[0], n_steps=33).outputs[:, 0]
    assert list(curve.lines[1].get_ydata()) == pytest.approx(outputs.tolist())
    assert not curve.texts


def test_where_the_probability_says_nothing_more_the_curve_is_shaded():
    inputs = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [2.0, 1.0], [-2.0, 1.0]])
    for slope, parts in ((5.0, 2), (0.1, 0)):  # beyond .46 on both sides; nowhere
        explanation = explain(Identity(), linear([slope, 0.0], [-slope, 0.0]), inputs, n_steps=2)
        curve = plot_traversals(explanation, 0, n_latents=1).axes[0]
        shaded = [path for each in curve.collections for path in each.get_paths()]
        assert len(shaded) == parts


def test_the_title_says_how_far_the_example_is_to_be_trusted():
    explanation = by_hand()
    agreeing, not_agreeing = (
        int((explanation.disagrees == wrong).nonzero()[0]) for wrong in (False, True)
    )
    title = title_of_example(explanation, agreeing)
    assert title.startswith(f"Example {agreeing}, predicted ")
    assert "agreement over all examples 0.75" in title
    assert f"latents carry {explanation.latent_share[agreeing]:.0%} of its evidence" in title
    assert title_of_example(explanation, not_agreeing).startswith("Not an explanation: Example")
    regression = title_of_example(by_hand({"task": "regression"}), 0)
    assert "agreement" not in regression


def test_flips_lie_half_way_between_two_steps():
    outputs = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    values = torch.tensor([0.0, 1.0, 3.0, 4.0])
    assert flips(values, outputs) == [(2.0, 1), (3.5, 0)]


def test_columns_that_move_most_come_first():
    inputs = torch.tensor([[0.0, 5.0, 1.0], [0.5, 5.0, 4.0], [-1.0, 5.0, 2.0]])
    assert moving_columns(inputs, 2) == [2, 0]
    assert moving_columns(inputs, 9) == [2, 0, 1]


def test_what_the_predictor_says_is_a_class_with_its_probability_or_a_quantity():
    assert saying(by_hand(), torch.tensor([0.0, 2.0, 0.0])) == "b (0.79)"
    binary = by_hand(class_names=("no", "yes"))
    assert saying(binary, torch.tensor([-2.0])) == "no (0.88)"
    assert saying(binary, torch.tensor([2.0])) == "yes (0.88)"
    assert saying(by_hand({"task": "regression"}), torch.tensor([1.234])) == "a 1.23"


def test_many_inputs_are_spoken_of_as_each_alone():
    for explanation, outputs in (
        (by_hand(), 3 * torch.randn(9, 3)),
        (by_hand(class_names=("no", "yes")), 3 * torch.randn(9, 1)),
        (by_hand({"task": "regression"}), torch.randn(9, 1)),
    ):
        assert sayings(explanation, outputs) == [saying(explanation, each) for each in outputs]


def test_it_is_drawn_where_the_caller_says_and_refuses_what_is_not_there(table):
    figure = Figure()
    assert plot_traversals(table, n_latents=1, fig=figure) is figure
    with pytest.raises(ValueError, match="`example` must be from 0 to 11. Got 12"):
        plot_traversals(table, 12)
    with pytest.raises(ValueError, match="`frames` must be at least 2. Got 1"):
        plot_traversals(table, frames=1)
    with pytest.raises(ValueError, match="`n_latents` must be at least 1. Got 0"):
        plot_traversals(table, n_latents=0)
