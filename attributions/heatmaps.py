"""Drawing attributions; the only file that knows colours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from attributions.measures.simplicity import participation_ratio

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
    agreement: Tensor | None = None,
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
        class_names: One name per class; default: numbers.
        latent_names: One name per latent; default: `z0`, `z1` ...
        effective_latents: `(classes,)`, printed at the right end; default: the participation
            ratio of each row.
        agreement: `(classes,)`, share of decisions that survive re-encoding, printed beside it:
            the reference without which a row means little; default: not printed.
        title: Above the figure; default: none.
        label: What the colours mean, with units.
        max_classes: With more classes only those with the largest attributions are drawn.
        limit: Value of the strongest colour, to compare heatmaps; default: the largest here.
        ax: Where to draw; default: a new figure.

    Returns:
        The axes; `.figure` is the figure.

    Raises:
        ValueError: `attributions` is not a matrix, or names do not match it.
    """
    _check_matrix(attributions)
    classes, latents = attributions.shape
    class_names = _names("class_names", class_names, classes, "")
    latent_names = _names("latent_names", latent_names, latents, "z")
    if effective_latents is None:
        effective_latents = participation_ratio(attributions)
    values = attributions.detach().cpu().double().numpy()
    rows, title = _strongest(values, max_classes, title)
    values = values[rows]
    if ax is None:
        ax = new_figure(3.4 + 0.55 * latents, max(2.6, 1.5 + 0.36 * len(rows))).subplots()
    return _draw(
        ax,
        values,
        [class_names[row] for row in rows],
        latent_names,
        {
            heading: [float(column[row]) for row in rows]
            for heading, column in (
                ("effective\nlatents", effective_latents),
                ("agree-\nment", agreement),
            )
            if column is not None
        },
        (title, label),
        limit,
    )


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
    _check_matrix(attributions)
    classes, bands = attributions.shape
    class_names = _names("class_names", class_names, classes, "")
    band_names = _names("band_names", band_names, bands, "")
    values = attributions.detach().cpu().double().numpy()
    rows, title = _strongest(values, max_classes, title)
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
    names = _names("names", names, len(pictures), "")
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


def _check_matrix(attributions: Tensor) -> None:
    if attributions.ndim != 2:
        raise ValueError(
            "`attributions` must have two dimensions, classes first. "
            f"Got {tuple(attributions.shape)}. Average over the examples first."
        )


def _strongest(values: np.ndarray, max_classes: int, title: str) -> tuple[np.ndarray, str]:
    """Rows of the largest attributions in their own order, and a title that says so."""
    classes = len(values)
    if classes <= max_classes:
        return np.arange(classes), title
    rows = np.argsort(-np.nan_to_num(np.abs(values)).sum(axis=1))[:max_classes]
    return np.sort(rows), f"{title} ({max_classes} of {classes} classes)".strip()


def _names(argument: str, names: Sequence[str] | None, count: int, prefix: str) -> list[str]:
    if names is None:
        return [f"{prefix}{index}" for index in range(count)]
    if len(names) != count:
        raise ValueError(
            f"`{argument}` must have {count} entries. Got {len(names)}. Name each once."
        )
    return [str(name) for name in names]


def _draw(
    ax: "Axes",
    values: np.ndarray,
    class_names: list[str],
    latent_names: list[str],
    beside: dict[str, list[float]],
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
    for index, (heading, column) in enumerate(beside.items()):
        place = 1.01 + index * _beside_width(ax)
        style: dict[str, Any] = {"color": "0.3", "annotation_clip": False}
        ax.annotate(
            heading, (place, 1.01), xycoords="axes fraction", va="bottom", fontsize=7, **style
        )
        for row, number in enumerate(column):
            text = "" if np.isnan(number) else f"{number:.{1 if index == 0 else 2}f}"
            ax.annotate(
                text,
                (place, row),
                xycoords=ax.get_yaxis_transform(),
                va="center",
                fontsize=8,
                **style,
            )
    title, label = texts
    ax.set_title(title, loc="left", fontsize=10, pad=22)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.04 + 0.045 * len(beside))
    bar.set_label(label, fontsize=8)
    return ax


def _beside_width(ax: Any) -> float:
    """Width of a column of numbers beside the heatmap, in widths of the axes."""
    inches: float = ax.get_position().width * ax.figure.get_size_inches()[0]
    return 0.62 / max(inches, 1.0)


def _short(value: float) -> str:
    """Two digits that matter, without exponent where it can be avoided."""
    return f"{value:.1f}" if 1 <= abs(value) < 1000 else f"{value:.2g}"
