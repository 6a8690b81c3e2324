"""The overview of a report: the heatmap as a coloured table."""

from typing import Any, NamedTuple

import numpy as np

from attributions.heatmaps import DIVERGING
from trimvae.explanation.usage import Usage
from trimvae.figures.classes import row_names

# Classes with a row in the heatmap and a section of their own.
MOST_CLASSES = 30

_MOST_LATENTS = 20


class Cell(NamedTuple):
    """One number of the heatmap with its colours."""

    text: str
    background: str
    ink: str


class Row(NamedTuple):
    """One row of the heatmap."""

    name: str
    cells: list[Cell]
    effective: str
    agreement: str


def heatmap(explanation: Usage) -> dict[str, Any]:
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
    return {
        "rows": [
            Row(
                names[row],
                [_cell(float(values[row, column]), limit) for column in columns],
                f"{float(effective[row]):.1f}",
                "" if agreement is None else f"{float(agreement[row]):.2f}",
            )
            for row in rows.tolist()
        ],
        "columns": [explanation.latent_names[column] for column in columns],
        "left_out": len(present) - len(rows),
        "latents_left_out": len(explanation.latent_names) - len(columns),
        "empty": len(values) - len(present),
    }


def _cell(value: float, limit: float) -> Cell:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    red, green, blue, _ = colormaps[DIVERGING](0.5 + 0.5 * value / limit)
    light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
    text = f"{value:+.1f}" if limit >= 1 else f"{value:+.2g}"
    text = "0" if abs(value) < limit / 1000 else text
    return Cell(text, to_hex((red, green, blue)), "#111" if light else "#fff")
