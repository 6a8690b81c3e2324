"""The heatmaps: rows, names and the figures beside them."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from tests.trimvae.explanation.made import by_hand
from trimvae.figures import plot_blocks, plot_classes
from trimvae.figures.classes import row_names, title_of, whole_change


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


def test_colours_end_at_the_whole_change_of_the_output_and_rows_of_low_agreement_are_grey():
    explanation = by_hand()
    axes = plot_classes(explanation).axes[0]
    change = explanation.explained_at - explanation.explained_at_baseline
    means = explanation.mean_by_class(change[torch.arange(4), explanation.target])
    assert axes.images[0].norm.vmax == pytest.approx(max(float(means.abs().max()), 6.0))
    assert len(axes.images) == 1  # one of two is no low agreement yet
    many = by_hand().select([0] * 40)
    doubtful = many.doubtful_classes
    assert doubtful.tolist() == [bool(many.disagrees[0]), False, False]
    assert len(plot_classes(many).axes[0].images) == 1 + int(doubtful.any())


def test_an_arrow_says_whether_more_of_a_latent_speaks_for_the_class():
    explanation = by_hand()
    texts = [text.get_text() for text in plot_classes(explanation).axes[0].texts]
    cells = [text for text in texts if text.endswith(("▲", "▼"))]
    rows, _ = explanation.by_predicted_class
    shown = (rows.abs() >= 0.05 * whole_change(explanation)).nonzero().tolist()
    assert [text[-1] for text in cells] == [
        "▲" if explanation.slopes[row, column] > 0 else "▼" for row, column in shown
    ]
    assert any("more of the latent does" in text for text in texts)


def test_below_the_bounds_the_title_says_so():
    explanation = by_hand().select([0, 1, 2, 3] * 20)
    assert explanation.metrics["agreement"] == 0.75
    title = plot_classes(explanation).axes[0].get_title(loc="left")
    assert title == "Not an explanation: 75% of the decisions survive re-encoding"
    residual = by_hand(latent_share=torch.full((4,), 0.25), reencoded_outputs=by_hand().outputs)
    assert residual.doubt == "75% of the evidence is in no latent"
    assert title_of(by_hand(reencoded_outputs=by_hand().outputs), "x") == "x (agreement 1.00)"


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


def test_a_regression_of_several_outputs_is_drawn_and_reported_by_its_first(tmp_path):
    from trimvae import VAE, explain

    torch.manual_seed(0)
    explanation = explain(
        VAE.dense((6,), latent_size=3), torch.nn.Linear(6, 4), torch.randn(25, 6), task="regression"
    )
    axes = plot_classes(explanation).axes[0]
    torch.testing.assert_close(
        torch.tensor(drawn(axes)).float(), explanation.attributions[:, 0].mean(dim=0)[None]
    )
    assert labels(axes) == ["output 0"]
    assert "output 0" in explanation.to_html(tmp_path / "report.html").read_text("utf-8")
