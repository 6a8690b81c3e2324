"""Quantus' metrics run on latents."""

import numpy as np
import pytest
import torch

from tests.trimvae.explanation.made import Identity, by_hand, linear
from trimvae import explain
from trimvae.explanation.quantus import for_quantus


def rule():
    """The first of six latents decides between two classes, the third is never predicted."""
    first = [20.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    predictor = linear(first, [-value for value in first], [0.0] * 6)
    with torch.no_grad():
        predictor.bias[2] = -100.0
    return explain(Identity(), predictor, torch.randn(8, 6))


def test_arguments_are_the_latents_and_the_attributions_to_predicted_classes():
    explanation = rule()
    arguments = for_quantus(explanation)
    assert arguments["a_batch"].shape == arguments["x_batch"].shape == (8, 1, 6)
    assert (arguments["a_batch"][:, 0] == explanation.target_attributions.numpy()).all()
    assert (arguments["x_batch"][:, 0] == explanation.latents.numpy()).all()
    assert (arguments["y_batch"] == explanation.predicted.numpy()).all()
    outputs = arguments["model"](torch.from_numpy(arguments["x_batch"]))
    torch.testing.assert_close(outputs, explanation.explained_at)


def test_quantus_runs_on_latents():
    quantus = pytest.importorskip("quantus", reason="pip install 'trimvae[quantus]'")
    arguments = for_quantus(rule())
    sparseness = quantus.Sparseness(disable_warnings=True)(**arguments)
    complexity = quantus.Complexity(disable_warnings=True)(**arguments)
    # One latent of six: Gini's index is 5/6, the entropy of its share 0.
    np.testing.assert_allclose(sparseness, 5 / 6, atol=1e-3)
    np.testing.assert_allclose(complexity, 0, atol=5e-3)
    flipping = quantus.PixelFlipping(
        features_in_step=1, perturb_baseline=0.0, disable_warnings=True
    )(**arguments)
    # Without its strongest latent, each decision is a tie of the two classes that it decides.
    np.testing.assert_allclose(np.array(flipping)[:, 0], 0.5, atol=0.01)


def test_an_explanation_without_predictor_cannot_go_to_quantus():
    with pytest.raises(RuntimeError, match="loaded without them"):
        for_quantus(by_hand())
