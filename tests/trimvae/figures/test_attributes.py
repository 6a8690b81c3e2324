"""What turns inputs into a class, drawn as pairs or as changed columns."""

import pytest
import torch
from matplotlib.figure import Figure

from attributions import Contrast
from attributions.measures.attfind import Attribute
from tests.trimvae.explanation.made import (
    Identity,
    by_hand,
    image_explanation,
    linear,
    table_explanation,
)
from trimvae import explain
from trimvae.figures import plot_attributes
from trimvae.figures.attributes import attribute_name


@pytest.fixture(scope="module")
def rule():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inputs = torch.randn(12, 3)
    predictor = linear([3.0, -1.0, 0.0], [0.0, 0.0, 0.0])
    return explain(Identity(), predictor, inputs, class_names=["up", "down"], n_steps=2)


def test_a_tables_attributes_are_the_mean_changes_of_its_columns(rule):
    figure = plot_attributes(rule, "up", k=2)
    found = rule.attributes(0, k=2)
    assert len(figure.axes) == len(found) == 2
    pair = rule.attribute_pairs(found[0], 0, 100)
    change = (pair.after - pair.before).mean(dim=0)
    widest = figure.axes[0].patches[0]
    assert widest.get_width() == pytest.approx(change[0].item(), rel=1e-4)
    assert figure.axes[0].get_title(loc="left").startswith("z0 high (+")
    assert figure.axes[1].get_title(loc="left").startswith("z1 low (+")
    assert figure.get_suptitle().startswith("What turns inputs into up;")


def test_an_image_has_pairs_without_and_with_the_attribute():
    images = image_explanation(classes=2, batch=6)
    target = next(target for target in range(2) if images.attributes(target))
    found = images.attributes(target, k=1)
    figure = plot_attributes(images, target, k=1, examples=8)
    assert len(figure.axes) == 16
    pair = images.attribute_pairs(found[0], target, 8)
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == 2 * len(pair.before)
    assert figure.axes[0].get_ylabel() == attribute_name(images, found[0])


def test_a_name_says_latent_direction_effect_and_flips():
    name = attribute_name(by_hand(), Attribute(1, 1, 4.12, 0.5))
    assert name == "y high\n(+4.1, 50% flip)"
    assert attribute_name(by_hand(), Attribute(2, 0, 0.52, 1.0)) == "z low\n(+0.5, 100% flip)"


def test_what_cannot_be_drawn_is_named(rule):
    with pytest.raises(ValueError, match="`target` must be a class: up, down, or its number"):
        plot_attributes(rule, "left")
    one_class = rule.for_class("up")
    with pytest.raises(ValueError, match="must be a class that some latent speaks for. Got 'up'"):
        plot_attributes(one_class, "up")
    contrast = table_explanation(explained=Contrast(0, 1), n_steps=2)
    with pytest.raises(ValueError, match="Got a regression or a contrast"):
        plot_attributes(contrast, 0)


def test_it_is_drawn_where_the_caller_says(rule):
    figure = Figure()
    assert plot_attributes(rule, 0, fig=figure) is figure
