"""Figures of fidelity are the measures, of all examples."""

import pytest
import torch

from attributions.measures import agreement, completeness_by_class, prediction_kl
from tests.trimvae.explanation.made import by_hand, table_explanation
from trimvae.explanation.fidelity import fidelity_figures


def test_a_classification_has_agreement_and_divergence():
    usage = by_hand()
    found = fidelity_figures(usage)
    assert found["agreement"] == float(agreement(usage.outputs, usage.reencoded_outputs))
    assert found["prediction_kl"] == float(prediction_kl(usage.outputs, usage.reencoded_outputs))
    assert found["worst_completeness_error"] == float(
        completeness_by_class(usage.attributions, usage.change).max()
    )
    assert list(found)[-1] == "monotonicity"
    assert "monotonicity" not in fidelity_figures(by_hand(total_variation=None))


def test_a_regression_has_squared_errors():
    usage = table_explanation(outputs=1, batch=20, n_steps=8)
    found = fidelity_figures(usage)
    error = (usage.outputs - usage.reencoded_outputs).square().mean()
    assert found["prediction_kl"] == pytest.approx(float(error))
    expected = (usage.inputs - usage.reconstructions).square().sum(dim=1).mean()
    assert found["reconstruction_error"] == pytest.approx(float(expected))
    assert torch.tensor(list(found.values())).isfinite().all()
