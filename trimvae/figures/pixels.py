"""What in an image a latent moves, weighted by what the predictor makes of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from attributions.checks import check_counts
from attributions.heatmaps import DIVERGING, PALETTE, new_figure
from trimvae.explanation.evidence import Evidence
from trimvae.explanation.probing import Probing
from trimvae.figures.drawing import are_images, draw_image, feature_names, image_array, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_pixels(
    explanation: Probing,
    example: int = 0,
    *,
    latents: Sequence[int] | None = None,
    n_latents: int = 4,
    overlay: bool = True,
    outlier_perc: float = 2,
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw where in one input each latent's attribution acts.

    The map of a latent adds up to its attribution. Captum's `visualize_image_attr` draws it, by
    its conventions: channels are summed, and each map is scaled by its own largest values without
    `outlier_perc` of outliers. A table has bars.

    Args:
        explanation: An explanation with code and predictor.
        example: Index into the batch.
        latents: Which; default: those of largest attribution.
        n_latents: How many, where `latents` is not given.
        overlay: Blend the maps with the image; False for the maps alone.
        outlier_perc: Percent of extreme values that saturate.
        fig: Where to draw; default: a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: `example`, a latent or a count is out of range.
        RuntimeError: The explanation was loaded without code and predictor.
    """
    explanation.check_example(example)
    check_counts(n_latents=n_latents)
    scores = explanation.target_attributions[example]
    chosen = list(latents) if latents is not None else explanation.strongest(example, n_latents)
    maps = explanation.pixels(example, chosen)
    names = [f"{short(explanation.latent_names[i], 14)} ({scores[i]:+.2f})" for i in chosen]
    whole = [*maps, maps.sum(dim=0)]
    names.append("together")
    if not are_images(explanation):
        return _draw_columns(explanation, whole, names, fig)
    figure = fig or new_figure(1.75 * (len(whole) + 1), 2.5)
    axes = figure.subplots(1, len(whole) + 1, squeeze=False)[0]
    draw_image(axes[0], explanation.inputs[example])
    axes[0].set_title(f"Example {example}", fontsize=8)
    for panel, values, name in zip(axes[1:], whole, names, strict=True):
        draw_map(panel, explanation.inputs[example], values, overlay, outlier_perc)
        panel.set_title(name, fontsize=8)
    predicted = explanation.class_names[int(explanation.predicted[example])]
    figure.suptitle(
        f"Where each latent acts: red speaks for {short(predicted)}, blue against. "
        "In brackets: attribution, the sum of the map.",
        fontsize=9,
        x=0.01,
        ha="left",
    )
    return figure


def draw_map(
    panel: Any,
    image: Tensor,
    values: Tensor,
    overlay: bool,
    outlier_perc: float,
    *,
    limit: float | None = None,
) -> None:
    """Draw a signed map `(channels, height, width)` over an image, red for and blue against.

    Args:
        panel: Axes.
        image: `(channels, height, width)`.
        values: Added up over channels.
        overlay: Blend the map with the image.
        outlier_perc: Percent of extreme values that saturate.
        limit: Value of the strongest colour; default: the largest without outliers.
    """
    from captum.attr import visualization

    background = image_array(image)
    background = np.repeat(background[..., None], 3, 2) if background.ndim == 2 else background
    map_ = values.detach().cpu().float().permute(1, 2, 0).numpy()
    largest = np.abs(map_).max()
    if limit is not None:
        _draw_to_limit(panel, background, map_.sum(axis=2), overlay, limit)
        return
    if not largest:  # Captum refuses a map of zeros
        draw_image(panel, image)
        panel.set_xlabel("no effect", fontsize=8)
        return
    visualization.visualize_image_attr(
        map_ / largest,
        background,
        method="blended_heat_map" if overlay else "heat_map",
        sign="all",
        plt_fig_axis=(panel.figure, panel),
        outlier_perc=outlier_perc,
        cmap=DIVERGING,
        alpha_overlay=0.7,
        use_pyplot=False,
    )


def _draw_to_limit(panel: Any, background: Any, values: Any, overlay: bool, limit: float) -> None:
    """As Captum blends, but with a scale that other maps share."""
    if overlay:
        panel.imshow(np.mean(background, axis=2), cmap="gray", vmin=0, vmax=1)
    shown = {"vmin": -(limit or 1.0), "vmax": limit or 1.0, "alpha": 0.7 if overlay else 1}
    panel.imshow(values, cmap=DIVERGING, **shown)
    panel.set_xticks([])
    panel.set_yticks([])


def _draw_columns(
    explanation: Evidence, maps: list[Tensor], names: list[str], fig: "Figure | None"
) -> "Figure":
    """The same for a table: bars for the columns with the largest parts."""
    columns = feature_names(explanation)
    strength = maps[-1].flatten().abs() + sum(part.flatten().abs() for part in maps[:-1])
    kept = strength.argsort(descending=True)[:12].tolist()
    figure = fig or new_figure(2.6 + 1.7 * len(maps), 1.3 + 0.24 * len(kept))
    axes = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
    places = range(len(kept))
    for panel, values, name in zip(axes, maps, names, strict=True):
        bars = [float(values.flatten()[index]) for index in kept]
        colours = [PALETTE[1 if value > 0 else 0] for value in bars]
        panel.barh(places, bars, color=colours)
        panel.axvline(0, color="0.7", linewidth=0.8)
        panel.set_title(name, fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=7)
    axes[0].set_yticks(places, [short(columns[index]) for index in kept])
    axes[0].invert_yaxis()
    figure.supxlabel("part of the attribution that acts through the column", fontsize=8)
    return figure
