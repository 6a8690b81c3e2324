"""Drawing codes that need no training: curves over bands, and what each latent adds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from attributions.heatmaps import (
    DIVERGING,
    PALETTE,
    check_matrix,
    names_of,
    new_figure,
    strongest_rows,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_bands(
    attributions: Tensor,
    *,
    class_names: Sequence[str] | None = None,
    band_names: Sequence[str] | None = None,
    title: str = "",
    label: str = "mean attribution",
    max_classes: int = 7,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw one curve per class over ordered bands: frequencies, wavelet levels.

    Args:
        attributions: `(classes, bands)`, such as `transform.by_group(...)` averaged over examples.
        class_names: One name per class; default: numbers.
        band_names: One name per band; default: numbers.
        title: Above the figure; default: none.
        label: What is drawn, with units.
        max_classes: With more classes only those with the largest attributions are drawn.
        ax: Where to draw; default: a new figure.

    Returns:
        The axes; `.figure` is the figure.

    Raises:
        ValueError: `attributions` is not a matrix, or names do not match it.
    """
    check_matrix(attributions)
    classes, bands = attributions.shape
    class_names = names_of("class_names", class_names, classes, "")
    band_names = names_of("band_names", band_names, bands, "")
    values = attributions.detach().cpu().double().numpy()
    rows, title = strongest_rows(values, max_classes, title)
    if ax is None:
        ax = new_figure(max(4.5, 1.5 + 0.28 * bands), 3.2).subplots()
    ax.axhline(0, color="0.7", linewidth=0.8)
    for index, row in enumerate(rows):
        ax.plot(
            values[row],
            marker="o",
            markersize=3,
            color=PALETTE[index % len(PALETTE)],
            linestyle=("-", "--")[index // len(PALETTE) % 2],
            label=class_names[row],
        )
    step = max(1, bands // 16)
    ax.set_xticks(range(0, bands, step), band_names[::step])
    ax.set_xlabel("band")
    ax.set_ylabel(label)
    ax.set_title(title, loc="left", fontsize=10)
    if len(rows) > 1:
        ax.legend(title="class", fontsize=8, frameon=False, ncols=2 if len(rows) > 4 else 1)
    return ax


def plot_basis(
    pictures: Tensor, *, names: Sequence[str] | None = None, columns: int = 5
) -> "Figure":
    """Draw what one unit of each latent adds: parts, components, frequencies, wavelets.

    Args:
        pictures: `(n, channels, height, width)`, of which channels are averaged, or `(n, length)`.
        names: One name per picture, such as "part3 (+4.1)"; default: numbers.
        columns: Pictures in a row.

    Returns:
        The figure; every picture has its own scale, 0 in the middle.

    Raises:
        ValueError: Pictures have another shape, or names do not match.
    """
    if pictures.ndim not in (2, 4) or len(pictures) == 0:
        raise ValueError(
            "`pictures` must have shape (n, channels, height, width) or (n, length). "
            f"Got {tuple(pictures.shape)}. Stack transform.basis(latent) for some latents."
        )
    names = names_of("names", names, len(pictures), "")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = new_figure(1.5 * columns, 1.7 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(pictures) :]:
        axes.set_axis_off()
    for axes, picture, name in zip(grid.flat, pictures, names, strict=False):
        values = picture.detach().cpu().double().numpy()
        limit = float(np.abs(values).max()) or 1.0
        if picture.ndim == 3:
            axes.imshow(values.mean(axis=0), cmap=DIVERGING, vmin=-limit, vmax=limit)
        else:
            axes.plot(values, color=PALETTE[0], linewidth=1)
            axes.set_ylim(-1.1 * limit, 1.1 * limit)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(name, fontsize=8)
    return figure
