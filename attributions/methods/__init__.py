"""Attributions of every output to every latent: in a loss, along paths, exact, by any method."""

from attributions.methods.captum import Method, attribute
from attributions.methods.differentiating import differentiable
from attributions.methods.encoding import input_attributions
from attributions.methods.gradients import ExpectedGradients, path_contributions
from attributions.methods.jacobians import input_x_gradient, jacobian, saliency
from attributions.methods.paths import (
    PathAttributions,
    expected_gradients,
    integrated_gradients,
)
from attributions.methods.pixels import pixel_attributions
from attributions.methods.shapley import exact_shapley
from attributions.methods.within import within_attributions

__all__ = [
    "ExpectedGradients",
    "Method",
    "PathAttributions",
    "attribute",
    "differentiable",
    "exact_shapley",
    "expected_gradients",
    "input_attributions",
    "input_x_gradient",
    "integrated_gradients",
    "jacobian",
    "path_contributions",
    "pixel_attributions",
    "saliency",
    "within_attributions",
]
