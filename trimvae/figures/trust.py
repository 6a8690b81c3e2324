"""How far an explanation can be trusted, at a glance."""

from typing import TYPE_CHECKING, NamedTuple

from attributions.heatmaps import PALETTE, new_figure
from trimvae.trust import (
    LEAST_AGREEMENT,
    LEAST_LATENT_SHARE,
    LEAST_MONOTONICITY,
    MOST_COMPLETENESS_ERROR,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from trimvae.evaluation import Evaluation
    from trimvae.explanation import Explanation


class Check(NamedTuple):
    """One trust figure beside the bound from which it can be relied on."""

    name: str
    value: float
    """Between 0, useless, and 1, perfect."""
    bound: float
    passed: bool
    meaning: str


def checks(explanation: "Explanation") -> list[Check]:
    """Fidelity, completeness, latent share and monotonicity with their bounds, in plain words.

    The bounds are those of the explanation's warnings.
    """
    figures = explanation.metrics
    regression = explanation.task == "regression"
    found = [
        (
            "agreement",
            figures["agreement"],
            LEAST_AGREEMENT,
            "share of the outputs' variance that survives encoding and decoding"
            if regression
            else "decisions that survive encoding and decoding",
        ),
        (
            "completeness",
            1 - figures["completeness_error"],
            1 - MOST_COMPLETENESS_ERROR,
            "how much of the change of output the attributions add up to",
        ),
        (
            "latent share",
            figures["latent_share"],
            LEAST_LATENT_SHARE,
            "evidence that the latents carry; the rest is the residual's",
        ),
    ]
    if "monotonicity" in figures:
        found.append(
            (
                "monotonicity",
                figures["monotonicity"],
                LEAST_MONOTONICITY,
                "1 where no latent's contribution turns back on the way from the baseline",
            )
        )
    return [
        Check(name, min(max(value, 0.0), 1.0), bound, value >= bound, meaning)
        for name, value, bound, meaning in found
    ]


def plot_trust(
    explanation: "Explanation",
    evaluation: "Evaluation | None" = None,
    *,
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw fidelity, completeness, latent share and monotonicity beside their bounds.

    With an evaluation also what moving latents shows: flips by the best latents beside flips by
    random ones, deletion and insertion between random order (0) and greedy oracle (1).

    Args:
        explanation: An explanation.
        evaluation: Of the same code and predictor, from `trimvae.evaluate`.
        fig: Where to draw; a new figure without it.

    Returns:
        The figure.
    """
    asked = {} if evaluation is None else evaluation.metrics
    flips = sum(name.startswith("flip_at_") and not name.endswith("random") for name in asked)
    orders = [name for name in ("deletion_score", "insertion_score") if name in asked]
    panels = 1 + bool(flips) + bool(orders)
    figure = fig or new_figure((4.8, 7.6, 9.8)[panels - 1], 2.7)
    axes = figure.subplots(1, panels, squeeze=False, width_ratios=[2.0, 1.3, 1.0][:panels])[0]
    found = checks(explanation)
    places = range(len(found))
    colours = [PALETTE[2] if check.passed else PALETTE[1] for check in found]
    axes[0].barh(places, [check.value for check in found], color=colours, height=0.6)
    for place, check in enumerate(found):
        axes[0].plot([check.bound] * 2, [place - 0.42, place + 0.42], color="black", linewidth=1.5)
        mark = "" if check.passed else "  (below the bound)"
        axes[0].text(
            0.02, place, f"{check.value:.3f}{mark}", va="center", fontsize=8, color="white"
        )
    axes[0].set_yticks(places, [check.name for check in found], fontsize=9)
    axes[0].invert_yaxis()
    axes[0].set_xlim(0, 1)
    axes[0].set_title("trust (black: the bound)", fontsize=9, loc="left")
    if flips:
        counts = range(1, flips + 1)
        best = [asked[f"flip_at_{count}"] for count in counts]
        random = [asked[f"flip_at_{count}_random"] for count in counts]
        axes[1].plot(counts, best, "o-", color=PALETTE[0], label="best latents")
        axes[1].plot(counts, random, "s--", color="0.5", label="random latents")
        axes[1].set_xticks(counts)
        axes[1].set_ylim(0, 1.02)
        axes[1].set_xlabel("latents moved")
        axes[1].set_title("decisions that flip", fontsize=9, loc="left")
        axes[1].legend(fontsize=7, frameon=False)
    if orders:
        axes[-1].bar(
            range(len(orders)), [asked[name] for name in orders], color=PALETTE[0], width=0.5
        )
        axes[-1].set_xticks(range(len(orders)), [name.split("_")[0] for name in orders])
        axes[-1].axhline(0, color="0.5", linestyle="--", linewidth=1)
        axes[-1].axhline(1, color="black", linewidth=1)
        axes[-1].set_ylim(min(0, *[asked[name] for name in orders]) - 0.05, 1.08)
        axes[-1].set_title("0 random, 1 oracle", fontsize=9, loc="left")
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    return figure
