"""What one latent draws, in parts, beside how far the predictor uses each."""

from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attributions.checks import check_counts
from attributions.heatmaps import PALETTE, new_figure
from attributions.transforms.base import Transform
from trimvae.explanation.probing import Probing
from trimvae.explanation.within_latents import NamedTransform
from trimvae.figures.drawing import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREY = "0.75"


def plot_within(
    explanation: Probing,
    latent: int,
    *,
    transform: Transform | NamedTransform | Mapping[str, Tensor] = "bands",
    n_parts: int = 12,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw bars for each part of what a latent draws: how much is drawn, used and caused.

    Grey is the part's share of what the latent draws (by energy). Beside it are its share of the
    absolute attribution, and of the change of the outputs where it alone is changed. Coloured bars
    that are long where the grey one is short: the predictor responds to what is hardly drawn.

    Args:
        explanation: An explanation with code and predictor.
        latent: Index of the latent.
        transform: `"bands"`, `"channels"`, `"pixels"`, `"columns"`, masks by name, or a linear
            and exactly invertible one of `attributions.transforms`.
        n_parts: Most parts, those that are drawn or used most.
        ax: Where to draw; default: a new figure.

    Returns:
        The axes; `.figure` is the figure.

    Raises:
        ValueError: There is no such latent, `n_parts` is below 1, or the transform does not fit.
        RuntimeError: The explanation was loaded without code and predictor.
    """
    from matplotlib.ticker import PercentFormatter

    check_counts(n_parts=n_parts)
    found = explanation.within(latent, transform)
    shares = {"drawn (energy)": found.drawn, "used (absolute attribution)": found.used}
    if found.caused is not None:
        shares["caused (changed alone)"] = found.caused
    largest = torch.stack(list(shares.values())).amax(dim=0)
    kept = sorted(largest.argsort(descending=True)[:n_parts].tolist())
    axes = ax or new_figure(7, 1.7 + 0.22 * len(shares) * len(kept)).subplots()
    height = 0.8 / len(shares)
    colours = (_GREY, *PALETTE)
    for place, (label, values) in enumerate(shares.items()):
        offsets = [row - 0.4 + (place + 0.5) * height for row in range(len(kept))]
        widths = [float(values[part]) for part in kept]
        axes.barh(offsets, widths, height=0.9 * height, color=colours[place], label=label)
    axes.axvline(0, color="0.7", linewidth=0.8)
    axes.set_yticks(range(len(kept)), [short(found.names[part]) for part in kept])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(fill(short(found.sentence, 300), 72), loc="left", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(0, -0.12), ncols=3)
    return axes
