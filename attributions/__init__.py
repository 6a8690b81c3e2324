"""How a predictor uses a code: TRIM, differentiable attributions, penalties and measures.

The names here are the ones that most scripts need. One module deeper are `attributions.methods`,
`attributions.penalties`, `attributions.measures` and `attributions.transforms`.
"""

from attributions import measures, methods, penalties
from attributions.codes import Code
from attributions.explanatory import explanatory_axes
from attributions.heatmaps import plot_heatmap
from attributions.methods import (
    ExpectedGradients,
    attribute,
    differentiable,
    exact_shapley,
    expected_gradients,
    integrated_gradients,
    path_contributions,
)
from attributions.outputs import Contrast
from attributions.penalties import GroupSparsity, Monotonicity, Penalty, Sparsity
from attributions.predictors import Predictor
from attributions.trim import Trim

__all__ = [
    "Code",
    "Contrast",
    "ExpectedGradients",
    "GroupSparsity",
    "Monotonicity",
    "Penalty",
    "Predictor",
    "Sparsity",
    "Trim",
    "attribute",
    "differentiable",
    "exact_shapley",
    "expected_gradients",
    "explanatory_axes",
    "integrated_gradients",
    "measures",
    "methods",
    "path_contributions",
    "penalties",
    "plot_heatmap",
]
