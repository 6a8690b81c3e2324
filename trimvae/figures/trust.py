"""How far an explanation can be trusted, at a glance."""

from collections.abc import Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

from attributions.heatmaps import PALETTE, new_figure
from trimvae.evaluation.result import Evaluation
from trimvae.explanation.redrawn import (
    LEAST_DIRECTION,
    LEAST_DRAWN_VARIANCE,
    LEAST_REREAD,
    LEAST_STRENGTH,
    LEAST_WEAKEST_STRENGTH,
)
from trimvae.explanation.trust import (
    LEAST_AGREEMENT,
    LEAST_LATENT_SHARE,
    LEAST_MONOTONICITY,
    MOST_CLASS_DEPENDENCE,
    MOST_COMPLETENESS_ERROR,
    Weighed,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_REDRAWN = {
    "drawn_variance": (
        "drawn",
        LEAST_DRAWN_VARIANCE,
        "how much of what differs between inputs the code draws",
    ),
    "reread": (
        "read again",
        LEAST_REREAD,
        "how much of a used latent the encoder reads again from what the decoder draws",
    ),
    "strength_correlation": (
        "strength",
        LEAST_STRENGTH,
        "whether re-encoding keeps how strong the evidence is, and not the class alone",
    ),
    "weakest_strength": (
        "strength in each class",
        LEAST_WEAKEST_STRENGTH,
        "the same in the class where it is lowest",
    ),
    "direction": (
        "direction",
        LEAST_DIRECTION,
        "1 where more of a latent means the same in every example; low where latents act together",
    ),
}
"""Of each figure its name in a picture, its bound and its meaning."""


class Check(NamedTuple):
    """One trust figure beside the bound from which it can be relied on."""

    name: str
    value: float
    """Between 0, useless, and 1, perfect."""
    bound: float
    passed: bool
    meaning: str


def checks(explanation: Weighed) -> list[Check]:
    """Fidelity, completeness, latent share, monotonicity, beyond the class, inputs drawn again.

    With their bounds, those of the explanation's warnings, and in plain words. What is not defined,
    as monotonicity where no latent moves anything, is left out.
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
    if explanation.judges_classes:
        found.append(
            (
                "beyond the class",
                1 - figures["class_dependence"],
                1 - MOST_CLASS_DEPENDENCE,
                "how far the class does not tell which latent is strongest; 0 where each class has "
                "an axis of its own",
            )
        )
    return [
        Check(name, min(max(value, 0.0), 1.0), bound, value >= bound, meaning)
        for name, value, bound, meaning in found
        if not isnan(value)
    ] + _of_redrawn(explanation)


def _of_redrawn(explanation: Weighed) -> list[Check]:
    """What is left of inputs that are drawn and read again, where it was asked."""
    found = []
    for key, (name, bound, meaning) in _REDRAWN.items():
        added_back = key == "drawn_variance" and explanation.settings["residual"]
        if key in explanation.redrawn and not added_back:
            value = min(max(explanation.redrawn[key].value, 0.0), 1.0)
            found.append(Check(name, value, bound, value >= bound, meaning))
    return found


def plot_trust(
    explanation: Weighed,
    evaluation: Evaluation | None = None,
    *,
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw fidelity, completeness, latent share and monotonicity beside their bounds.

    Where there are classes and examples enough, also how far the class does not tell the strongest
    latent, and, where it was asked, what is left of inputs that are drawn and read again. With an
    evaluation also what moving latents shows: flips by the best latents beside flips by random
    ones, deletion and insertion between random order (0) and greedy oracle (1).

    Args:
        explanation: An explanation.
        evaluation: Of the same code and predictor, from `trimvae.evaluate`; default: none.
        fig: Where to draw; default: a new figure.

    Returns:
        The figure.
    """
    asked = {} if evaluation is None else evaluation.metrics
    flips = sum(name.startswith("flip_at_") and not name.endswith("random") for name in asked)
    orders = {
        name.split("_")[0]: asked[name]
        for name in ("deletion_score", "insertion_score")
        if name in asked
    }
    panels = 1 + bool(flips) + bool(orders)
    checked = checks(explanation)
    figure = fig or new_figure((4.8, 7.6, 9.8)[panels - 1], max(2.7, 0.8 + 0.34 * len(checked)))
    axes = figure.subplots(1, panels, squeeze=False, width_ratios=[2.0, 1.3, 1.0][:panels])[0]
    _draw_checks(axes[0], checked)
    if flips:
        _draw_flips(axes[1], asked, flips)
    if orders:
        _draw_orders(axes[-1], orders)
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_checks(axes: Any, found: Sequence[Check]) -> None:
    """Draw a bar for each figure and a black line at its bound."""
    places = range(len(found))
    colours = [PALETTE[2] if check.passed else PALETTE[1] for check in found]
    axes.barh(places, [check.value for check in found], color=colours, height=0.6)
    for place, check in enumerate(found):
        axes.plot([check.bound] * 2, [place - 0.42, place + 0.42], color="black", linewidth=1.5)
        mark = "" if check.passed else "  (below the bound)"
        text = f"{check.value:.3f}{mark}"
        axes.text(0.02, place, text, va="center", fontsize=8, color="white")
    axes.set_yticks(places, [check.name for check in found], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_title("trust (black: the bound)", fontsize=9, loc="left")


def _draw_flips(axes: Any, asked: Mapping[str, float], most: int) -> None:
    """Draw the decisions that moving the best latents flips, beside random ones."""
    counts = range(1, most + 1)
    best = [asked[f"flip_at_{count}"] for count in counts]
    random = [asked[f"flip_at_{count}_random"] for count in counts]
    axes.plot(counts, best, "o-", color=PALETTE[0], label="best latents")
    axes.plot(counts, random, "s--", color="0.5", label="random latents")
    axes.set_xticks(counts)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("latents moved")
    axes.set_title("decisions that flip", fontsize=9, loc="left")
    axes.legend(fontsize=7, frameon=False)


def _draw_orders(axes: Any, orders: Mapping[str, float]) -> None:
    """Draw deletion and insertion between a random order and the greedy oracle."""
    axes.bar(range(len(orders)), list(orders.values()), color=PALETTE[0], width=0.5)
    axes.set_xticks(range(len(orders)), list(orders))
    axes.axhline(0, color="0.5", linestyle="--", linewidth=1)
    axes.axhline(1, color="black", linewidth=1)
    axes.set_ylim(min(0, *orders.values()) - 0.05, 1.08)
    axes.set_title("0 random, 1 oracle", fontsize=9, loc="left")
