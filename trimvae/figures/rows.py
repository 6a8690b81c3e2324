"""Rows of a table in their own units and categories, as figures and reports show them."""

from typing import Any

import torch
from torch import Tensor

from trimvae.explanation.evidence import Evidence
from trimvae.figures.drawing import feature_names
from trimvae.tables.columns import Column
from trimvae.tables.schema import TableSchema

_SURE = 0.995  # probability of a category beyond which it is not shown


def table_of(explanation: Evidence) -> TableSchema | None:
    """The columns that the code was made for; None for one that was made for tensors."""
    described = explanation.settings.get("table")
    return None if described is None else TableSchema.of_description(described)


def in_units(explanation: Evidence, rows: Tensor) -> Tensor:
    """Inputs `(..., *event)` of a table as flat rows `(..., columns)` in their own units.

    Categories stay probabilities. Of a code that was made for tensors nothing is known: its rows
    stay as they are.
    """
    flat = rows.flatten(-explanation.inputs.ndim + 1)
    schema = table_of(explanation)
    if schema is None:
        return flat
    factors, summands = (torch.tensor(part).to(flat) for part in schema.units)
    return flat * factors + summands


def amount(explanation: Evidence, place: int, value: Tensor) -> str:
    """A value in one column of a flat row in its own units.

    Of a table that the code was made for four digits, whole numbers where it holds such, and
    percent of categories; otherwise two decimals.
    """
    schema = table_of(explanation)
    if schema is None:
        return f"{round(float(value), 2) + 0.0:.2f}"
    kind = schema.kinds[place]
    if kind == "share":
        return f"{float(value):.0%}"
    return number(value.round() if kind == "integer" else value)


def number(value: Tensor | float) -> str:
    """A number of whatever size in four digits.

    Examples:
        >>> number(0.00123456), number(28098.9), number(-3.1)
        ('0.001235', '28 100', '-3.1')
    """
    shown = float(f"{float(value):.4g}") + 0.0  # adding 0 turns -0 into 0
    return f"{shown:,.0f}".replace(",", " ") if abs(shown) >= 1000 else f"{shown:.4g}"


def cells(explanation: Evidence, row: Tensor) -> list[tuple[str, str]]:
    """Each column of the table and what one input `(*event)` holds in it.

    Of a category its value; with the probability where a decoder is not sure of it.
    """
    schema = table_of(explanation)
    if schema is None:
        names = feature_names(explanation)
        values = in_units(explanation, row)
        return [
            (name, amount(explanation, place, values[place])) for place, name in enumerate(names)
        ]
    row = row.cpu()
    return [
        (column.name, _cell(column, row[place]))
        for column, place in zip(schema.columns, schema.slices.values(), strict=True)
    ]


def spans(explanation: Evidence, rows: Tensor, columns: list[int]) -> list[str]:
    """From which value to which some columns of rows `(n, *event)` go, the first to the last."""
    if table_of(explanation) is None:
        return ["" for _ in columns]
    first, *_, last = in_units(explanation, rows)
    return [
        f"{amount(explanation, place, first[place])} to {amount(explanation, place, last[place])}"
        for place in columns
    ]


def _cell(column: Column, values: Tensor) -> str:
    shown: Any = column.decode(values.double().unsqueeze(0).numpy())[0]
    if column.kind == "category":
        chance = float(values.max())
        text = "missing" if shown is None else str(shown)
        return text if chance > _SURE else f"{text} ({chance:.0%})"
    return "missing" if shown != shown else number(shown)
