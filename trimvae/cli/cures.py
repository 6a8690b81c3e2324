"""What to do next where a run's explanation cannot be trusted: its cure rather than its report."""

from collections.abc import Mapping

from trimvae.cli.settings import Settings
from trimvae.explanation.trust import Weighed

# Nats below which a code has hardly begun to say anything of its inputs.
_LITTLE = 1.0

_PARTS = ("mutual_information", "total_correlation", "dimension_wise_kl")

_LARGE = 100.0  # weight of the prediction loss, beyond which more of it changes little


def cure(explanation: Weighed, metrics: Mapping[str, float], settings: Settings) -> str:
    """Say how to train instead, where fidelity is out of its bounds; nothing where it is within.

    A code that says next to nothing of its inputs needs more steps; one that does, a larger
    prediction loss; and where that is large already, more latents.

    Args:
        explanation: Of the run.
        metrics: Of the run; of a VAE with the three parts of its KL, in nats.
        settings: What the run was trained with.
    """
    if not explanation.doubt:
        return ""
    if explanation.nothing_changes:
        return f"check the classifier: {explanation.doubt}"
    kl = sum(metrics[name] for name in _PARTS) if set(_PARTS) <= set(metrics) else None
    if kl is not None and kl < _LITTLE:
        return (
            f"train longer, --resume --epochs {4 * settings.epochs}: the code says next to nothing "
            f"of its inputs yet (KL {kl:.2f} nats)"
        )
    weight = settings.prediction_weight or 0.0
    if weight < _LARGE:
        return (
            f"train again with --prediction-weight {max(5 * weight, 20):g} --overwrite: "
            f"{explanation.doubt}"
        )
    latents = 2 * len(explanation.latent_names)
    return f"train again with --latent-size {latents} --overwrite: {explanation.doubt}"
