"""A table of the user's own, from a CSV file."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trimvae.data.splits import Split, split
from trimvae.tables.schema import TableSchema

if TYPE_CHECKING:
    import pandas as pd

_MOST_CLASSES = 100
_ENCODING = "utf-8-sig"  # with the mark that Excel puts first, or without
_SEPARATORS = {";": "semicolons", "\t": "tabs"}


def csv_table(
    path: str | Path,
    *,
    label: str | None = None,
    schema: TableSchema | None = None,
    test_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """Read a CSV file with a header: numbers, text as categories, empty cells as missing.

    What the columns hold is taken from all rows, so that a rare category of a held-out row is
    known; the code is trained on the training rows alone.

    Args:
        path: The file, in UTF-8.
        label: Column of the classes, which is taken off. Numbers that are no classes, such as
            prices, are taken off as well, and there are no labels then; default: no such column.
        schema: Of a code that was trained already; default: that of this file.
        test_share: Share held out.
        seed: Of that split.

    Returns:
        Rows as a code of `VAE.table` takes them, labels as class numbers, names of the classes in
        order, and the schema.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: A column holds no numbers where it did in training.
        ValueError: The file is no table, or has no such column; a label is missing, or they are
            all the same; or a column cannot be encoded.
    """
    frame = _read(Path(path))
    if label is not None and label not in frame:
        raise ValueError(
            f"`label` must be a column of {path}. Got {label!r}; it has "
            f"{', '.join(map(str, frame.columns[:8]))}. Check the spelling and the header."
        )
    try:
        return _parts(frame, label, schema, test_share, seed)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{error} (In {path}.)") from error


def _parts(
    frame: "pd.DataFrame",
    label: str | None,
    schema: TableSchema | None,
    test_share: float,
    seed: int,
) -> Split:
    labels, names = None, None
    if label is not None:
        labels, names = _classes(frame[label], label)
        frame = frame.drop(columns=label)
    schema = schema or TableSchema.of(frame)
    parts = split(schema.encode(frame), labels, test_share=test_share, seed=seed, class_names=names)
    return parts._replace(feature_names=tuple(schema.feature_names), schema=schema)


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a .csv file. Got {path}, which does not exist.")
    try:
        with path.open(encoding=_ENCODING, newline="") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            cells = len(header)
            uneven = next((n for n, row in enumerate(lines, 1) if len(row) not in (0, cells)), None)
        frame: pd.DataFrame = pd.read_csv(path, encoding=_ENCODING)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError, csv.Error) as error:
        raise ValueError(
            f"`path` must be a table in CSV. Got {path} ({error}). Write it with a header, commas "
            "and as many cells in every row."
        ) from error
    others = [name for mark, name in _SEPARATORS.items() if len(header) == 1 and mark in header[0]]
    if others:
        raise ValueError(
            f"`path` must part cells by commas. Got {path}, whose header holds {others[0]}. "
            "Write it with commas, and decimals with points."
        )
    if list(map(str, frame.columns)) != header:  # pandas gives names of its own to the rest
        raise ValueError(
            f"`path` must name every column, and each another way. Got {path}, whose header is "
            f"{header}. Give the columns names."
        )
    if uneven is not None:  # pandas fills them up, or takes the first column for names
        raise ValueError(
            f"`path` must have as many cells in every row as the header has, {cells}. Got {path}, "
            f"where row {uneven} has another number. Mend the file."
        )
    return frame


def _classes(values: Any, label: str) -> tuple[Tensor | None, tuple[str, ...] | None]:
    """Class numbers and names; neither, of a quantity."""
    if values.isna().any():
        raise ValueError(
            f"`label` must be known in every row. Got {int(values.isna().sum())} missing in "
            f"{label!r}. Drop these rows."
        )
    found = sorted(values.unique().tolist(), key=lambda value: (isinstance(value, str), value))
    quantity = values.dtype.kind in "if" and (
        len(found) > _MOST_CLASSES or any(value != int(value) for value in found)
    )
    if quantity:
        return None, None
    if not 2 <= len(found) <= _MOST_CLASSES:
        raise ValueError(
            f"`label` must tell 2 to {_MOST_CLASSES} classes. Got {len(found)} values in "
            f"{label!r}. Name the column of the classes."
        )
    numbers = {value: number for number, value in enumerate(found)}
    return torch.tensor([numbers[value] for value in values.tolist()]), tuple(map(str, found))
