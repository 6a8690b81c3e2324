"""How a predictor uses a code: TRIM, differentiable attributions, penalties and measures."""

from attributions.gradients import ExpectedGradients, differentiable, path_contributions
from attributions.heatmaps import plot_heatmap
from attributions.jacobian import input_x_gradient, jacobian, saliency
from attributions.measures import (
    agreement,
    completeness_error,
    latent_share,
    latents_for_share,
    monotonicity,
    participation_ratio,
    prediction_kl,
)
from attributions.methods import attribute
from attributions.paths import expected_gradients, integrated_gradients
from attributions.penalties import Monotonicity, Penalty, Sparsity
from attributions.shapley import exact_shapley
from attributions.trim import Contrast, Trim

__all__ = [
    "Contrast",
    "ExpectedGradients",
    "Monotonicity",
    "Penalty",
    "Sparsity",
    "Trim",
    "agreement",
    "attribute",
    "completeness_error",
    "differentiable",
    "exact_shapley",
    "expected_gradients",
    "input_x_gradient",
    "integrated_gradients",
    "jacobian",
    "latent_share",
    "latents_for_share",
    "monotonicity",
    "participation_ratio",
    "path_contributions",
    "plot_heatmap",
    "prediction_kl",
    "saliency",
]
