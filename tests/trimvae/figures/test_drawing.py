"""Images as arrays, names that fit, and no window."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from tests.trimvae.explanation.made import by_hand, image_explanation, table_explanation
from trimvae.figures.drawing import (
    are_images,
    draw_image,
    draw_montage,
    feature_names,
    image_array,
    short,
)


def test_colour_stays_and_other_channels_are_averaged():
    colour = torch.rand(3, 4, 5)
    np.testing.assert_allclose(image_array(colour), colour.permute(1, 2, 0).numpy())
    two = torch.stack([torch.zeros(4, 5), torch.ones(4, 5)])
    assert (image_array(two) == 0.5).all()
    assert image_array(torch.tensor([[[-1.0, 2.0]]])).tolist() == [[0.0, 1.0]]


def test_an_image_goes_from_black_0_to_white_1():
    axes = Figure().subplots()
    draw_image(axes, torch.full((1, 2, 2), 0.25))
    assert axes.images[0].get_clim() == (0, 1)
    assert not axes.get_xticks().size


def test_a_montage_puts_a_gap_between_its_images():
    axes = Figure().subplots()
    draw_montage(axes, torch.zeros(3, 1, 2, 28), (-1.0, 1.0))
    drawn = np.asarray(axes.images[0].get_array())
    assert drawn.shape == (2, 3 * 28 + 2 * 2)
    assert (drawn[0] == 1).sum() == 4
    assert axes.images[0].get_extent() == [-1.0, 1.0, 0, 1]


def test_long_names_are_cut():
    assert short("a" * 22) == "a" * 22
    assert short("a" * 23) == "a" * 21 + "…"
    assert short("latent", 4) == "lat…"


def test_columns_have_their_names_where_there_is_one_for_each():
    assert feature_names(by_hand()) == ["x0", "x1"]
    assert feature_names(by_hand({"feature_names": ["age", "sex"]})) == ["age", "sex"]
    assert feature_names(by_hand({"feature_names": ["age"]})) == ["x0", "x1"]


def test_four_dimensions_are_images():
    assert not are_images(by_hand())
    assert are_images(by_hand(inputs=torch.zeros(4, 1, 2, 2)))


@pytest.mark.parametrize("what", ["table", "colour images of many classes"])
def test_every_picture_renders(what, tmp_path):
    if what == "table":
        explanation = table_explanation(n_steps=4)
    else:
        explanation = image_explanation(classes=100, channels=3, batch=3)
    for figure in (
        explanation.plot(),
        explanation.plot_blocks(),
        explanation.plot_waterfall().figure,
        explanation.plot_traversals(n_latents=2, frames=3),
        explanation.plot_pixels(n_latents=2),
        explanation.plot_counterfactual(method="gradient"),
        explanation.plot_trust(),
    ):
        figure.savefig(tmp_path / "figure.png")
        assert (tmp_path / "figure.png").stat().st_size > 5_000


def test_no_display_is_asked_for():
    """Figures are drawn by Agg, whatever backend is set, and pyplot has none of them."""
    code = (
        "import matplotlib.pyplot;"
        "from tests.trimvae.explanation.made import table_explanation;"
        "table_explanation(n_steps=2).plot_traversals().savefig('/dev/null', format='png');"
        "assert not matplotlib.pyplot.get_fignums()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    environment["MPLBACKEND"] = "TkAgg"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)


ODD = ("$\\frac{", "half\ud800", "cat\u202egnp $x$", "y" * 10_000)


def figures_of(explanation):
    """Every figure of an explanation, by the method that draws it."""
    target = int(explanation.predicted.bincount(minlength=4).argmin())
    is_table = explanation.inputs.ndim == 2
    yield from (
        explanation.plot(),
        explanation.plot_blocks(),
        explanation.plot_waterfall(0).figure,
        explanation.plot_traversals(0, n_latents=2, frames=2),
        explanation.plot_pixels(0, latents=[0, 1]),
        explanation.plot_counterfactual(0, method="gradient"),
        explanation.plot_attributes(target, k=1),
        explanation.plot_trust(),
        explanation.plot_within(0, transform="columns" if is_table else "bands").figure,
    )


@pytest.mark.parametrize("kind", ["table", "images"])
def test_every_figure_shows_odd_names_letter_by_letter_or_cuts_them(kind, tmp_path):
    options = {"class_names": ODD, "latent_names": [f"{name} z" for name in ODD[:3]], "n_steps": 4}
    if kind == "table":
        explanation = table_explanation(feature_names=[*ODD, "e", "f"], **options)
    else:
        del options["n_steps"]
        explanation = image_explanation(classes=4, **options)
    for figure in figures_of(explanation):
        width, height = figure.get_size_inches()
        assert max(width, height) < 30
        figure.savefig(tmp_path / "figure.png", dpi=40)
        figure.savefig(tmp_path / "figure.svg")
    explanation.animate(tmp_path / "moving.gif", frames=2)


def test_a_figure_of_5_000_classes_is_drawn(tmp_path):
    names = [f"{'long ' * 2_000}{index}" for index in range(5_000)]
    explanation = table_explanation(outputs=5_000, batch=8, n_steps=2, class_names=names)
    for figure in (explanation.plot(), explanation.plot_traversals(0, n_latents=1, frames=2)):
        figure.savefig(tmp_path / "figure.png", dpi=40)
        assert max(figure.get_size_inches()) < 30
