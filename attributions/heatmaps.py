"""Drawing attributions; the only file that knows colours."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
from attributions.measures.simplicity import participation_ratio
from attributions.naming import drawable

# Blue and orange-red stay apart for every common colour blindness; white is 0.
DIVERGING = "RdBu_r"

# Okabe and Ito's palette, safe for colour-blind readers.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


_MOST_BELOW = 14  # characters of a latent's name, which stands below a column
_MOST_NUMBERS = 400  # cells, beyond which none is written out


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
    slopes: Tensor | None = None,
    doubtful: Tensor | None = None,
    title: str = "",
    label: str = "mean attribution",
    note: str = "",
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
        slopes: `(classes, latents)`, how the output changes with the latent: beside a number, ▲
            where more of it speaks for the class and ▼ where less does; default: not drawn.
        doubtful: `(classes,)`, rows that explain nothing, such as those of low agreement: they are
            drawn in grey; default: none.
        title: Above the figure; default: none.
        label: What the colours mean, with units.
        note: A sentence under the figure; default: none.
        max_classes: With more classes only those with the largest attributions are drawn.
        limit: Value of the strongest colour: to compare heatmaps, or the whole change of output,
            beside which one cell may be little; default: the largest here.
        ax: Where to draw; default: a new figure.

    Returns:
        The axes; `.figure` is the figure.

    Raises:
        ValueError: `attributions` is not a matrix, or names do not match it.
    """
    check_matrix(attributions)
    classes, latents = attributions.shape
    class_names = names_of("class_names", class_names, classes, "")
    latent_names = names_of("latent_names", latent_names, latents, "z", _MOST_BELOW)
    if effective_latents is None:
        effective_latents = participation_ratio(attributions)
    values = attributions.detach().cpu().double().numpy()
    rows, title = strongest_rows(values, max_classes, title)
    values = values[rows]
    longest = max((len(class_names[row]) for row in rows), default=0)
    room = 0.1 * max(0, longest - 6)  # inches, beside what short names need
    if ax is None:
        width = 3.4 + 0.55 * latents + room
        ax = new_figure(width, max(2.6, 1.5 + 0.36 * len(rows))).subplots()
    limit = limit or float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    image = _draw_cells(ax, values, _rows_of(doubtful, rows), limit)
    if values.size <= _MOST_NUMBERS:
        _write_numbers(ax, values, _rows_of(slopes, rows), limit)
    crowded = max(map(len, latent_names), default=0) > _MOST_BELOW // 2
    ax.set_xticks(range(latents), latent_names, fontsize=6 if crowded else None)
    ax.set_yticks(range(len(rows)), [class_names[row] for row in rows])
    ax.set_xlabel("latent")
    _write_note(ax, note, room)
    ax.set_ylabel("class")
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    columns = {"effective\nlatents": effective_latents, "agree-\nment": agreement}
    beside = {name: _rows_of(column, rows) for name, column in columns.items()}
    shown = {name: column for name, column in beside.items() if column is not None}
    _write_beside(ax, shown)
    ax.set_title(title, loc="left", fontsize=10, pad=22)
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.05, pad=0.04 + 0.045 * len(shown))
    bar.set_label(label, fontsize=8)
    return ax


def check_matrix(attributions: Tensor) -> None:
    """Raise a ValueError unless attributions are `(classes, latents)`."""
    if attributions.ndim != 2:
        raise ValueError(
            "`attributions` must have two dimensions, classes first. "
            f"Got {tuple(attributions.shape)}. Average over the examples first."
        )


def strongest_rows(values: np.ndarray, max_classes: int, title: str) -> tuple[np.ndarray, str]:
    """Rows of the largest attributions in their own order, and a title that says so."""
    classes = len(values)
    if classes <= max_classes:
        return np.arange(classes), title
    rows = np.argsort(-np.nan_to_num(np.abs(values)).sum(axis=1))[:max_classes]
    return np.sort(rows), f"{title} ({max_classes} of {classes} classes)".strip()


def names_of(
    argument: str, names: Sequence[str] | None, count: int, prefix: str, length: int = 22
) -> list[str]:
    """Return names as they are drawn, cut to a length, or a prefix with numbers.

    Raises:
        ValueError: There are more or fewer than `count`.
    """
    if names is None:
        return [f"{prefix}{index}" for index in range(count)]
    if len(names) != count:
        raise ValueError(
            f"`{argument}` must have {count} entries. Got {len(names)}. Name each once."
        )
    return [drawable(str(name), length) for name in names]


def _rows_of(values: Tensor | None, rows: np.ndarray) -> np.ndarray | None:
    return None if values is None else values.detach().cpu().double().numpy()[rows]


def _draw_cells(
    ax: "Axes", values: np.ndarray, doubtful: np.ndarray | None, limit: float
) -> "AxesImage":
    """Draw the colours; rows that are doubtful in grey, so that nobody reads them for evidence."""
    from matplotlib import colormaps

    colours = colormaps[DIVERGING].with_extremes(bad="lightgrey")
    shown = np.ma.masked_invalid(values)
    options: dict[str, Any] = {"vmin": -limit, "vmax": limit, "aspect": "auto"}
    image = ax.imshow(shown, cmap=colours, **options)
    if doubtful is not None and doubtful.any():
        grey = np.abs(np.ma.masked_array(values, np.isnan(values) | (doubtful[:, None] == 0)))
        ax.imshow(grey, cmap="Greys", **{**options, "vmin": 0, "vmax": 2 * limit})
    return image


def _write_numbers(ax: "Axes", values: np.ndarray, slopes: np.ndarray | None, limit: float) -> None:
    """Write what is not small into its cell, with the direction where it is known."""
    for (row, column), value in np.ndenumerate(values):
        if abs(value) >= 0.05 * limit:
            text = _short(value)
            if slopes is not None and slopes[row, column]:
                text += "▲" if slopes[row, column] > 0 else "▼"
            colour = "white" if abs(value) > 0.6 * limit else "black"
            ax.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)


def _write_note(ax: "Axes", note: str, room: float) -> None:
    """Write a sentence below, as wide as the heatmap and what stands beside it."""
    width = _inches(ax) + 1.6 - room
    ax.annotate(
        textwrap.fill(note, max(40, int(width * 15))),
        (0, 0),
        xycoords="axes fraction",
        xytext=(0, -34),
        textcoords="offset points",
        va="top",
        fontsize=7.5,
        color="0.3",
        annotation_clip=False,
    )


def _write_beside(ax: "Axes", columns: dict[str, np.ndarray]) -> None:
    """Write columns of numbers at the right end of the rows."""
    style: dict[str, Any] = {"color": "0.3", "annotation_clip": False}
    for index, (heading, column) in enumerate(columns.items()):
        place = 1.01 + index * _beside_width(ax)
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


def _beside_width(ax: Any) -> float:
    """Width of a column of numbers beside the heatmap, in widths of the axes."""
    return 0.62 / max(_inches(ax), 1.0)


def _inches(ax: Any) -> float:
    width: float = ax.get_position().width * ax.figure.get_size_inches()[0]
    return width


def _short(value: float) -> str:
    """Two digits that matter, without exponent where it can be avoided; one of what is small."""
    if 0 < abs(value) < 0.01:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.1f}" if 1 <= abs(value) < 1000 else f"{value:.2g}"
