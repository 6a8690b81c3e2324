"""Figures of an explanation: fidelity, completeness, and how simple it is."""

from attributions.measures.fidelity import (
    agreement,
    completeness_by_class,
    completeness_error,
    prediction_kl,
)
from attributions.measures.simplicity import latents_for_share, monotonicity
from trimvae.explanation.usage import Usage


def fidelity_figures(usage: Usage) -> dict[str, float]:
    """By their names in `Explanation.metrics`, over all examples."""
    outputs, reencoded = usage.outputs, usage.reencoded_outputs
    regression = usage.task == "regression"
    error = (usage.reconstructions - usage.inputs).pow(2).flatten(1).sum(dim=1).mean()
    scores = usage.target_attributions
    figures = {
        "agreement": agreement(outputs, reencoded, regression=regression),
        "prediction_kl": (reencoded - outputs).pow(2).mean()
        if regression
        else prediction_kl(outputs, reencoded),
        "reconstruction_error": error,
        "completeness_error": completeness_error(usage.attributions, usage.change),
        "worst_completeness_error": completeness_by_class(usage.attributions, usage.change).max(),
        "effective_latents": usage.effective_latents.nanmean(),
        "effective_latents_over_data": usage.effective_latents_over_data,
        "latents_for_90_percent": latents_for_share(scores).double().mean(),
        "latent_share": usage.latent_share.mean(),
    }
    if usage.target_variation is not None:
        figures["monotonicity"] = monotonicity(scores, usage.target_variation)
    return {name: float(value) for name, value in figures.items()}
