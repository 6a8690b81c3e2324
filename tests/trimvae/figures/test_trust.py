"""Trust at a glance: figures beside their bounds, and what an evaluation adds."""

import pytest
import torch
from matplotlib.figure import Figure

from tests.trimvae.explanation.made import by_hand
from trimvae import Evaluation
from trimvae.explanation.trust import (
    LEAST_AGREEMENT,
    LEAST_LATENT_SHARE,
    LEAST_MONOTONICITY,
    MOST_CLASS_DEPENDENCE,
)
from trimvae.figures import plot_trust
from trimvae.figures.trust import checks


def evaluation(**metrics):
    return Evaluation(metrics=metrics, by_class={}, by_latent={}, settings={})


FLIPS = {
    "flip_at_1": 0.5,
    "flip_at_2": 0.8,
    "flip_at_1_random": 0.1,
    "flip_at_2_random": 0.2,
}


def test_checks_are_the_metrics_beside_the_bounds_of_the_warnings():
    found = {check.name: check for check in checks(by_hand())}
    assert list(found) == ["agreement", "completeness", "latent share", "monotonicity"]
    assert found["agreement"].value == 0.75
    assert found["agreement"].bound == LEAST_AGREEMENT
    assert not found["agreement"].passed
    assert found["completeness"].value == pytest.approx(1)
    assert found["completeness"].passed
    assert found["latent share"].value == pytest.approx(0.75)
    assert found["latent share"].bound == LEAST_LATENT_SHARE
    assert found["latent share"].passed
    assert found["monotonicity"].value == pytest.approx(0.5)
    assert found["monotonicity"].bound == LEAST_MONOTONICITY
    assert not found["monotonicity"].passed


def test_a_check_fails_exactly_where_a_warning_is_given():
    end = by_hand().explained_at_baseline + 1.1 * by_hand().attributions.sum(dim=2)
    found = {check.name: check.passed for check in checks(by_hand(explained_at=end))}
    assert not found["completeness"]
    missed = by_hand(latent_share=torch.full((4,), 0.4))
    assert not {check.name: check.passed for check in checks(missed)}["latent share"]


def test_what_is_said_beyond_the_class_is_checked_where_it_can_be_judged():
    many = by_hand().select([0, 1, 2, 3] * 20)
    found = {check.name: check for check in checks(many)}
    assert list(found)[-1] == "beyond the class"
    assert found["beyond the class"].value == pytest.approx(1 - many.metrics["class_dependence"])
    assert found["beyond the class"].bound == 1 - MOST_CLASS_DEPENDENCE
    said = any("class dependence" in text for text in many.warnings)
    assert found["beyond the class"].passed == (not said)
    (axes,) = plot_trust(many).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(found)


def test_values_are_drawn_between_0_and_1():
    end = by_hand().explained_at_baseline - 3 * by_hand().attributions.sum(dim=2)
    found = {check.name: check.value for check in checks(by_hand(explained_at=end))}
    assert found["completeness"] == 0.0
    assert "monotonicity" not in {check.name for check in checks(by_hand(total_variation=None))}


def test_bars_are_the_checks_and_say_which_are_below_their_bound():
    (axes,) = plot_trust(by_hand()).axes
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.75, 1.0, 0.75, 0.5])
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["0.750  (below the bound)", "1.000", "0.750", "0.500  (below the bound)"]


def test_the_evaluation_adds_its_panels():
    everything = evaluation(**FLIPS, deletion_score=0.9, insertion_score=0.8)
    _, flips, orders = plot_trust(by_hand(), everything).axes
    best, random = flips.lines
    assert list(best.get_ydata()) == [0.5, 0.8]
    assert list(random.get_ydata()) == [0.1, 0.2]
    assert [bar.get_height() for bar in orders.patches] == [0.9, 0.8]
    assert [label.get_text() for label in orders.get_xticklabels()] == ["deletion", "insertion"]
    assert len(plot_trust(by_hand(), evaluation(**FLIPS)).axes) == 2
    assert len(plot_trust(by_hand(), evaluation(deletion_score=0.1)).axes) == 2
    assert len(plot_trust(by_hand(), evaluation()).axes) == 1


def test_it_is_drawn_where_the_caller_says():
    figure = Figure()
    assert plot_trust(by_hand(), fig=figure) is figure


def redrawn(**figures):
    found = {name: [value, ends] for name, (value, ends) in figures.items()}
    return by_hand({"redrawn": found})


def test_what_is_left_of_redrawn_inputs_is_checked_beside_its_bounds():
    explanation = redrawn(
        drawn_variance=(-0.5, [-0.6, -0.4]),
        reread=(0.75, [0.6, 0.85]),
        strength_correlation=(0.2, [0.0, 0.3]),
        direction=(0.9, [0.8, 1.0]),
    )
    found = {check.name: check for check in checks(explanation)}
    assert list(found)[-4:] == ["drawn", "read again", "strength", "direction"]
    assert found["drawn"].value == 0
    assert [check.passed for check in found.values()][-4:] == [False, False, False, True]
    # A warning needs more: the whole interval below the bound.
    texts = ("of what differs", "does not read what the decoder", "How strong the evidence")
    told = [any(text in warning for warning in explanation.warnings) for text in texts]
    assert told == [True, False, True]
    assert len(plot_trust(explanation).axes[0].patches) == 8


def test_with_the_residual_nothing_need_be_drawn():
    found = by_hand({"redrawn": {"drawn_variance": [0.0, [0.0, 0.1]]}, "residual": True})
    assert "drawn" not in {check.name for check in checks(found)}
    assert not any("of what differs" in text for text in found.warnings)
