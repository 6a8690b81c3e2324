"""The overview of a report: the heatmap as a coloured table."""

from typing import Any, NamedTuple

import numpy as np

from attributions.heatmaps import DIVERGING
from trimvae.explanation.trust import Weighed
from trimvae.figures.classes import row_names

# Classes with a row in the heatmap and a section of their own.
MOST_CLASSES = 30

_MOST_LATENTS = 20

# Of the largest number: smaller ones have no arrow, as in figures.
_LEAST_ARROW = 0.05

# The luminance on which black and white ink have the same contrast, 4.58.
_MIDDLE = (1.05 * 0.05) ** 0.5 - 0.05


class Cell(NamedTuple):
    """One number of the heatmap with its colours."""

    text: str
    """The number, and ▲ where more of the latent speaks for the class, ▼ where less does."""
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


def heatmap(explanation: Weighed) -> dict[str, Any]:
    """Mean attributions to the predicted classes as a coloured table.

    The classes of largest attributions and the most used latents, both in their own order, with
    how many were left out.
    """
    attributions, effective = explanation.by_predicted_class
    names, agreement = row_names(explanation), explanation.agreement_by_class
    values = attributions.cpu().double().numpy()
    present = np.flatnonzero(~np.isnan(values).all(axis=1))
    strength = np.nansum(np.abs(values[present]), axis=1)
    rows = np.sort(present[np.argsort(-strength)[:MOST_CLASSES]])
    columns = explanation.shares.argsort(descending=True)[:_MOST_LATENTS].sort().values.tolist()
    limit = float(np.nanmax(np.abs(values[rows]), initial=0.0)) or 1.0
    slopes = explanation.slopes.expand(len(values), -1).cpu().double().numpy()
    doubtful = explanation.doubtful_classes
    return {
        "rows": [
            Row(
                names[row],
                [_cell(float(values[row, j]), float(slopes[row, j]), limit) for j in columns],
                f"{float(effective[row]):.1f}",
                "" if agreement is None else f"{float(agreement[row]):.2f}",
                doubtful is not None and bool(doubtful[row]),
            )
            for row in rows.tolist()
        ],
        "columns": [explanation.latent_names[column] for column in columns],
        "left_out": len(present) - len(rows),
        "latents_left_out": len(explanation.latent_names) - len(columns),
        "empty": len(values) - len(present),
    }


def _cell(value: float, slope: float, limit: float) -> Cell:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    background = colormaps[DIVERGING](0.5 + 0.5 * value / limit)[:3]
    text = f"{value:+.1f}" if limit >= 1 else f"{value:+.2g}"
    if abs(value) >= _LEAST_ARROW * limit and slope:
        text += " ▲" if slope > 0 else " ▼"
    text = "0" if abs(value) < limit / 1000 else text
    return Cell(text, to_hex(background), "#000" if _luminance(*background) > _MIDDLE else "#fff")


def _luminance(*channels: float) -> float:
    """Relative luminance of red, green and blue from 0 to 1, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))
