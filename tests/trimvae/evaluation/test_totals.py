"""Sums over batches give the means over all examples."""

import pytest
import torch

from tests.trimvae.explanation.made import by_hand, table_explanation
from trimvae.evaluation.totals import Totals


def added(*explanations):
    totals = Totals()
    for explanation in explanations:
        totals.add(explanation)
    return totals


@pytest.mark.parametrize("options", [{}, {"outputs": 1}, {"outputs": 1, "task": "classification"}])
def test_means_of_parts_are_the_metrics_of_the_whole(options):
    whole = table_explanation(n_steps=8, **options)
    parts = [whole.select(part.tolist()) for part in torch.arange(12).split([5, 1, 6])]
    totals = added(*parts)
    assert totals.count == 12
    figures = totals.means()
    for name, value in whole.metrics.items():
        assert figures[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name


def test_each_predicted_class_has_its_own_means():
    totals = added(by_hand())
    figures, by_class = totals.means(), totals.by_class()
    assert figures["attribution_size"] == pytest.approx((3 + 4 + 4 + 8) / 4)
    assert by_class == {
        "a": {
            "examples": 2,
            "agreement": 0.5,
            "effective_latents": pytest.approx((9 / 5 + 16 / 6) / 2),
            "latent_share": pytest.approx(0.85),
            "attribution_size": pytest.approx(3.5),
        },
        "b": {
            "examples": 1,
            "agreement": 1.0,
            "effective_latents": pytest.approx(1.0),
            "latent_share": pytest.approx(0.7),
            "attribution_size": pytest.approx(4.0),
        },
        "c": {
            "examples": 1,
            "agreement": 1.0,
            "effective_latents": pytest.approx(1.6),
            "latent_share": pytest.approx(0.6),
            "attribution_size": pytest.approx(8.0),
        },
    }


def test_a_class_that_is_never_predicted_is_left_out():
    by_class = added(by_hand().select([0, 3]), by_hand().select([1])).by_class()
    assert list(by_class) == ["a", "c"]
    assert by_class["a"]["examples"] == 2


def test_complete_attributions_miss_nothing_also_of_nothing():
    dead = by_hand(
        attributions=torch.zeros(4, 3, 3),
        total_variation=torch.zeros(4, 3, 3),
        explained_at=by_hand().explained_at_baseline,
    )
    figures = added(dead).means()
    assert figures["completeness_error"] == 0.0
    assert figures["monotonicity"] != figures["monotonicity"]  # NaN: nothing moves


def test_methods_without_a_path_have_no_monotonicity():
    figures = added(by_hand(total_variation=None)).means()
    assert "monotonicity" not in figures


def test_what_is_said_beyond_the_class_is_over_all_batches_not_a_mean_of_theirs():
    """In each batch one class is predicted, of which nothing can be told."""
    parts = [by_hand().select([index]) for index in range(4)]
    assert all("class_dependence" not in part.metrics for part in parts)
    figures = added(*parts).means()
    whole = by_hand().metrics
    for name in ("class_dependence", "within_class_share", "classes_per_latent"):
        assert figures[name] == pytest.approx(whole[name], rel=1e-5), name
    assert figures["effective_latents_over_data"] == pytest.approx(19**2 / (25 + 36 + 64))
