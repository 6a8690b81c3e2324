"""How a predictor uses a code: TRIM, differentiable attributions, penalties and measures."""

from attributions.attfind import attfind
from attributions.code_penalties import (
    CodePenalty,
    GroupSparsity,
    Hessian,
    Independence,
    InformationFlow,
    JacobianSparsity,
    NearestNeighbour,
)
from attributions.codes import Code
from attributions.gradients import ExpectedGradients, differentiable, path_contributions
from attributions.heatmaps import plot_bands, plot_basis, plot_heatmap
from attributions.information import information_flow, mutual_information
from attributions.interventions import (
    curve_area,
    curve_score,
    deletion,
    sufficiency,
    traversal_monotonicity,
)
from attributions.jacobian import input_x_gradient, jacobian, saliency
from attributions.measures import (
    agreement,
    completeness_error,
    counterfactual_figures,
    gini_index,
    hoyer,
    latent_share,
    latents_for_share,
    monotonicity,
    participation_ratio,
    prediction_kl,
    rank_correlation,
)
from attributions.methods import attribute
from attributions.paths import expected_gradients, integrated_gradients
from attributions.penalties import Monotonicity, Penalty, Sparsity
from attributions.pixels import pixel_attributions
from attributions.sanity import reinitialised, stability
from attributions.shapley import exact_shapley
from attributions.trim import Contrast, Trim

__all__ = [
    "Code",
    "CodePenalty",
    "Contrast",
    "ExpectedGradients",
    "GroupSparsity",
    "Hessian",
    "Independence",
    "InformationFlow",
    "JacobianSparsity",
    "Monotonicity",
    "NearestNeighbour",
    "Penalty",
    "Sparsity",
    "Trim",
    "agreement",
    "attfind",
    "attribute",
    "completeness_error",
    "counterfactual_figures",
    "curve_area",
    "curve_score",
    "deletion",
    "differentiable",
    "exact_shapley",
    "expected_gradients",
    "gini_index",
    "hoyer",
    "information_flow",
    "input_x_gradient",
    "integrated_gradients",
    "jacobian",
    "latent_share",
    "latents_for_share",
    "monotonicity",
    "mutual_information",
    "participation_ratio",
    "path_contributions",
    "pixel_attributions",
    "plot_bands",
    "plot_basis",
    "plot_heatmap",
    "prediction_kl",
    "rank_correlation",
    "reinitialised",
    "saliency",
    "stability",
    "sufficiency",
    "traversal_monotonicity",
]
