"""Can this explanation be trusted? Figures of tensors, and figures that ask the predictor again."""

from attributions.measures.attfind import (
    Attribute,
    attribute_effects,
    find_attributes,
)
from attributions.measures.bundles import (
    caused_shares,
    common_share,
    drawn_shares,
    integrated_shares,
)
from attributions.measures.changes import (
    Changed,
    changed_inputs,
    exchange_columns,
    exchange_residuals,
    hybrids,
)
from attributions.measures.counterfactuals import (
    Counterfactual,
    counterfactual_figures,
)
from attributions.measures.dependence import (
    beyond_class,
    class_dependence,
    class_told,
    classes_per_latent,
    normalised_mutual_information,
    within_class_share,
)
from attributions.measures.directions import (
    class_dependence_of_class_directions,
    class_directions,
)
from attributions.measures.entanglement import (
    gaussian_total_correlation,
    latent_copies,
    latent_correlation,
)
from attributions.measures.fidelity import (
    agreement,
    completeness_by_class,
    completeness_error,
    latent_share,
    prediction_kl,
)
from attributions.measures.following import (
    Following,
    followed_decisions,
)
from attributions.measures.hard_inputs import (
    HardAgreement,
    hard_agreement,
    margins,
)
from attributions.measures.information import (
    Flow,
    information_flow,
    information_flows,
    mutual_information,
)
from attributions.measures.intervals import (
    Estimate,
    Interval,
    bootstrap_interval,
    estimate_of,
    share_interval,
)
from attributions.measures.interventions import (
    Sufficiency,
    sufficiency,
    traversal_monotonicity,
)
from attributions.measures.judged import (
    Estimated,
    bex,
    cout,
    oracle_score,
)
from attributions.measures.judging import (
    Judgement,
    judgement,
    judges_agree,
)
from attributions.measures.one_way import (
    changes_along,
    direction,
)
from attributions.measures.orders import (
    Curves,
    curve_area,
    curve_score,
    deletion,
    deletion_and_insertion,
)
from attributions.measures.real_pairs import (
    Pairs,
    pair_correlation,
    pairs_along_latents,
    said_of_pairs,
)
from attributions.measures.redrawing import (
    drawn_variance,
    reread_share,
    strength_correlation,
    weakest_strength,
)
from attributions.measures.sanity import (
    Sanity,
    rank_correlation,
    reinitialised,
    sanity_check,
)
from attributions.measures.simplicity import (
    gini_index,
    hoyer,
    latents_for_share,
    monotonicity,
    participation_ratio,
)
from attributions.measures.stability import (
    Stability,
    seed_stability,
)
from attributions.measures.unmixing import Unmixing, unmix

__all__ = [
    "Attribute",
    "Changed",
    "Counterfactual",
    "Curves",
    "Estimate",
    "Estimated",
    "Flow",
    "Following",
    "HardAgreement",
    "Interval",
    "Judgement",
    "Pairs",
    "Sanity",
    "Stability",
    "Sufficiency",
    "Unmixing",
    "agreement",
    "attribute_effects",
    "bex",
    "beyond_class",
    "bootstrap_interval",
    "caused_shares",
    "changed_inputs",
    "changes_along",
    "class_dependence",
    "class_dependence_of_class_directions",
    "class_directions",
    "class_told",
    "classes_per_latent",
    "common_share",
    "completeness_by_class",
    "completeness_error",
    "counterfactual_figures",
    "cout",
    "curve_area",
    "curve_score",
    "deletion",
    "deletion_and_insertion",
    "direction",
    "drawn_shares",
    "drawn_variance",
    "estimate_of",
    "exchange_columns",
    "exchange_residuals",
    "find_attributes",
    "followed_decisions",
    "gaussian_total_correlation",
    "gini_index",
    "hard_agreement",
    "hoyer",
    "hybrids",
    "information_flow",
    "information_flows",
    "integrated_shares",
    "judgement",
    "judges_agree",
    "latent_copies",
    "latent_correlation",
    "latent_share",
    "latents_for_share",
    "margins",
    "monotonicity",
    "mutual_information",
    "normalised_mutual_information",
    "oracle_score",
    "pair_correlation",
    "pairs_along_latents",
    "participation_ratio",
    "prediction_kl",
    "rank_correlation",
    "reinitialised",
    "reread_share",
    "said_of_pairs",
    "sanity_check",
    "seed_stability",
    "share_interval",
    "strength_correlation",
    "sufficiency",
    "traversal_monotonicity",
    "unmix",
    "weakest_strength",
    "within_class_share",
]
