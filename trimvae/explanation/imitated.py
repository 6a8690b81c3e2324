"""How well the network that a code was trained through imitates the predictor."""

from collections.abc import Mapping
from typing import Any

LEAST_IMITATED = 0.9


def imitation_agreement(settings: Mapping[str, Any]) -> float | None:
    """Share of held-out decisions that the imitation shares with the predictor.

    Args:
        settings: Of an explanation.

    Returns:
        The share; of a regression, R squared; None for a code that was trained through the
        predictor itself, or without one.

    Examples:
        >>> imitation_agreement({"training": {"imitation_agreement": 0.97}})
        0.97
    """
    training = settings.get("training")
    found = training.get("imitation_agreement") if isinstance(training, Mapping) else None
    return float(found) if isinstance(found, int | float) else None


def of_imitation(settings: Mapping[str, Any]) -> str:
    """Warn of a code that was trained through an imitation of low fidelity; else nothing.

    Args:
        settings: Of an explanation.
    """
    agreed = imitation_agreement(settings)
    if agreed is None or agreed >= LEAST_IMITATED:
        return ""
    kept = "of the outputs' variance" if settings["task"] == "regression" else "of the decisions"
    return (
        f"The code was trained through an imitation of the predictor that shares {agreed:.0%} "
        f"{kept}: it keeps what the imitation uses. The explanation asks the predictor itself. "
        "Train with more data, or through a better imitation."
    )
