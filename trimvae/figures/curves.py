"""Curves over training, and over the weight of a penalty."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attributions.heatmaps import PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_history(
    history: Sequence[Mapping[str, float]],
    names: Sequence[str] | None = None,
    *,
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw what `trimvae.fit` returned: each figure over the epochs, in a panel of its own.

    Args:
        history: One mapping per epoch.
        names: Which figures; default: all. A figure and its `validation_` twin share a panel.
        fig: Where to draw; default: a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: The history is empty, or a name is not in it.
    """
    if not history:
        raise ValueError("`history` must have at least one epoch. Got none. Train first.")
    chosen = _chosen(history, names)
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = fig or new_figure(3.2 * columns, 2.1 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for panel in grid.flat[len(chosen) :]:
        panel.set_axis_off()
    for panel, name in zip(grid.flat, chosen, strict=False):
        _draw_history(panel, history, name)
    grid.flat[0].legend(fontsize=7, frameon=False)
    figure.supxlabel("epoch", fontsize=9)
    return figure


def _chosen(history: Sequence[Mapping[str, float]], names: Sequence[str] | None) -> list[str]:
    """Names of the panels, without `validation_`."""
    known = dict.fromkeys(name for epoch in history for name in epoch if name != "epoch")
    roots = list(dict.fromkeys(name.removeprefix("validation_") for name in known))
    chosen = roots if names is None else list(names)
    unknown = [name for name in chosen if name not in roots]
    if unknown or not chosen:
        raise ValueError(f"`names` must be among {roots}. Got {unknown}. Choose from the history.")
    return chosen


def _draw_history(panel: Any, history: Sequence[Mapping[str, float]], name: str) -> None:
    """Draw a figure and its `validation_` twin."""
    for key, label, colour in (
        (name, "training", PALETTE[0]),
        (f"validation_{name}", "validation", PALETTE[1]),
    ):
        points = [(index, epoch[key]) for index, epoch in enumerate(history) if key in epoch]
        if points:
            panel.plot(*zip(*points, strict=True), ".-", color=colour, label=label)
    panel.set_title(name.replace("_", " "), fontsize=9, loc="left")
    panel.tick_params(labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)
    panel.xaxis.get_major_locator().set_params(integer=True)


def plot_trade_off(
    points: Mapping[str, Mapping[str, float]],
    *,
    x: str = "effective_latents",
    y: str = "agreement",
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw one trust figure against another for several codes or weights, in their order.

    Args:
        points: For each name, its `Explanation.metrics`.
        x: The figure across.
        y: The figure upwards.
        ax: Where to draw; default: a new figure.

    Returns:
        The axes; `.figure` is the figure.

    Raises:
        ValueError: There are no points, or one lacks a figure.
    """
    for name, figures in points.items():
        missing = {x, y} - set(figures)
        if missing:
            raise ValueError(
                f"`points` must hold {x!r} and {y!r} each. Got {name!r} without "
                f"{sorted(missing)}. Pass Explanation.metrics."
            )
    if not points:
        raise ValueError("`points` must hold at least one code. Got none. Explain one first.")
    if ax is None:
        ax = new_figure(4.6, 3.4).subplots()
    across, up = ([figures[name] for figures in points.values()] for name in (x, y))
    ax.plot(across, up, "o-", color=PALETTE[0], linewidth=0.8)
    for name, place in zip(points, zip(across, up, strict=True), strict=True):
        ax.annotate(name, place, xytext=(5, 5), textcoords="offset points", fontsize=8)
    ax.set_xlabel(x.replace("_", " "))
    ax.set_ylabel(y.replace("_", " "))
    ax.margins(0.15)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
