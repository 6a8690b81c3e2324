"""One column of a table: what it holds, and how its values become numbers and come back."""

from typing import Any, Literal, NamedTuple, get_args

import numpy as np

Kind = Literal["number", "integer", "category"]

_Array = np.ndarray[Any, Any]

_MOST_DECIMALS = 4

_MOST_DISTINCT = 10
"""Text of up to so many different values is no identifier, however few rows there are."""


class Column(NamedTuple):
    """A column as it was in training; plain values, so that a file can hold it.

    A number takes one column of a tensor, in standard deviations from the mean; where values were
    missing in training a second one says whether it is. A category takes one for each of its
    values, of which one is 1. Missing categories are a category.
    """

    name: str
    kind: Kind
    dtype: str
    """What pandas calls it."""
    mean: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    """Lowest value in training."""
    high: float = 0.0
    """Highest value in training."""
    decimals: int | None = None
    """How many decimals numbers had in training; None for any number."""
    missing: bool = False
    """Whether numbers were missing in training."""
    categories: tuple[Any, ...] = ()
    """Values in training, in order; None for those that were missing, which comes last."""

    @property
    def width(self) -> int:
        """How many columns of a tensor it takes."""
        return len(self.categories) or 1 + self.missing

    @property
    def names(self) -> list[str]:
        """What these are called."""
        if self.kind == "category":
            return [f"{self.name} = {_shown(value)}" for value in self.categories]
        return [self.name, f"{self.name} is missing"][: self.width]

    def encode(self, values: Any) -> _Array:
        """A pandas Series `(n,)` as numbers `(n, width)`.

        Raises:
            TypeError: Values are no numbers where they were numbers in training.
            ValueError: A category is new, or a value is infinite, or missing where none was.
        """
        missing = values.isna().to_numpy(dtype=bool)
        if self.kind == "category":
            return self._one_of_each(values, missing)
        numbers = numbers_of(self.name, values)
        if bool(missing.any()) and not self.missing:
            raise ValueError(
                f"`frame` must have a number in every row of {self.name!r}, as in training. Got "
                f"{missing.sum()} missing. Fill them in, drop these rows, or train with some."
            )
        scaled = np.where(missing, 0.0, (numbers - self.mean) / self.scale)
        parts = [scaled, missing.astype(float)]
        return np.stack(parts[: self.width], axis=1)

    def decode(self, encoded: _Array, *, within_range: bool = True) -> list[Any]:
        """Numbers `(n, width)` as values: the likeliest category, a number within its range."""
        if self.kind == "category":
            return [self.categories[place] for place in encoded.argmax(axis=1)]
        numbers = encoded[:, 0] * self.scale + self.mean
        if self.decimals is not None:
            numbers = numbers.round(self.decimals)
        if within_range:
            numbers = numbers.clip(self.low, self.high)
        if self.missing:
            numbers = np.where(encoded[:, 1] > 0.5, np.nan, numbers)
        return list(numbers)

    def _one_of_each(self, values: Any, missing: _Array) -> _Array:
        known = {value: place for place, value in enumerate(self.categories)}
        pairs = zip(missing, values, strict=True)
        found = [None if gone else plain(value) for gone, value in pairs]
        new = [value for value in dict.fromkeys(found) if value not in known]
        if new:
            what = ", ".join("a missing one" if value is None else repr(value) for value in new[:3])
            shown = ", ".join(map(_shown, self.categories[:5]))
            rest = ", ..." if len(self.categories) > 5 else ""
            raise ValueError(
                f"`frame` must have categories that were seen in training in {self.name!r}: "
                f"{shown}{rest}. Got {what}. Replace them by one of these, or train with some."
            )
        return np.eye(len(known))[[known[value] for value in found]]


def column_of(name: str, values: Any, *, as_category: bool) -> Column:
    """What a column of a training table holds.

    Args:
        name: Its name.
        values: A pandas Series.
        as_category: Whether numbers stand for categories.

    Raises:
        TypeError: It holds neither numbers, truth values, text nor categories.
        ValueError: All of it is missing, a number is infinite, or nearly every text another.
    """
    dtype = values.dtype
    missing = values.isna().to_numpy(dtype=bool)
    if missing.all():
        raise ValueError(
            f"`frame` must have values in every column. Got {name!r}, which is all "
            "missing. Drop it."
        )
    kind = getattr(dtype, "kind", "O")
    if kind in "Mm":
        raise TypeError(
            f"`frame` must hold numbers, truth values, text or categories. Got {dtype} in "
            f"{name!r}. Make numbers of it first, such as years."
        )
    if kind in "iuf" and not as_category:
        return _column_of_numbers(name, values, missing, whole=kind in "iu")
    found = [plain(value) for value in values[~missing]]
    if not all(isinstance(value, str | bool | int | float) for value in found):
        raise TypeError(
            f"`frame` must hold numbers, truth values, text or categories. Got others in {name!r}. "
            "Make text or numbers of them, or drop it."
        )
    distinct = list(dict.fromkeys(found))
    if not as_category and len(distinct) > max(_MOST_DISTINCT, len(found) // 2):
        raise ValueError(
            f"`frame` must hold categories that recur. Got {name!r}, where {len(distinct)} of "
            f"{len(found)} texts differ, as of an identifier. Drop it, or group its values."
        )
    ordered = _ordered(values, distinct)
    return Column(
        name, "category", str(dtype), categories=(*ordered, *([None] if missing.any() else []))
    )


def is_column(described: object) -> bool:
    """Whether plain values of a file, by name, describe a column."""
    if not isinstance(described, dict) or described.keys() != set(Column._fields):
        return False
    texts = (described["name"], described["kind"], described["dtype"])
    numbers = [described[name] for name in ("mean", "scale", "low", "high")]
    values = described["categories"]
    return (
        all(isinstance(text, str) for text in texts)
        and described["kind"] in get_args(Kind)
        and isinstance(described["missing"], bool)
        and all(isinstance(number, int | float) and np.isfinite(number) for number in numbers)
        and described["scale"] > 0
        and described["decimals"] in (None, *range(_MOST_DECIMALS + 1))
        and isinstance(values, list)
        and all(value is None or isinstance(value, str | int | float) for value in values)
        and (described["kind"] == "category") == bool(values)
    )


def numbers_of(name: str, values: Any) -> _Array:
    """Values of a column as floats, NaN where they are missing.

    Raises:
        TypeError: They are no numbers.
        ValueError: One is infinite.
    """
    if getattr(values.dtype, "kind", "O") not in "biuf":
        text = [value for value in values.dropna() if isinstance(value, str)]
        what = f" such as {text[0]!r}" if text else ""
        raise TypeError(
            f"`frame` must hold numbers in {name!r}, as in training. Got {values.dtype}{what}. "
            "Convert them, e.g. with pandas.to_numeric."
        )
    numbers: _Array = values.to_numpy(dtype=float, na_value=np.nan)
    if bool(np.isinf(numbers).any()):
        raise ValueError(
            f"`frame` must hold finite numbers. Got infinity in {name!r}. Clip or drop these rows."
        )
    return numbers


def plain(value: Any) -> Any:
    """A NumPy scalar as one of Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def _column_of_numbers(name: str, values: Any, missing: _Array, *, whole: bool) -> Column:
    from sklearn.preprocessing import StandardScaler

    numbers = numbers_of(name, values)
    scaler = StandardScaler().fit(numbers[:, None])  # which leaves missing ones out
    known = numbers[~missing]
    return Column(
        name,
        "integer" if whole else "number",
        str(values.dtype),
        mean=float(scaler.mean_[0]),
        scale=float(scaler.scale_[0]),
        low=float(known.min()),
        high=float(known.max()),
        decimals=_decimals(known),
        missing=bool(missing.any()),
    )


def _decimals(numbers: _Array) -> int | None:
    """How many decimals numbers are given with; None where there is no end."""
    return next(
        (
            places
            for places in range(_MOST_DECIMALS + 1)
            if (numbers.round(places) == numbers).all()
        ),
        None,
    )


def _ordered(values: Any, distinct: list[Any]) -> list[Any]:
    """Categories in an order of their own where pandas knows one, else sorted."""
    if hasattr(values.dtype, "categories"):
        known = set(distinct)
        return [each for each in map(plain, values.dtype.categories) if each in known]
    return sorted(distinct, key=lambda value: (isinstance(value, str), value))


def _shown(value: Any) -> str:
    return "missing" if value is None else str(value)
