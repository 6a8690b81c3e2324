"""Batches in an order that depends on seed and epoch alone."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset, default_collate

from attributions.saying import said_of
from trimvae.data.factors import FactorData


def mix(*numbers: int) -> int:
    """One 62-bit seed of several whole numbers, such as seed and step."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = ((state ^ (number & 0xFFFFFFFFFFFFFFFF)) * 0xBF58476D1CE4E5B9) % 2**64
        state ^= state >> 31
    return state % 2**62


def collated(examples: list[Any]) -> Any:
    """Examples as one batch, by torch's `default_collate`.

    Raises:
        TypeError: They hold something else than numbers.
        ValueError: They have several shapes.
    """
    try:
        return default_collate(examples)
    except TypeError as error:
        found = re.search(r"found <class '(?:\w+\.)*(\w+)'>", str(error))
        if found is None:
            raise
        raise TypeError(
            f"`data` must give examples of numbers. Got {found[1]}. Turn them into tensors, e.g. "
            "by a transform of the data set."
        ) from error
    except RuntimeError as error:
        if "equal size" not in str(error):
            raise
        shapes = re.findall(r"\[[\d, ]*\]", str(error))
        raise ValueError(
            f"`data` must give examples of one shape. Got {' and '.join(shapes)}. Resize or crop "
            "them, e.g. by a transform of the data set."
        ) from error


class Numbered(NamedTuple):
    """A batch and the numbers of its examples in the data set."""

    rows: Any
    """What the data set gives: inputs, or a tuple with the inputs first."""
    numbers: "np.ndarray[Any, Any]"
    """`(batch,)`; an array, since a trainer would move a tensor to its device."""


class Rows(Dataset[Any]):
    """Tensors, or images of known factors, that are indexed by a whole batch at once."""

    def __init__(self, rows: Tensor | TensorDataset | FactorData) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: list[int]) -> Tensor | tuple[Tensor, ...]:
        if isinstance(self.rows, FactorData):
            return self.rows.images_at(indices)
        return self.rows[indices]


class WithNumbers(Dataset[Any]):
    """A data set whose examples come with their numbers."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, number: Any) -> Any:
        return Numbered(self.data[number], np.asarray(number))

    @staticmethod
    def collate(examples: Sequence[Numbered]) -> Numbered:
        """Join examples into a batch."""
        rows = collated([example.rows for example in examples])
        return Numbered(rows, np.stack([example.numbers for example in examples]))


class EpochBatches(Sampler[list[int]]):
    """Batches of indices whose order depends on seed and epoch alone, shared among processes.

    Process `rank` of `world` takes every `world`-th index of each global batch, so that several
    processes together see exactly the batches that one process would.

    Args:
        length: Size of the data set.
        batch_size: Examples per process and step.
        seed: Of the shuffling.
        shuffle: Whether to shuffle; then an incomplete last batch is dropped as well.
        rank: This process.
        world: Number of processes.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.length, self.batch_size, self.seed, self.shuffle = length, batch_size, seed, shuffle
        self.rank, self.world, self.epoch = rank, world, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next (Lightning calls this)."""
        self.epoch = epoch

    def __len__(self) -> int:
        size = self.batch_size * self.world
        if self.shuffle and self.length >= size:
            return self.length // size
        return -(-self.length // size)

    def __iter__(self) -> Iterator[list[int]]:
        if self.shuffle:
            generator = torch.Generator().manual_seed(mix(self.seed, self.epoch))
            order = torch.randperm(self.length, generator=generator, device="cpu")
        else:
            order = torch.arange(self.length, device="cpu")
        size = self.batch_size * self.world
        for batch in list(order.split(size))[: len(self)]:
            if len(batch) % self.world:  # the last one: every process needs as many
                batch = torch.cat([batch, order[: self.world - len(batch) % self.world]])
            yield batch[self.rank :: self.world].tolist()


class Repeatable:
    """A user's loader that draws the same in the same epoch, whatever was drawn before.

    Args:
        loader: Shuffles, if at all, with torch's global generator.
        seed: Of every epoch, together with its number.
    """

    def __init__(self, loader: DataLoader[Any], seed: int) -> None:
        self.loader, self.seed, self.epoch = loader, seed, 0
        self.sampler = self  # where Lightning looks for set_epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that comes next (Lightning calls this)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        torch.manual_seed(mix(self.seed, self.epoch))
        yield from noted(self.loader, self.loader.dataset)


def noted(batches: Iterable[Any], data: object) -> Iterator[Any]:
    """Give batches one by one; what a data set of the caller's own raises says whose it is.

    Args:
        batches: Read from `data`.
        data: The data set itself.

    Examples:
        >>> [batch + 1 for batch in noted([1, 2], data=[1, 2])]
        [2, 3]
    """
    if isinstance(data, WithNumbers):
        data = data.data
    if isinstance(data, Rows | FactorData | TensorDataset):  # whose errors are ours and torch's
        yield from batches
        return
    with said_of("data", data):
        yield from batches
