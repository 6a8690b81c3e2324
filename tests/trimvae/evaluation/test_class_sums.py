"""What is said beyond the class, from sums: the same as from the examples."""

import pytest
import torch

from tests.trimvae.explanation.made import by_hand, table_explanation
from trimvae.evaluation.class_sums import class_figures, class_rows
from trimvae.evaluation.resampling import Resampled


def figures_of(*explanations):
    resampled = Resampled(0)
    for explanation in explanations:
        resampled.add(class_rows(explanation) or {"none": torch.ones(len(explanation.inputs))})
    return {
        name: figure(resampled.sums)[0].item()
        for name, figure in class_figures(resampled.sums).items()
    }


@pytest.mark.parametrize("options", [{}, {"outputs": 1, "task": "classification"}])
def test_sums_give_the_figures_of_the_examples(options):
    whole = table_explanation(batch=40, n_steps=8, **options)
    parts = [whole.select(part.tolist()) for part in torch.arange(40).split([13, 27])]
    for name, value in figures_of(*parts).items():
        assert whole.metrics[name] == pytest.approx(value, rel=1e-5), name


def test_figures_by_hand_are_found():
    metrics = by_hand().metrics
    found = figures_of(by_hand())
    assert len(found) == 5
    assert all(metrics[name] == pytest.approx(value) for name, value in found.items())


def test_a_regression_has_the_latents_over_the_data_alone():
    explanation = table_explanation(outputs=1, batch=20, n_steps=8)
    found = figures_of(explanation)
    name = "effective_latents_over_data"
    assert found[name] == pytest.approx(explanation.metrics[name], rel=1e-5)


def test_of_many_classes_times_latents_no_sums_are_taken(monkeypatch):
    monkeypatch.setattr("trimvae.evaluation.class_sums._MOST_SUMS", 8)
    assert class_rows(by_hand()) == {}
    assert figures_of(by_hand()) == {}
