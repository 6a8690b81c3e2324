"""Can this explanation be trusted? Figures of tensors, and figures that ask the predictor again."""

from attributions.measures.attfind import Attribute, attribute_effects, find_attributes
from attributions.measures.counterfactuals import Counterfactual, counterfactual_figures
from attributions.measures.dependence import (
    beyond_class,
    class_dependence,
    classes_per_latent,
    normalised_mutual_information,
    within_class_share,
)
from attributions.measures.directions import (
    class_dependence_of_class_directions,
    class_directions,
)
from attributions.measures.fidelity import (
    agreement,
    completeness_error,
    latent_share,
    prediction_kl,
)
from attributions.measures.information import Flow, information_flow, mutual_information
from attributions.measures.interventions import (
    Curves,
    Sufficiency,
    curve_area,
    curve_score,
    deletion,
    sufficiency,
    traversal_monotonicity,
)
from attributions.measures.sanity import rank_correlation, reinitialised
from attributions.measures.simplicity import (
    gini_index,
    hoyer,
    latents_for_share,
    monotonicity,
    participation_ratio,
)
from attributions.measures.stability import Stability, seed_stability

__all__ = [
    "Attribute",
    "Counterfactual",
    "Curves",
    "Flow",
    "Stability",
    "Sufficiency",
    "agreement",
    "attribute_effects",
    "beyond_class",
    "class_dependence",
    "class_dependence_of_class_directions",
    "class_directions",
    "classes_per_latent",
    "completeness_error",
    "counterfactual_figures",
    "curve_area",
    "curve_score",
    "deletion",
    "find_attributes",
    "gini_index",
    "hoyer",
    "information_flow",
    "latent_share",
    "latents_for_share",
    "monotonicity",
    "mutual_information",
    "normalised_mutual_information",
    "participation_ratio",
    "prediction_kl",
    "rank_correlation",
    "reinitialised",
    "seed_stability",
    "sufficiency",
    "traversal_monotonicity",
    "within_class_share",
]
