"""A table as it was in training: rows as a tensor, and a tensor as rows."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trimvae.tables.columns import Column, column_of, is_column
from trimvae.tables.observing import Layout

if TYPE_CHECKING:
    import pandas as pd


class TableSchema:
    """What the columns of a table hold, and how its rows become a tensor and come back.

    Numbers are scaled to mean 0 and deviation 1 of the training table; a category is one column
    for each of its values. It is made of plain values, which a file can hold.

    Args:
        columns: In the order of the table.

    Raises:
        ValueError: There is no column, or two have one name.

    Examples:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"age": [20, 30, 70], "job": ["nurse", "clerk", "nurse"]})
        >>> schema = TableSchema.of(frame)
        >>> schema.feature_names
        ['age', 'job = clerk', 'job = nurse']
        >>> schema.to_frame(schema.encode(frame)).equals(frame)
        True
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        names = self.names
        if not names or len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(
                "`frame` must have columns of different names. Got "
                f"{f'{twice[0]!r} twice' if twice else 'none'}. Rename or add some."
            )

    @classmethod
    def of(cls, frame: "pd.DataFrame", *, categories: Sequence[str] = ()) -> "TableSchema":
        """Return the schema of a training table, without its labels.

        Args:
            frame: Numbers, truth values, text, categories; missing values in some rows.
            categories: Columns of numbers that stand for categories, such as codes; default: none.

        Raises:
            TypeError: It is no DataFrame, or a column holds dates or other objects.
            ValueError: A column is all missing, has infinite numbers, is an identifier or has
                another's name; there are no rows; or `categories` names no column.
        """
        check_frame(frame)
        names = [str(name) for name in frame.columns]
        unknown = [name for name in categories if name not in names]
        if unknown:
            raise ValueError(
                f"`categories` must name columns of the table. Got {unknown[0]!r}. "
                f"Choose from {', '.join(names[:8])}."
            )
        return cls(
            [
                column_of(name, frame.iloc[:, place], as_category=name in categories)
                for place, name in enumerate(names)
            ]
        )

    @property
    def names(self) -> list[str]:
        """Columns of the table."""
        return [column.name for column in self.columns]

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Where each column of the table is in a tensor."""
        ends = np.cumsum([column.width for column in self.columns]).tolist()
        starts = [0, *ends[:-1]]
        return {
            name: slice(start, end)
            for name, start, end in zip(self.names, starts, ends, strict=True)
        }

    @property
    def width(self) -> int:
        """Columns of a tensor."""
        return sum(column.width for column in self.columns)

    @property
    def feature_names(self) -> list[str]:
        """What these are called: `age`, `age is missing`, `job = nurse`."""
        return [name for column in self.columns for name in column.names]

    @cached_property
    def layout(self) -> Layout:
        """Which columns of a tensor are numbers, indicators and categories."""
        placed = list(zip(self.columns, self.slices.values(), strict=True))
        numbers = [(column, place) for column, place in placed if column.kind != "category"]
        return Layout(
            tuple(place.start for _, place in numbers),
            tuple((place.start, place.start + 1) for column, place in numbers if column.missing),
            tuple((place.start, place.stop) for column, place in placed if column.categories),
        )

    @property
    def missing_categories(self) -> list[int]:
        """Columns of a tensor that say of a category that it is missing."""
        return [
            self.slices[column.name].stop - 1
            for column in self.columns
            if column.categories and column.categories[-1] is None
        ]

    @property
    def kinds(self) -> list[str]:
        """What each column of a tensor is: `"number"`, `"integer"` or the `"share"` of a value."""
        return [
            column.kind if column.kind != "category" and not place else "share"
            for column in self.columns
            for place in range(column.width)
        ]

    @property
    def units(self) -> tuple[list[float], list[float]]:
        """Factor and summand of each column of a tensor that lead back to its own unit."""
        factors, summands = [1.0] * self.width, [0.0] * self.width
        for column, place in zip(self.columns, self.slices.values(), strict=True):
            if column.kind != "category":
                factors[place.start], summands[place.start] = column.scale, column.mean
        return factors, summands

    def encode(self, frame: "pd.DataFrame") -> Tensor:
        """Rows as a tensor `(n, width)` in torch's default precision.

        Args:
            frame: Columns of the training table, in any order.

        Raises:
            TypeError: It is no DataFrame, or a column holds no numbers where it did in training.
            ValueError: Columns differ from those in training, a category is new, or a number is
                infinite, or missing where none was.
        """
        check_frame(frame)
        found = [str(name) for name in frame.columns]
        self._check_names(found)
        parts = [column.encode(frame.iloc[:, found.index(column.name)]) for column in self.columns]
        return torch.from_numpy(np.concatenate(parts, axis=1)).to(torch.get_default_dtype())

    def to_frame(
        self, rows: Tensor, index: Any = None, *, within_range: bool = True
    ) -> "pd.DataFrame":
        """A tensor `(n, width)` as rows in their own units and categories.

        Decoded rows are rows: of a category the likeliest value, numbers with as many decimals as
        in training, whole ones with none, and none beyond the range in training.

        Args:
            rows: `(n, width)`.
            index: Of the DataFrame; default: 0, 1, 2 ...
            within_range: Whether numbers are kept within their range in training.

        Raises:
            ValueError: The tensor has another shape.
        """
        import pandas as pd

        if rows.ndim != 2 or rows.shape[1] != self.width:
            raise ValueError(
                f"`rows` must have shape (n, {self.width}). Got {tuple(rows.shape)}. Pass what "
                "encode or a VAE's decode returns."
            )
        array = rows.detach().cpu().double().numpy()
        columns = {}
        for column, place in zip(self.columns, self.slices.values(), strict=True):
            values = column.decode(array[:, place], within_range=within_range)
            columns[column.name] = _series(values, column)
        frame = pd.DataFrame(columns)
        return frame if index is None else frame.set_axis(index, axis=0)

    def hard(self, rows: Tensor, *, within_range: bool = True) -> Tensor:
        """The nearest rows that a table can hold: `to_frame`, and back.

        Args:
            rows: `(n, width)`.
            within_range: Whether numbers are kept within their range in training.

        Returns:
            `(n, width)`, without gradient.
        """
        hard = rows.detach().clone()
        for column, place in zip(self.columns, self.slices.values(), strict=True):
            if column.kind == "category":
                hard[:, place] = F.one_hot(rows[:, place].argmax(1), column.width).to(rows)
                continue
            values = rows[:, place.start] * column.scale + column.mean
            if column.decimals is not None:
                values = values.round(decimals=column.decimals)
            if within_range:
                values = values.clip(column.low, column.high)
            hard[:, place.start] = (values - column.mean) / column.scale
            if column.missing:
                hard[:, place.start + 1] = (rows[:, place.start + 1] > 0.5).to(rows)
                hard[:, place.start] *= 1 - hard[:, place.start + 1]
        return hard

    @property
    def description(self) -> list[dict[str, Any]]:
        """Plain values that make it again."""
        return [
            {**column._asdict(), "categories": list(column.categories)} for column in self.columns
        ]

    @classmethod
    def of_description(cls, description: Iterable[Mapping[str, Any]]) -> "TableSchema":
        """Return the schema that has this description."""
        return cls(
            [Column(**{**each, "categories": tuple(each["categories"])}) for each in description]
        )

    def _check_names(self, found: Sequence[str]) -> None:
        """Refuse columns that differ from those in training."""
        missing = [name for name in self.names if name not in found]
        more = [name for name in found if name not in self.names or found.count(name) > 1]
        if missing or more:
            what = [f"without {', '.join(map(repr, missing[:5]))}"] if missing else []
            if more:
                what.append(f"with {', '.join(map(repr, dict.fromkeys(more[:5])))} besides")
            raise ValueError(
                f"`frame` must have the {len(self.names)} columns that it had in training. Got one "
                f"{' and '.join(what)}. Pass frame[code.schema.names], or rename its columns."
            )


def is_description(described: object, width: int) -> bool:
    """Whether plain values of a file describe a table that is a tensor of so many columns."""
    if not isinstance(described, list) or not all(is_column(each) for each in described):
        return False
    names = {each["name"] for each in described}
    return (
        bool(names)
        and len(names) == len(described)
        and width == sum(len(each["categories"]) or 1 + each["missing"] for each in described)
    )


def check_frame(frame: Any) -> None:
    """Raise an error unless this is a DataFrame with rows."""
    if not is_frame(frame):
        raise TypeError(
            f"`frame` must be a pandas DataFrame. Got {type(frame).__name__}. Use VAE.dense for "
            "tensors and arrays of numbers."
        )
    if not len(frame):
        raise ValueError("`frame` must have rows. Got none. Check how it was read or filtered.")


def is_frame(values: object) -> bool:
    """Whether this is a pandas DataFrame, which is not imported to know it."""
    return hasattr(values, "columns") and hasattr(values, "iloc")


def _series(values: list[Any], column: Column) -> Any:
    """Values as a column of the kind that they were of."""
    import pandas as pd

    if column.dtype != "category":
        return pd.Series(values, dtype=column.dtype)
    known = [value for value in column.categories if value is not None]
    return pd.Series(pd.Categorical(values, categories=known))
