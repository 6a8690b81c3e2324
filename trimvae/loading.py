"""From what a user has (tensor, Dataset, DataLoader) to batches in a repeatable order."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from trimvae.data.factors import FactorData

Data = Tensor | Dataset | DataLoader


class EpochBatches(Sampler[list[int]]):
    """Batches of indices whose order depends on seed and epoch alone, shared among processes.

    Process `rank` of `world` takes every `world`-th index of each global batch, so that several
    processes together see exactly the batches that one process would.

    Args:
        length: Size of the data set.
        batch_size: Examples per process and step.
        seed: Of the shuffling.
        shuffle: Whether to shuffle; then an incomplete last batch is dropped, too.
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
            order = torch.randperm(self.length, generator=generator)
        else:
            order = torch.arange(self.length)
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

    def __init__(self, loader: DataLoader, seed: int) -> None:
        self.loader, self.seed, self.epoch = loader, seed, 0
        self.sampler = self  # where Lightning looks for set_epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that comes next (Lightning calls this)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        torch.manual_seed(mix(self.seed, self.epoch))
        yield from self.loader


class _Rows(Dataset):
    """Tensors, or images of known factors, that are indexed by a whole batch at once."""

    def __init__(self, rows: Tensor | TensorDataset | FactorData) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: list[int]) -> Tensor | tuple[Tensor, ...]:
        if isinstance(self.rows, FactorData):
            return self.rows.images_at(indices)
        return self.rows[indices]


def mix(*numbers: int) -> int:
    """One 62-bit seed of several whole numbers, such as seed and step."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = ((state ^ (number & 0xFFFFFFFFFFFFFFFF)) * 0xBF58476D1CE4E5B9) % 2**64
        state ^= state >> 31
    return state % 2**62


def loader(
    data: Data,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = True,
    rank: int = 0,
    world: int = 1,
    argument: str = "data",
) -> DataLoader:
    """Batches of a tensor or Dataset; a DataLoader is returned as it is.

    Raises:
        TypeError: `data` is none of the three.
        ValueError: `data` is empty, or `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Got {batch_size}. Use 128.")
    if not isinstance(data, Tensor | Dataset | DataLoader):
        raise TypeError(
            f"`{argument}` must be a tensor, a Dataset or a DataLoader. "
            f"Got {type(data).__name__}. Convert arrays with torch.from_numpy."
        )
    if not hasattr(data, "__len__") and not isinstance(data, DataLoader):
        return DataLoader(data, batch_size=batch_size)  # an IterableDataset: length unknown
    if _length(data) == 0:
        raise ValueError(
            f"`{argument}` must hold at least one batch. Got none. Check the folder, the split or "
            "`drop_last`."
        )
    if isinstance(data, DataLoader):
        return data
    batches = EpochBatches(
        len(data),  # type: ignore[arg-type]
        batch_size,
        seed=seed,
        shuffle=shuffle,
        rank=rank,
        world=world,
    )
    if isinstance(data, Tensor | TensorDataset | FactorData):
        return DataLoader(_Rows(data), sampler=batches, batch_size=None)
    return DataLoader(data, batch_sampler=batches)


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except TypeError:
        return None


def size_of(trainer: Any) -> int | None:
    """How many examples a Lightning trainer trains on; None where that is unknown."""
    batches = getattr(trainer, "train_dataloader", None)
    if isinstance(batches, Repeatable):
        batches = batches.loader
    return _length(getattr(batches, "dataset", None))


def inputs_of(batch: Any) -> Tensor:
    """Inputs of a batch: a tensor, the first of a tuple, or a mapping's "inputs" or "image".

    Raises:
        TypeError: The batch holds none of these.
    """
    if isinstance(batch, tuple | list) and batch:
        batch = batch[0]
    if isinstance(batch, Mapping):
        for key in ("inputs", "pixel_values", "image", "x"):
            if key in batch:
                batch = batch[key]
                break
    if not isinstance(batch, Tensor):
        raise TypeError(
            "`data` must give batches that are a tensor, a tuple with the inputs first, or a "
            f"mapping with 'inputs'. Got {type(batch).__name__}. Change its collate_fn."
        )
    return batch


def contexts_of(batch: Any) -> Tensor:
    """What a conditional prior depends on: the second of a tuple, or a mapping's "contexts".

    Raises:
        TypeError: The batch holds neither.
    """
    if isinstance(batch, tuple | list) and len(batch) > 1:
        batch = batch[1]
    elif isinstance(batch, Mapping):
        batch = batch.get("contexts")
    else:
        batch = None
    if not isinstance(batch, Tensor):
        raise TypeError(
            "`data` must give pairs of inputs and contexts to an iVAE. Got batches without "
            "contexts. Use e.g. TensorDataset(inputs, contexts)."
        )
    return batch


def first_inputs(data: DataLoader, argument: str = "data") -> Tensor:
    """Inputs of the first batch, drawn without touching torch's global generator.

    Raises:
        ValueError: The loader gives no batch at all.
    """
    state = torch.get_rng_state()
    try:
        for batch in data:
            return inputs_of(batch)
    finally:
        torch.set_rng_state(state)
    raise ValueError(
        f"`{argument}` must hold at least one batch. Got an empty loader. "
        "Check the folder, the split or `drop_last`."
    )
