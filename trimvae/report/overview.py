"""The overview of a report: the heatmap as a coloured table."""

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

from attributions.heatmaps import DIVERGING
from trimvae.explanation.trust import Weighed
from trimvae.figures.classes import row_names, row_slopes

# Classes with a row in the heatmap and a section of their own.
MOST_CLASSES = 30

MOST_LATENTS = 20

# Of the largest number: smaller ones have no arrow, as in figures.
_LEAST_ARROW = 0.05

# The luminance on which black and white ink have the same contrast, 4.58.
_MIDDLE = (1.05 * 0.05) ** 0.5 - 0.05


class Cell(NamedTuple):
    """One number of the heatmap with its colours."""

    text: str
    """The number, and ▲ where more of the latent speaks for the class, ▼ where less does; a dash
    for a class that is never predicted."""
    background: str
    ink: str


class Row(NamedTuple):
    """One row of the heatmap."""

    name: str
    cells: list[Cell]
    effective: str
    agreement: str
    doubtful: bool
    """Whether its examples are often decided otherwise when re-encoded."""


class Shown(NamedTuple):
    """Which part of a heatmap is shown, and which number has the strongest colour."""

    rows: list[int]
    columns: list[int]
    limit: float


def shown_part(explanation: Weighed) -> Shown:
    """The classes of largest attributions and the most used latents, both in their own order."""
    values = mean_attributions(explanation)
    present = np.flatnonzero(~np.isnan(values).all(axis=1))
    strength = np.nansum(np.abs(values[present]), axis=1)
    rows = np.sort(present[np.argsort(-strength)[:MOST_CLASSES]])
    columns = explanation.shares.argsort(descending=True)[:MOST_LATENTS].sort().values.tolist()
    return Shown(rows.tolist(), columns, float(np.nanmax(np.abs(values[rows]), initial=0.0)) or 1.0)


def mean_attributions(explanation: Weighed) -> "np.ndarray[Any, Any]":
    """`(rows, latents)`, of each predicted class; NaN where a class is never predicted."""
    values: np.ndarray[Any, Any] = explanation.by_predicted_class[0].cpu().double().numpy()
    return values


def heatmap(explanation: Weighed, part: Shown | None = None) -> dict[str, Any]:
    """Mean attributions to the predicted classes as a coloured table.

    Args:
        explanation: An explanation.
        part: What of it is shown; default: the classes of largest attributions and the most used
            latents, with how many were left out.
    """
    values, effective = mean_attributions(explanation), explanation.by_predicted_class[1]
    names, agreement = row_names(explanation), explanation.agreement_by_class
    present = ~np.isnan(values).all(axis=1)
    rows, columns, limit = part or shown_part(explanation)
    slopes = row_slopes(explanation.slopes, len(values)).cpu().double().numpy()
    doubtful = explanation.doubtful_classes
    return {
        "rows": [
            Row(
                names[row],
                [_cell(float(values[row, j]), float(slopes[row, j]), limit) for j in columns],
                "" if effective[row].isnan() else f"{float(effective[row]):.1f}",
                "" if agreement is None or not present[row] else f"{float(agreement[row]):.2f}",
                doubtful is not None and bool(doubtful[row]),
            )
            for row in rows
        ],
        "columns": [explanation.latent_names[column] for column in columns],
        "left_out": int(present.sum()) - int(present[rows].sum()),
        "latents_left_out": len(explanation.latent_names) - len(columns),
        "empty": int((~present).sum()),
    }


@cache
def _colours() -> "Colormap":
    from matplotlib import colormaps

    return colormaps[DIVERGING]  # a copy at every look


def _cell(value: float, slope: float, limit: float) -> Cell:
    from matplotlib.colors import to_hex

    if np.isnan(value):
        return Cell("\N{EN DASH}", "transparent", "inherit")
    background = _colours()(0.5 + 0.5 * value / limit)[:3]
    text = f"{value:+.1f}" if limit >= 1 else f"{value:+.2g}"
    if abs(value) >= _LEAST_ARROW * limit and slope:
        text += " ▲" if slope > 0 else " ▼"
    text = "0" if abs(value) < limit / 1000 else text
    return Cell(text, to_hex(background), "#000" if _luminance(*background) > _MIDDLE else "#fff")


def _luminance(*channels: float) -> float:
    """Relative luminance of red, green and blue from 0 to 1, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))
