"""A latent without a predictor, drawn."""

import numpy as np
import pytest
import torch

from attributions.transforms import Identity
from trimvae import VAE
from trimvae.explanation.inputs import LatentMaps, explain_latent
from trimvae.figures import plot_latent, plot_latent_maps


@pytest.fixture(scope="module")
def code():
    return VAE.dense((1, 8, 8), latent_size=3, hidden=(16,)).eval()


def test_pictures_have_their_latent_above_and_a_map_below(code):
    found = explain_latent(code, torch.rand(3, 1, 8, 8), 1)
    figure = plot_latent_maps(found, examples=2, name="width")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:2] == [f"width = {value:+.2f}" for value in found.values[:2].tolist()]
    assert len(figure.axes) == 4


def test_columns_of_a_table_have_bars_the_largest_first():
    scores = torch.tensor([[0.0, -3.0, 1.0], [0.5, 3.0, 1.0]])
    found = LatentMaps(0, torch.ones(2, 3), scores, torch.ones(2), torch.zeros(2), ("a", "b", "c"))
    figure = plot_latent_maps(found, n_columns=2)
    first = figure.axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == ["b", "c"]
    assert [bar.get_width() for bar in first.patches] == [-3.0, 1.0]


def test_a_latent_of_pictures_is_moved_and_most_and_least_stand_below(code):
    images = torch.rand(6, 1, 8, 8)
    figure = plot_latent(code, images, 2, frames=5, count=2)
    assert [axes.get_ylabel() for axes in figure.axes] == ["moved", "most", "least"]
    order = code.encode(images).mean[:, 2].argsort(descending=True)
    shown = np.asarray(figure.axes[1].images[0].get_array())
    np.testing.assert_allclose(shown[:, :8], images[order[0], 0].numpy(), atol=1e-6)
    shown = np.asarray(figure.axes[2].images[0].get_array())
    np.testing.assert_allclose(shown[:, :8], images[order[-1], 0].numpy(), atol=1e-6)


def test_a_latent_of_a_table_shows_the_columns_that_it_moves():
    table = torch.randn(50, 4)
    names = ["age", "size", "dose", "rate"]
    figure = plot_latent(Identity((4,)), table, 2, feature_names=names, frames=3)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    low, high = table[:, 2].double().quantile(torch.tensor([0.01, 0.99]).double())
    drawn = lines["dose"].get_ydata()
    np.testing.assert_allclose(drawn[[0, -1]], [low, high], rtol=1e-4)
    np.testing.assert_allclose(lines["age"].get_ydata(), table[:, 0].median(), rtol=1e-4)


def test_counts_and_latents_that_make_no_sense_are_refused(code):
    images = torch.rand(3, 1, 8, 8)
    with pytest.raises(ValueError, match="`frames` must be at least 2. Got 1"):
        plot_latent(code, images, 0, frames=1)
    with pytest.raises(ValueError, match="`latent` must be from 0 to 2. Got 5"):
        plot_latent(code, images, 5)
    with pytest.raises(ValueError, match="`examples` must be at least 1. Got 0"):
        plot_latent_maps(explain_latent(code, images, 0), examples=0)
