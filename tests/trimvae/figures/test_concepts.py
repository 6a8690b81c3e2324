"""Crops of most of each concept, and maps over a picture."""

import numpy as np
import pytest
import torch
from torch import nn

from attributions.transforms import Features, PrincipalComponents
from attributions.transforms.base import Identity
from trimvae.figures import plot_concept_maps, plot_concepts


class Colours(nn.Module):
    """A layer whose channels are the colours' means over tiles of four pixels."""

    def __init__(self):
        super().__init__()
        self.tiles, self.head = nn.AvgPool2d(4), nn.Linear(3, 2)

    def forward(self, pictures):
        return self.head(self.tiles(pictures).mean(dim=(2, 3)))


def a_case(n=5):
    """Dark pictures, each with one bright tile; concepts are the colours themselves."""
    pictures = torch.full((n, 3, 24, 24), 0.1)
    for index in range(n):
        pictures[index, 1, 4 * index : 4 * index + 4, 8:12] = 0.2 * (index + 1)
    return Features(Colours(), "tiles", Identity((3,)), pictures), pictures


def test_crops_show_where_there_is_most_the_most_first():
    features, pictures = a_case()
    figure = plot_concepts(features, pictures, concepts=[1], crops=3, cells=1)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["1.00", "0.80", "0.60"]
    for axes, index in zip(figure.axes, (4, 3, 2), strict=True):
        shown = np.asarray(axes.images[0].get_array())
        assert shown.shape == (4, 4, 3)
        np.testing.assert_allclose(shown[..., 1], 0.2 * (index + 1), atol=1e-6)
    assert figure.axes[0].get_ylabel() == "concept 1"


def test_crops_stay_inside_the_picture():
    features, pictures = a_case()
    figure = plot_concepts(features, pictures, cells=3)
    assert len(figure.axes) == 3 * 5
    assert {np.asarray(axes.images[0].get_array()).shape for axes in figure.axes} == {(12, 12, 3)}


def test_maps_are_drawn_strongest_first_on_one_scale():
    features, pictures = a_case()
    maps = torch.zeros(3, 6, 6)
    maps[0, 1, 1], maps[2, 2, 2] = -0.5, 2.0
    figure = plot_concept_maps(features, pictures[0], maps, n_concepts=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["the picture", "concept 2 (+2.00)", "concept 0 (-0.50)"]
    drawn = [axes.images[-1] for axes in figure.axes[1:]]
    assert [image.get_clim() for image in drawn] == [(-2.0, 2.0)] * 2
    assert float(np.asarray(drawn[0].get_array()).max()) > 0
    assert float(np.asarray(drawn[1].get_array()).min()) < 0


def test_layers_without_height_and_width_are_refused():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Tanh(), nn.Linear(4, 2))
    inputs = torch.rand(8, 3, 2, 2)
    features = Features(network, "2", PrincipalComponents, inputs, latent_size=2)
    for draw in (
        lambda: plot_concepts(features, inputs),
        lambda: plot_concept_maps(features, inputs[0], torch.zeros(2)),
    ):
        with pytest.raises(ValueError, match="`features` must have a map of height and width"):
            draw()


def test_concepts_and_maps_that_do_not_fit_are_refused():
    features, pictures = a_case()
    with pytest.raises(ValueError, match="`concepts` must be from 0 to 2. Got 3"):
        plot_concepts(features, pictures, concepts=[3])
    with pytest.raises(ValueError, match=r"`maps` must have shape \(3, 6, 6\). Got \(5, 3, 6, 6\)"):
        plot_concept_maps(features, pictures[0], features.maps(pictures))
    with pytest.raises(ValueError, match="`crops` must be at least 1. Got 0"):
        plot_concepts(features, pictures, crops=0)
    with pytest.raises(ValueError, match="`n_concepts` must be at least 1. Got 0"):
        plot_concept_maps(features, pictures[0], torch.zeros(3, 6, 6), n_concepts=0)
