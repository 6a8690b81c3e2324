import numpy as np
import pytest
import torch
from matplotlib import pyplot

from attributions import plot_heatmap


def test_colours_are_symmetric_about_zero_and_no_window_is_opened():
    before = pyplot.get_fignums()
    axes = plot_heatmap(torch.tensor([[1.0, -4.0], [2.0, 0.0]]))
    (image,) = axes.get_images()
    assert image.get_clim() == (-4.0, 4.0)
    middle = image.cmap(image.norm(0.0))
    assert min(middle[:3]) > 0.95
    assert pyplot.get_fignums() == before


def test_names_and_effective_latents_are_written():
    axes = plot_heatmap(
        torch.tensor([[1.0, 1.0], [0.0, 3.0]]), class_names=["cat", "dog"], latent_names=["a", "b"]
    )
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    texts = [text.get_text() for text in axes.texts]
    assert "2.0" in texts
    assert "1.0" in texts


def test_of_many_classes_the_strongest_are_drawn():
    attributions = torch.zeros(1000, 3)
    attributions[[7, 900]] = 1.0
    axes = plot_heatmap(attributions, max_classes=2)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["7", "900"]
    assert "2 of 1000 classes" in axes.get_title(loc="left")


def test_classes_without_examples_and_all_zero_attributions_can_be_drawn():
    axes = plot_heatmap(torch.tensor([[float("nan")] * 2, [0.0, 0.0]]))
    assert np.ma.getmaskarray(axes.get_images()[0].get_array())[0].all()


def test_it_draws_where_it_is_told():
    axes = pyplot.figure().subplots()
    assert plot_heatmap(torch.eye(2), ax=axes) is axes
    pyplot.close("all")


def test_bad_shapes_and_names_are_refused():
    with pytest.raises(ValueError, match=r"`attributions` must have two dimensions, classes first"):
        plot_heatmap(torch.zeros(3))
    with pytest.raises(ValueError, match="`class_names` must have 2 entries"):
        plot_heatmap(torch.eye(2), class_names=["cat"])
