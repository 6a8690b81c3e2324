"""The figures and warnings that stand beside every explanation."""

from typing import TYPE_CHECKING

from attributions import (
    agreement,
    completeness_error,
    latents_for_share,
    monotonicity,
    prediction_kl,
)

if TYPE_CHECKING:
    from trimvae.evidence import Evidence

# Bounds below which a reader is warned.
LEAST_AGREEMENT = 0.9
LEAST_LATENT_SHARE = 0.5
MOST_COMPLETENESS_ERROR = 0.0101  # a tolerance of 1 %, reached
LEAST_MONOTONICITY = 0.8


def trust_figures(explanation: "Evidence") -> dict[str, float]:
    """`Explanation.metrics`."""
    outputs, reencoded = explanation.outputs, explanation.reencoded_outputs
    regression = explanation.task == "regression"
    change = explanation.explained_at - explanation.explained_at_baseline
    error = (explanation.reconstructions - explanation.inputs).pow(2).flatten(1).sum(dim=1).mean()
    scores = explanation.target_attributions
    figures = {
        "agreement": agreement(outputs, reencoded, regression=regression),
        "prediction_kl": (reencoded - outputs).pow(2).mean()
        if regression
        else prediction_kl(outputs, reencoded),
        "reconstruction_error": error,
        "completeness_error": completeness_error(explanation.attributions, change),
        "effective_latents": explanation.effective_latents.nanmean(),
        "latents_for_90_percent": latents_for_share(scores).double().mean(),
        "latent_share": explanation.latent_share.mean(),
    }
    if explanation.total_variation is not None:
        figures["monotonicity"] = monotonicity(
            scores, explanation.of_target(explanation.total_variation)
        )
    return {name: float(value) for name, value in figures.items()}


def trust_warnings(explanation: "Evidence") -> tuple[str, ...]:
    """`Explanation.warnings`."""
    found = []
    figures = explanation.metrics
    if not bool(explanation.target_attributions.any(dim=1).all()):
        found.append(
            "Some examples have no attribution at all: the predictor does not respond to "
            "any latent there, so sparsity means nothing."
        )
    if figures["agreement"] < LEAST_AGREEMENT:
        found.append(
            f"The re-encoded prediction disagrees for {1 - figures['agreement']:.0%} of the "
            "examples: the code loses what the predictor looks at. Train with a larger "
            "prediction_weight or more latents."
            if explanation.task == "classification"
            else f"Only {figures['agreement']:.0%} of the variance of the outputs survives "
            "encoding and decoding. Train with a larger prediction_weight or more latents."
        )
    if figures["latent_share"] < LEAST_LATENT_SHARE:
        found.append(
            f"{1 - figures['latent_share']:.0%} of the evidence is in the residual, which "
            "the latents do not explain."
        )
    if not explanation.settings["residual"] and not bool(explanation.deviations.any()):
        inputs = explanation.inputs
        spread = (inputs - inputs.mean(dim=0)).pow(2).flatten(1).sum(dim=1).mean()
        left = figures["reconstruction_error"] / max(float(spread), 1e-12)
        if left > 1e-3 and len(inputs) > 1:
            found.append(
                f"The code leaves out {left:.1%} of the inputs' variance: explain with "
                "residual=True, which adds it back."
            )
    if not figures["completeness_error"] <= MOST_COMPLETENESS_ERROR:
        remedy = (
            "raise n_steps."
            if explanation.settings["method"] in ("integrated_gradients", "IntegratedGradients")
            else f"{explanation.settings['method']} ranks latents here, its sizes are no shares."
        )
        found.append(
            "Attributions miss the change of output by "
            f"{figures['completeness_error']:.1%}: {remedy}"
        )
    return tuple(found)
