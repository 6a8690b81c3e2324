"""Drawing attributions; the only file that knows colours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from attributions.measures import participation_ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Blue and orange-red stay apart for every common colour blindness; white is 0.
DIVERGING = "RdBu_r"
# Okabe and Ito's palette, safe for colour-blind readers.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def new_figure(width: float, height: float) -> "Figure":
    """Return a figure that belongs to no window: works without display, never shown by itself."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plot_heatmap(
    attributions: Tensor,
    *,
    class_names: Sequence[str] | None = None,
    latent_names: Sequence[str] | None = None,
    effective_latents: Tensor | None = None,
    title: str = "",
    label: str = "mean attribution",
    max_classes: int = 30,
    limit: float | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw classes x latents as a signed heatmap, 0 in the middle, effective latents beside it.

    Args:
        attributions: `(classes, latents)`, such as the mean over the images of each class.
            Rows of NaN (a class without images) stay grey.
        class_names: One name per class; numbers without it.
        latent_names: One name per latent; `z0`, `z1` ... without it.
        effective_latents: `(classes,)`, printed at the right end; the participation ratio of
            each row without it.
        title: Above the figure.
        label: What the colours mean, with units.
        max_classes: With more classes only those with the largest attributions are drawn.
        limit: Value of the strongest colour, to compare heatmaps; the largest here without it.
        ax: Where to draw; a new figure without it.

    Returns:
        The axes; `.figure` is the figure.

    Raises:
        ValueError: `attributions` is not a matrix, or names do not match it.
    """
    if attributions.ndim != 2:
        raise ValueError(
            "`attributions` must have shape (classes, latents). "
            f"Got {tuple(attributions.shape)}. Average over the examples first."
        )
    classes, latents = attributions.shape
    class_names = _names("class_names", class_names, classes, "")
    latent_names = _names("latent_names", latent_names, latents, "z")
    if effective_latents is None:
        effective_latents = participation_ratio(attributions)
    values = attributions.detach().cpu().double().numpy()
    rows = np.arange(classes)
    if classes > max_classes:
        strongest = np.argsort(-np.nan_to_num(np.abs(values)).sum(axis=1))[:max_classes]
        rows = np.sort(strongest)
        title = f"{title} ({max_classes} of {classes} classes)".strip()
    values = values[rows]
    if ax is None:
        ax = new_figure(3.4 + 0.55 * latents, max(2.6, 1.5 + 0.36 * len(rows))).subplots()
    return _draw(
        ax,
        values,
        [class_names[row] for row in rows],
        latent_names,
        [float(effective_latents[row]) for row in rows],
        (title, label),
        limit,
    )


def _names(argument: str, names: Sequence[str] | None, count: int, prefix: str) -> list[str]:
    if names is None:
        return [f"{prefix}{index}" for index in range(count)]
    if len(names) != count:
        raise ValueError(
            f"`{argument}` must have {count} entries. Got {len(names)}. Name each once."
        )
    return [str(name) for name in names]


def _draw(
    ax: Any,
    values: np.ndarray,
    class_names: list[str],
    latent_names: list[str],
    effective: list[float],
    texts: tuple[str, str],
    limit: float | None,
) -> "Axes":
    from matplotlib import colormaps

    limit = limit or float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    colours = colormaps[DIVERGING].with_extremes(bad="lightgrey")
    image = ax.imshow(
        np.ma.masked_invalid(values), cmap=colours, vmin=-limit, vmax=limit, aspect="auto"
    )
    if values.size <= 400:
        for (row, column), value in np.ndenumerate(values):
            if abs(value) >= 0.05 * limit:
                colour = "white" if abs(value) > 0.6 * limit else "black"
                ax.text(
                    column, row, _short(value), ha="center", va="center", fontsize=7, color=colour
                )
    ax.set_xticks(range(len(latent_names)), latent_names)
    ax.set_yticks(range(len(class_names)), class_names)
    ax.set_xlabel("latent")
    ax.set_ylabel("class")
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for row, count in enumerate(effective):
        ax.text(
            1.01,
            row,
            "" if np.isnan(count) else f"{count:.1f}",
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color="0.3",
        )
    ax.text(
        1.01,
        1.01,
        "effective\nlatents",
        transform=ax.transAxes,
        va="bottom",
        fontsize=7,
        color="0.3",
    )
    title, label = texts
    ax.set_title(title, loc="left", fontsize=10, pad=22)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.12)
    bar.set_label(label, fontsize=8)
    return ax


def _short(value: float) -> str:
    """Two digits that matter, without exponent where it can be avoided."""
    return f"{value:.1f}" if 1 <= abs(value) < 1000 else f"{value:.2g}"
