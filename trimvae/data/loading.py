"""From what a user has (tensor, array, Dataset, DataLoader) to batches in a repeatable order."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from attributions.placement import made_on
from trimvae.data.batches import EpochBatches, Repeatable, Rows, WithNumbers, collated, noted
from trimvae.data.factors import FactorData

if TYPE_CHECKING:
    import pandas as pd

    Array: TypeAlias = Tensor | np.ndarray[Any, Any] | pd.DataFrame | pd.Series[Any]
    Data: TypeAlias = Array | Dataset[Any] | DataLoader[Any]
else:  # pandas is slow to import, and not needed to know its tables
    Array: TypeAlias = Any
    Data: TypeAlias = Any


def as_tensor(values: Array, argument: str = "inputs") -> Tensor:
    """Return a tensor as it is, and an array or table of numbers as a tensor.

    Floating-point numbers get torch's default dtype; whole numbers and booleans keep theirs. The
    tensor may share an array's memory: it is to be read.

    Args:
        values: Tensor, NumPy array, pandas `DataFrame` `(n, columns)` or `Series` `(n,)`.
        argument: Its name in an error.

    Returns:
        A tensor of the same shape.

    Raises:
        TypeError: It is none of these, holds text, dates or other objects, masks numbers, or is
            sparse.

    Examples:
        >>> as_tensor(np.array([[0.5, 2.0]]))
        tensor([[0.5000, 2.0000]])
    """
    if isinstance(values, Tensor):
        if values.layout != torch.strided:
            raise TypeError(
                f"`{argument}` must be a dense tensor. Got the layout {values.layout}. "
                "Call its to_dense()."
            )
        return values
    if hasattr(values, "to_numpy"):
        array = _numbers_of(values, argument)
    elif isinstance(values, np.ndarray):
        array = values
    else:
        raise _not_data(argument, type(values).__name__)
    if np.ma.is_masked(array):
        raise TypeError(
            f"`{argument}` must hold numbers everywhere. Got an array that masks "
            f"{np.ma.getmaskarray(array).sum()} of them. Fill them, e.g. with filled(0), or leave "
            "out their rows."
        )
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"`{argument}` must hold numbers. Got an array of {array.dtype}. "
            "Encode text and dates as numbers first."
        )
    # torch reads neither another byte order nor negative strides, and warns of read-only memory.
    array = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
    if array.dtype.itemsize > 8:  # numbers that are longer than torch's
        array = array.astype(np.float64)
    tensor = torch.from_numpy(array)
    return tensor.to(torch.get_default_dtype()) if array.dtype.kind == "f" else tensor


def as_data(data: Data, argument: str = "data") -> "Tensor | Dataset[Any] | DataLoader[Any]":
    """Return a Dataset or DataLoader as it is, and an array or table as a tensor.

    Anything else with a length that is indexed by number is a data set as well, such as Hugging
    Face's; but no list, whose examples nobody has checked.

    Raises:
        TypeError: `data` is none of these, or holds no numbers.
    """
    if isinstance(data, Dataset | DataLoader):
        return data
    known = isinstance(data, Sequence | Mapping | np.ndarray | Tensor)
    if not known and not hasattr(data, "to_numpy") and hasattr(data, "__getitem__"):
        indexed: Any = data
        return indexed  # type: ignore[no-any-return]
    if not (isinstance(data, Tensor | np.ndarray) or hasattr(data, "to_numpy")):
        kinds = ", pandas DataFrame, Dataset or DataLoader"
        raise _not_data(argument, type(data).__name__, kinds)
    return as_tensor(data, argument)


def check_order(data: object, **beside: object) -> None:
    """Raise a ValueError where something is given, row by row, beside a loader that shuffles."""
    given = [name for name, values in beside.items() if values is not None]
    if given and isinstance(data, DataLoader) and _shuffles(data):
        raise ValueError(
            f"`data` must come in the order of `{given[0]}`. Got a DataLoader that shuffles. "
            "Make it with shuffle=False."
        )


def _shuffles(batches: DataLoader[Any]) -> bool:
    kinds = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
    samplers = (batches.sampler, getattr(batches.batch_sampler, "sampler", None))
    # That of several processes says whether it does.
    return any(isinstance(one, kinds) or getattr(one, "shuffle", False) for one in samplers)


def _numbers_of(table: Any, argument: str) -> np.ndarray[Any, Any]:
    """Values of a pandas table; missing ones are NaN."""
    columns = table.dtypes.items() if hasattr(table, "columns") else [(table.name, table.dtype)]
    kinds = {str(name): getattr(dtype, "kind", "O") for name, dtype in columns}
    wrong = [name for name, kind in kinds.items() if kind not in "biuf"]
    if wrong:
        raise TypeError(
            f"`{argument}` must hold numbers. Got other values in {', '.join(wrong[:5])}"
            f"{', ...' if len(wrong) > 5 else ''}. Encode or drop these columns first."
        )
    array = np.asarray(table.to_numpy())
    # Several kinds of numbers side by side, and pandas' own of missing ones, become objects.
    return array if array.dtype.kind != "O" else table.to_numpy(dtype=float, na_value=np.nan)


def _not_data(argument: str, got: str, rest: str = " or pandas DataFrame") -> TypeError:
    return TypeError(
        f"`{argument}` must be a tensor, NumPy array{rest}. Got {got}. "
        "Convert it, e.g. with torch.tensor."
    )


def loader(
    data: Data,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool = True,
    rank: int = 0,
    world: int = 1,
    argument: str = "data",
    numbered: bool = False,
) -> DataLoader[Any]:
    """Batches of a tensor, array, table or Dataset; a DataLoader is returned as it is.

    `numbered` gives `Numbered` batches, of data that have a length and are no DataLoader.

    Raises:
        TypeError: `data` is none of these.
        ValueError: `data` is empty, or `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1. Got {batch_size}. Use 128.")
    batch_size, data = int(batch_size), as_data(data, argument)
    if not hasattr(data, "__len__") and not isinstance(data, DataLoader):
        # An IterableDataset, whose length is not known.
        if gives_batches(data):
            return Loader(data, batch_size=None, collate_fn=_as_given)
        return Loader(data, batch_size=batch_size, collate_fn=collated)
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
        rows = Rows(data)
        whole: Dataset[Any] = WithNumbers(rows) if numbered else rows
        return Loader(whole, sampler=batches, batch_size=None, collate_fn=_as_given)
    if numbered:
        each = WithNumbers(data)
        return Loader(each, batch_sampler=batches, collate_fn=WithNumbers.collate)
    return Loader(data, batch_sampler=batches, collate_fn=collated)


class Loader(DataLoader[Any]):
    """A DataLoader that draws its seed on the CPU, whatever torch's default device is."""

    def __iter__(self) -> Any:
        """Begin an epoch."""
        with made_on("cpu"):
            batches = super().__iter__()
        return noted(batches, self.dataset)


def gives_batches(data: Any) -> bool:
    """Whether a stream gives batches: WebDataset's loader does, since it holds torch's."""
    stages = getattr(data, "pipeline", ())
    return any(isinstance(stage, DataLoader) and stage.batch_size for stage in stages)


def _as_given(batch: Any) -> Any:
    return batch


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
        got = type(batch).__name__
        if isinstance(batch, Mapping):
            got = f"a mapping with {', '.join(map(repr, batch))}"
        raise TypeError(
            "`data` must give batches that are a tensor, a tuple with the inputs first, or a "
            f"mapping with 'inputs'. Got {got}. Change its collate_fn, or of a Hugging Face data "
            "set call with_format('torch')."
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


def first_inputs(data: DataLoader[Any], argument: str = "data") -> Tensor:
    """Inputs of the first batch, drawn without touching torch's global generator.

    Raises:
        ValueError: The loader gives no batch at all.
    """
    state = torch.get_rng_state()
    try:
        for batch in noted(data, data.dataset):
            return inputs_of(batch)
    finally:
        torch.set_rng_state(state)
    raise ValueError(
        f"`{argument}` must hold at least one batch. Got an empty loader. "
        "Check the folder, the split or `drop_last`."
    )
