"""A latent without a predictor: what it draws, which inputs have it, and what in them makes it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attributions.checks import check_counts
from attributions.codes import Code, encode
from attributions.heatmaps import PALETTE, new_figure
from trimvae.explanation.asking import as_frozen
from trimvae.explanation.inputs import LatentMaps, most_of
from trimvae.figures.drawing import draw_image, draw_montage, short
from trimvae.figures.pixels import draw_map
from trimvae.figures.strips import moving_columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A latent is moved between these quantiles of its values, from the median of all latents.
_ENDS = (0.01, 0.99)


def plot_latent_maps(
    found: LatentMaps,
    *,
    examples: int = 4,
    n_columns: int = 10,
    name: str = "",
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw what in each input makes a latent: maps of pictures, bars of columns.

    Args:
        found: From `trimvae.explanation.inputs.explain_latent`.
        examples: Most inputs that are drawn: the first ones.
        n_columns: Most columns of a table: those of largest mean absolute attribution.
        name: Of the latent; default: its number.
        fig: Where to draw; default: a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: A count is below 1.
    """
    check_counts(examples=examples, n_columns=n_columns)
    count = min(examples, len(found.inputs))
    label = short(name or f"z{found.latent}", 14)
    images = found.inputs.ndim == 4
    figure = fig or new_figure(1.75 * count + 0.6, 4.1 if images else 0.9 + 0.26 * n_columns)
    key = "red raises it, blue lowers it" if images else "bars to the right raise it"
    title = f"What in each input makes {label}: {key}."
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    heads = [f"{value:+.2f}" for value in found.values[:count].tolist()]
    if images:
        rows = figure.subplots(2, count, squeeze=False)
        for index, head in enumerate(heads):
            draw_image(rows[0, index], found.inputs[index])
            rows[0, index].set_title(f"{label} = {head}", fontsize=8)
            draw_map(rows[1, index], found.inputs[index], found.attributions[index], True, 2)
        return figure
    panels = figure.subplots(1, count, squeeze=False, sharex=True, sharey=True)[0]
    flat = found.attributions.flatten(1).cpu()
    kept = flat.abs().mean(dim=0).argsort(descending=True)[:n_columns].tolist()
    names = found.feature_names or [f"x{index}" for index in range(flat.shape[1])]
    for axes, scores, head in zip(panels, flat, heads, strict=False):
        _draw_bars(axes, [float(scores[index]) for index in kept])
        axes.set_title(f"{label} = {head}", fontsize=8)
    panels[0].set_yticks(range(len(kept)), [short(names[index]) for index in kept])
    panels[0].invert_yaxis()
    return figure


def plot_latent(
    code: Code,
    inputs: Tensor,
    latent: int,
    *,
    frames: int = 9,
    count: int = 8,
    name: str = "",
    feature_names: Sequence[str] | None = None,
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw what a latent draws as it moves, and which inputs have most and least of it.

    The other latents rest at their medians; it moves between the 1st and the 99th percentile
    of its values. No predictor is asked. Of a table the columns that move most are drawn.

    Args:
        code: Anything with `encode` and `decode`.
        inputs: `(n, *event)`.
        latent: Index of the latent.
        frames: Values from end to end.
        count: Inputs with most, and with least.
        name: Of the latent; default: its number.
        feature_names: Columns of a table; default: `x0`, `x1` ...
        fig: Where to draw; default: a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: There is no such latent, or a count is below 1 (`frames`: below 2).
    """
    if frames < 2:
        raise ValueError(f"`frames` must be at least 2. Got {frames}. Use 9.")
    found = most_of(code, inputs, latent, count=count)
    values, decoded = _moved(code, inputs, latent, frames)
    label = short(name or f"z{latent}", 14)
    if inputs.ndim != 4:
        figure = fig or new_figure(7.0, 2.6)
        _draw_moving(figure.subplots(), values, decoded, feature_names)
    else:
        figure = fig or new_figure(8.2, 3.6)
        panels = figure.subplots(3, 1)
        ends = (float(values[0]), float(values[-1]))
        half = (ends[1] - ends[0]) / (frames - 1) / 2 or 0.5
        draw_montage(panels[0], decoded, (ends[0] - half, ends[1] + half))
        panels[0].set_xticks([ends[0], ends[1]], [f"{end:.2g}" for end in ends], fontsize=7)
        draw_montage(panels[1], inputs[found.most], (0, 1))
        draw_montage(panels[2], inputs[found.least], (0, 1))
        for panel, row in zip(panels, ("moved", "most", "least"), strict=True):
            panel.set_ylabel(row, fontsize=8, rotation=0, ha="right", va="center")
    title = f"{label}: what it draws, and the inputs that have most and least of it"
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    return figure


def _moved(code: Code, inputs: Tensor, latent: int, frames: int) -> tuple[Tensor, Tensor]:
    """Values of the latent from end to end, and what is decoded there."""
    frozen_code = as_frozen(code)
    with torch.no_grad():
        latents = encode(frozen_code, inputs.detach()).latents
        low, high = latents[:, latent].double().quantile(latents.new_tensor(_ENDS).double())
        values = torch.linspace(float(low), float(high), frames).to(latents)
        points = latents.median(dim=0).values.repeat(frames, 1)
        points[:, latent] = values
        return values, frozen_code.decode(points)


def _draw_moving(
    axes: Any, values: Tensor, decoded: Tensor, feature_names: Sequence[str] | None
) -> None:
    flat = decoded.flatten(1).cpu().float()
    names = feature_names or [f"x{index}" for index in range(flat.shape[1])]
    for colour, column in zip(PALETTE, moving_columns(decoded, 4), strict=False):
        axes.plot(values.cpu().float(), flat[:, column], color=colour, label=short(names[column]))
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set_xlabel("value of the latent", fontsize=8)
    axes.set_ylabel("decoded", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_bars(axes: Any, bars: list[float]) -> None:
    colours = [PALETTE[1 if bar > 0 else 0] for bar in bars]
    axes.barh(range(len(bars)), bars, color=colours)
    axes.axvline(0, color="0.7", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
