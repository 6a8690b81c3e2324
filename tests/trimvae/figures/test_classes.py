"""The heatmaps: rows, names and the figures beside them."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from tests.trimvae.explanation.made import by_hand
from trimvae.figures import plot_blocks, plot_classes
from trimvae.figures.classes import row_names


def drawn(axes):
    return np.asarray(axes.images[0].get_array())


def labels(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_rows_are_the_mean_attributions_of_each_predicted_class():
    axes = plot_classes(by_hand()).axes[0]
    assert drawn(axes).tolist() == [[1.5, 0.0, 1.0], [0.0, 4.0, 0.0], [-2.0, 0.0, 6.0]]
    assert labels(axes) == ["a", "b", "c"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["x", "y", "z"]
    assert axes.get_title(loc="left") == "What each class is recognised by (agreement 0.75)"


def test_effective_latents_and_agreement_stand_beside_each_row():
    texts = [text.get_text() for text in plot_classes(by_hand()).axes[0].texts]
    assert texts[-8:] == [
        "effective\nlatents",
        "2.2",
        "1.0",
        "1.6",
        "agree-\nment",
        "0.50",
        "1.00",
        "1.00",
    ]


def test_blocks_are_added_up():
    axes = plot_blocks(by_hand()).axes[0]
    assert drawn(axes).tolist() == [[1.5, 1.0], [0.0, 4.0], [-2.0, 6.0]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["first", "rest"]


def test_rows_of_a_binary_logit_a_regression_and_a_contrast_have_their_names():
    one = {"attributions": torch.ones(4, 1, 3), "class_names": ("no", "yes")}
    outputs = torch.tensor([[1.0], [-1.0], [2.0], [-2.0]])
    binary = by_hand({"explained_name": "logit"}, outputs=outputs, **one)
    assert row_names(binary) == ("predicted no", "predicted yes")
    assert labels(plot_blocks(binary).axes[0]) == ["predicted no", "predicted yes"]
    regression = by_hand({"task": "regression", "explained_name": "price"}, **one)
    assert row_names(regression) == ("price",)
    assert labels(plot_blocks(regression).axes[0]) == ["price"]
    contrast = by_hand({"contrast": [0, 1], "explained_name": "a rather than b"}, **one)
    assert row_names(contrast) == ("a rather than b",)


def test_of_a_thousand_classes_thirty_are_drawn():
    weighed = by_hand(
        outputs=torch.eye(1000)[[0, 1, 2, 999]],
        reencoded_outputs=torch.eye(1000)[[0, 1, 2, 999]],
        attributions=torch.ones(4, 1000, 3),
        total_variation=None,
        explained_at=torch.full((4, 1000), 3.0),
        explained_at_baseline=torch.zeros(4, 1000),
        class_names=tuple(map(str, range(1000))),
    )
    axes = plot_classes(weighed).axes[0]
    assert axes.get_title(loc="left").endswith("(30 of 1000 classes)")
    assert drawn(axes).shape == (30, 3)


@pytest.mark.parametrize("plot", [plot_classes, plot_blocks])
def test_options_go_to_the_heatmap(plot):
    axes = Figure().subplots()
    figure = plot(by_hand(), title="mine", limit=10.0, ax=axes)
    assert figure is axes.figure
    assert axes.get_title(loc="left") == "mine"
    assert axes.images[0].get_clim() == (-10.0, 10.0)
