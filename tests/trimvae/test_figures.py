"""Every picture, for images and tables, few classes and many."""

import os
import subprocess
import sys

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from attributions import Contrast
from tests.cases import convolutional_predictor
from trimvae import VAE, Evaluation, explain
from trimvae.figures import (
    animate,
    plot_attributes,
    plot_counterfactual,
    plot_history,
    plot_pixels,
    plot_trade_off,
    plot_traversals,
    plot_trust,
    plot_waterfall,
)
from trimvae.figures.waterfall import contributions


def table_explanation(outputs=4, **options):
    torch.manual_seed(0)
    vae = VAE.dense((6,), latent_size=3, hidden=(16,))
    predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs))
    with torch.no_grad():
        predictor[-1].weight.mul_(5)
    return explain(vae, predictor, torch.randn(12, 6), **options)


def image_explanation(classes=3, channels=1):
    torch.manual_seed(0)
    vae = VAE.convolutional((channels, 28, 28), 3, channels=4, hidden=8)
    predictor = convolutional_predictor(classes=classes, channels=channels)
    return explain(vae, predictor, torch.rand(8, channels, 28, 28), n_steps=4)


@pytest.fixture(scope="module")
def table():
    return table_explanation()


@pytest.fixture(scope="module", params=[(2, 1), (10, 3), (1000, 1)])
def images(request):
    classes, channels = request.param
    return image_explanation(classes, channels)


def test_a_waterfalls_bars_add_up_from_the_baseline_to_the_predictors_own_output(table):
    for example in range(4):
        bars = contributions(table, example, n_latents=2)
        assert bars.start + sum(bars.values) == pytest.approx(bars.end, abs=1e-4)
        outputs = table.outputs[example]
        centred = outputs - outputs.mean()
        assert bars.end == pytest.approx(centred[table.predicted[example]].item(), abs=1e-4)
        assert bars.names[2] == "1 other latents"
        assert bars.names[-1] == "residual"


def test_what_the_quadrature_misses_has_a_bar_of_its_own():
    explanation = table_explanation(n_steps=1)
    bars = contributions(explanation, 0, hidden=0.0)
    assert "not attributed" in bars.names
    assert bars.start + sum(bars.values) == pytest.approx(bars.end, abs=1e-4)


def test_with_residual_nothing_is_left_out_of_the_bars():
    bars = contributions(table_explanation(residual=True), 0)
    assert "residual" not in bars.names
    assert bars.start + sum(bars.values) == pytest.approx(bars.end, abs=1e-4)


def test_every_picture_of_images_is_drawn(images, tmp_path):
    for figure in (
        images.plot(),
        plot_waterfall(images).figure,
        plot_traversals(images, n_latents=2, frames=3),
        plot_pixels(images, n_latents=2),
        plot_pixels(images, latents=[1], overlay=False),
        plot_counterfactual(images),
        plot_counterfactual(images, method="gradient"),
        plot_trust(images),
    ):
        assert isinstance(figure, Figure)
        figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000


def test_every_picture_of_a_table_is_drawn(table, tmp_path):
    for figure in (
        table.plot(),
        plot_waterfall(table).figure,
        plot_traversals(table, n_latents=2),
        plot_pixels(table),
        plot_counterfactual(table),
        plot_trust(table),
    ):
        figure.savefig(tmp_path / "figure.png")


def test_attributes_are_drawn_as_pairs(table, tmp_path):
    target = int(table.predicted.bincount().argmin())
    figure = plot_attributes(table, target)
    assert figure.axes
    for target in range(3):
        explanation = image_explanation()
        if explanation.attributes(target):
            plot_attributes(explanation, target, examples=2).savefig(tmp_path / "figure.png")


def test_a_regression_and_a_binary_logit_have_pictures_too():
    regression = table_explanation(outputs=1)
    for figure in (regression.plot_traversals(), regression.plot_waterfall().figure):
        assert figure.axes
    with pytest.raises(ValueError, match="`task` must be 'classification' for counterfactuals"):
        regression.plot_counterfactual()
    binary = table_explanation(outputs=1, task="classification", class_names=["no", "yes"])
    assert binary.plot_counterfactual().axes
    assert binary.plot_traversals().axes
    contrast = table_explanation(explained=Contrast(0, 1))
    assert contrast.plot_waterfall().get_xlabel() == "0 rather than 1"


def test_pictures_are_drawn_where_the_caller_says():
    import matplotlib.figure

    explanation = table_explanation()
    figure = matplotlib.figure.Figure()
    assert plot_traversals(explanation, fig=figure) is figure
    assert plot_counterfactual(explanation, fig=figure) is figure
    axes = matplotlib.figure.Figure().subplots()
    assert plot_waterfall(explanation, ax=axes) is axes


def test_the_evaluation_adds_its_panels(table):
    metrics = {
        **{f"flip_at_{k}": 0.5 for k in (1, 2)},
        **{f"flip_at_{k}_random": 0.2 for k in (1, 2)},
        "deletion_score": 0.9,
        "insertion_score": 0.8,
    }
    evaluation = Evaluation(metrics=metrics, by_class={}, by_latent={}, settings={})
    assert len(plot_trust(table, evaluation).axes) == 3


def test_a_traversal_moves_there_and_back(table, tmp_path):
    path = animate(table, tmp_path / "moving.gif", frames=4)
    with Image.open(path) as moving:
        assert moving.n_frames == 6
    assert [item.name for item in tmp_path.iterdir()] == ["moving.gif"]
    with pytest.raises(ValueError, match="`path` must end in .gif or .mp4. Got moving.png"):
        animate(table, tmp_path / "moving.png")


def test_a_history_has_a_panel_for_each_figure_with_its_validation():
    history = [{"loss": 3.0, "validation_loss": 3.5, "kl": 1.0}, {"loss": 2.0, "kl": 1.5}]
    figure = plot_history(history)
    assert len(figure.axes) == 2
    assert len(figure.axes[0].lines) == 2
    with pytest.raises(ValueError, match="`names` must be among"):
        plot_history(history, ["accuracy"])
    with pytest.raises(ValueError, match="`history` must have at least one epoch"):
        plot_history([])


def test_a_trade_off_names_its_points(table):
    axes = plot_trade_off({"plain": table.metrics, "trimvae": table.metrics})
    assert [text.get_text() for text in axes.texts] == ["plain", "trimvae"]
    with pytest.raises(ValueError, match="`points` must hold .* Got 'plain' without"):
        plot_trade_off({"plain": {"agreement": 1.0}})


def test_no_display_is_asked_for():
    """Figures are drawn by Agg, whatever backend is set, and pyplot has none of them."""
    code = (
        "import matplotlib.pyplot; from tests.trimvae.test_figures import table_explanation;"
        "table_explanation().plot_traversals().savefig('/dev/null', format='png');"
        "assert not matplotlib.pyplot.get_fignums()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    environment["MPLBACKEND"] = "TkAgg"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)


@pytest.mark.parametrize(
    "draw", [plot_waterfall, plot_traversals, plot_pixels, plot_counterfactual]
)
def test_an_example_that_is_not_there_is_named(table, draw):
    with pytest.raises(ValueError, match="`example` must be from 0 to 11. Got 12"):
        draw(table, 12)
