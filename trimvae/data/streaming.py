"""Data that need not fit in memory, in pieces of consecutive examples."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from trimvae.data.batches import collated
from trimvae.data.factors import FactorData
from trimvae.data.loading import gives_batches, inputs_of

# Examples of a stream that are joined at once.
_JOINED = 64


class Piece(NamedTuple):
    """Some consecutive examples."""

    number: int
    """Of the piece: 0, 1 ..."""
    start: int
    """Number of its first example."""
    stop: int
    """Number of the first one after it."""
    rows: Any
    """`(examples, *event)`, a tensor, array or table; None of a piece that was not wanted."""


class Source(Protocol):
    """Data as pieces: what `source_of` returns."""

    length: int | None
    """How many examples there are; None of a stream."""

    def first(self) -> Any:
        """A few of the first examples, `(few, *event)`; none are lost by looking."""
        ...

    def pieces(self, size: int, wanted: Callable[[int], bool]) -> Iterator[Piece]:
        """Every piece in order: of `size` examples, the last of what is left.

        Args:
            size: Examples of a piece.
            wanted: Says by its number whether a piece is read. A stream is run through, for what
                is not wanted as well.
        """
        ...


def source_of(data: Any, *, batched: bool | None = None) -> Source:
    """Read anything that gives examples, a piece at a time.

    Args:
        data: Tensor, NumPy array (also memory-mapped) or DataFrame `(n, *event)`; anything with a
            length that is indexed by number (a `Dataset`, also Hugging Face's); or an iterable (an
            `IterableDataset`, a `DataLoader`, WebDataset's loader). Of a tuple the inputs come
            first, of a mapping they are `"inputs"`, `"pixel_values"`, `"image"` or `"x"`.
        batched: Whether an iterable gives batches, rather than examples; default: all but an
            `IterableDataset` do, and WebDataset's loader, which is one.

    Raises:
        TypeError: `data` is none of these.

    Examples:
        >>> import torch
        >>> source = source_of(torch.arange(5.0))
        >>> [piece.rows.tolist() for piece in source.pieces(2, lambda number: number != 1)
        ...  if piece.rows is not None]
        [[0.0, 1.0], [4.0]]
    """
    loader = isinstance(data, DataLoader | IterableDataset)
    if not loader and hasattr(data, "__len__") and hasattr(data, "__getitem__"):
        return _Indexed(data)
    if not hasattr(data, "__iter__"):
        raise TypeError(
            "`data` must be a tensor, array, table, Dataset or an iterable of batches. Got "
            f"{type(data).__name__}. Convert it, e.g. with torch.tensor."
        )
    if batched is None:
        batched = not isinstance(data, IterableDataset) or gives_batches(data)
    return _Streamed(data if batched else _joined(data))


class _Indexed:
    """Examples that are had by their numbers: those of other pieces are never read."""

    def __init__(self, data: Any) -> None:
        self.data = data
        self.length: int | None = len(data)

    def first(self) -> Any:
        return self._rows(0, min(8, len(self.data))) if len(self.data) else torch.empty(0)

    def pieces(self, size: int, wanted: Callable[[int], bool]) -> Iterator[Piece]:
        for number, start in enumerate(range(0, len(self.data), size)):
            stop = min(start + size, len(self.data))
            rows = self._rows(start, stop) if wanted(number) else None
            yield Piece(number, start, stop, rows)

    def _rows(self, start: int, stop: int) -> Any:
        data = self.data
        if isinstance(data, Tensor | np.ma.MaskedArray) or hasattr(data, "to_numpy"):
            return data[start:stop]
        if isinstance(data, np.ndarray):
            return np.array(data[start:stop])  # of a memory map these rows alone
        if isinstance(data, FactorData):
            return data.images_at(range(start, stop))
        if isinstance(data, TensorDataset):
            return data[start:stop][0]
        return inputs_of(collated([data[index] for index in range(start, stop)]))


class _Streamed:
    """Batches of any sizes, of which pieces are cut."""

    length: int | None = None

    def __init__(self, batches: Iterable[Any]) -> None:
        self._rest = iter(batches)
        self._seen: list[Any] = []

    def first(self) -> Any:
        if not self._seen:
            self._seen = list(itertools.islice(self._rest, 1))
        return inputs_of(self._seen[0])[:8] if self._seen else torch.empty(0)

    def pieces(self, size: int, wanted: Callable[[int], bool]) -> Iterator[Piece]:
        number, count = 0, 0
        kept: list[Tensor] = []
        for batch in itertools.chain(self._seen, self._rest):
            rows = inputs_of(batch)
            while len(rows):
                taken, rows = rows[: size - count], rows[size - count :]
                count += len(taken)
                if wanted(number):
                    kept.append(taken)
                if count == size:
                    yield _piece(number, size, count, kept)
                    number, count, kept = number + 1, 0, []
        if count:
            yield _piece(number, size, count, kept)


def _piece(number: int, size: int, count: int, kept: list[Tensor]) -> Piece:
    start = number * size
    return Piece(number, start, start + count, torch.cat(kept) if kept else None)


def _joined(examples: Iterable[Any]) -> Iterator[Any]:
    """Examples of a stream in batches."""
    rest = iter(examples)
    while some := list(itertools.islice(rest, _JOINED)):
        yield collated(some)
