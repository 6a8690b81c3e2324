"""Maps of pixels and bars of columns."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from tests.trimvae.explanation.made import image_explanation, table_explanation
from trimvae import VAE, explain
from trimvae.figures import plot_pixels


@pytest.fixture(scope="module")
def table():
    return table_explanation(n_steps=16)


@pytest.fixture(scope="module", params=[1, 3])
def images(request):
    return image_explanation(channels=request.param, batch=3)


def test_an_image_has_a_map_for_each_latent_and_one_of_all(images):
    figure = plot_pixels(images, 1, latents=[2, 0])
    titles = [axes.get_title() for axes in figure.axes]
    scores = images.target_attributions[1]
    assert titles == ["Example 1", f"z2 ({scores[2]:+.2f})", f"z0 ({scores[0]:+.2f})", "together"]
    drawn = np.asarray(figure.axes[1].images[-1].get_array())
    expected = images.pixels(1, [2])[0].sum(dim=0).numpy()
    inside = np.abs(expected) < 0.5 * np.abs(expected).max()
    correlation = np.corrcoef(drawn[inside], expected[inside])[0, 1]
    assert correlation == pytest.approx(1, abs=0.01)


def test_without_overlay_the_map_stands_alone(images):
    assert len(plot_pixels(images, n_latents=1).axes[1].images) == 2
    assert len(plot_pixels(images, n_latents=1, overlay=False).axes[1].images) == 1


def test_a_latent_without_effect_shows_the_image_alone():
    vae = VAE.convolutional((1, 28, 28), 2, channels=4, hidden=8)
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))
    inputs = torch.rand(2, 1, 28, 28)
    at_home = explain(vae, predictor, inputs, n_steps=2).latents
    explanation = explain(vae, predictor, inputs, n_steps=2, baselines=at_home)
    figure = plot_pixels(explanation, 0, latents=[1])
    assert figure.axes[1].get_xlabel() == "no effect"
    assert len(figure.axes[1].images) == 1


def test_a_tables_bars_are_the_parts_of_its_columns(table):
    figure = plot_pixels(table, 2, latents=[1])
    one, together = figure.axes
    maps = table.pixels(2, [1])[0]
    widths = sorted(bar.get_width() for bar in one.patches)
    assert widths == pytest.approx(sorted(maps.tolist()), abs=1e-6)
    assert one.get_title() == f"z1 ({table.target_attributions[2, 1]:+.2f})"
    assert together.get_title() == "together"
    named = table_explanation(n_steps=4, feature_names=list("abcdef"))
    labels = [label.get_text() for label in plot_pixels(named).axes[0].get_yticklabels()]
    assert sorted(labels) == list("abcdef")


def test_it_is_drawn_where_the_caller_says_and_refuses_what_is_not_there(table):
    figure = Figure()
    assert plot_pixels(table, fig=figure) is figure
    with pytest.raises(ValueError, match="`example` must be from 0 to 11. Got 12"):
        plot_pixels(table, 12)
    with pytest.raises(ValueError, match="`latents` must be from 0 to 2. Got "):
        plot_pixels(table, latents=[3])
    with pytest.raises(ValueError, match="`n_latents` must be at least 1. Got 0"):
        plot_pixels(table, n_latents=0)
