"""The predictor's outputs at the training inputs, which never change: asked for once."""

import errno
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from trimvae.data.batches import Numbered
from trimvae.data.factors import FactorData
from trimvae.data.loading import inputs_of, loader

# Above so many bytes outputs are kept in a file.
_IN_MEMORY = 2**30

# Outputs are asked for in blocks of fixed size and order, so that those of a resumed training are
# those of an uninterrupted one, to the last bit.
_BLOCK = 256


class Remembered:
    """What a predictor says of every example of a data set.

    Args:
        data: The data set, whose examples have fixed numbers.
        ask: Inputs `(batch, *event)` to logits `(batch, classes)`.
        device: Where training runs.
        in_memory: Bytes above which the outputs are kept in a temporary file, which is gone with
            this object; default: 1 GiB.
    """

    def __init__(
        self,
        data: Any,
        ask: Callable[[Tensor], Tensor],
        device: torch.device,
        in_memory: int = _IN_MEMORY,
    ) -> None:
        self.ask, self.device = ask, device
        self._kept = _kept(data, ask, device, in_memory)

    def at(self, numbers: "np.ndarray[Any, Any]") -> Tensor:
        """Logits `(batch, classes)` of the examples of these numbers."""
        if isinstance(self._kept, Tensor):
            return self._kept[torch.from_numpy(numbers).to(self._kept.device)]
        return torch.from_numpy(self._kept[numbers]).to(self.device)

    def check(self, inputs: Tensor, numbers: "np.ndarray[Any, Any]") -> None:
        """Ask again, at inputs of these numbers.

        Raises:
            ValueError: The predictor says something else now.
        """
        now, then = self.ask(inputs), self.at(numbers)
        missed = (now - then).abs().max()
        if not missed <= 1e-2 * (1 + then.abs().max()):
            raise ValueError(
                "`cache_outputs` must go with inputs and a predictor that stay the same from epoch "
                f"to epoch. Got outputs that changed by up to {missed.item():.3g}. "
                "Pass cache_outputs=False, or remove what is random in data and predictor."
            )


def remembers(data: Any, wanted: bool | None, processes: int) -> bool:
    """Whether outputs are asked for once; by default where inputs cannot change, in one process.

    Raises:
        ValueError: It is wanted where examples have no numbers.
    """
    has_numbers = hasattr(data, "__len__") and not isinstance(data, DataLoader)
    if wanted and not has_numbers:
        raise ValueError(
            "`cache_outputs` must be left out for a DataLoader or data of unknown length, whose "
            f"examples have no numbers. Got {wanted} for {type(data).__name__}. Pass its Dataset."
        )
    if processes > 1:
        return False
    fixed = isinstance(data, Tensor | TensorDataset | FactorData)
    return fixed if wanted is None else wanted


def split_numbers(batch: Any) -> "tuple[Any, np.ndarray[Any, Any] | None]":
    """Return a batch as its data set gave it, and the numbers of its examples if known."""
    return (batch.rows, batch.numbers) if isinstance(batch, Numbered) else (batch, None)


@torch.no_grad()
def _kept(
    data: Any, ask: Callable[[Tensor], Tensor], device: torch.device, in_memory: int
) -> "Tensor | np.ndarray[Any, Any]":
    """Logits of all examples: a tensor on the device, or an array in a file that nobody sees."""
    kept: Any = None
    start = 0
    for batch in loader(data, _BLOCK, shuffle=False):
        logits = ask(inputs_of(batch).to(device))
        if kept is None:
            shape = len(data), logits.shape[1]
            if shape[0] * shape[1] * logits.element_size() <= in_memory:
                kept = logits.new_empty(shape)
            else:
                number = logits.new_empty(0, device="cpu").numpy().dtype
                with tempfile.TemporaryFile() as file:  # stays until nobody maps it
                    _reserve(file.fileno(), shape[0] * shape[1] * number.itemsize)
                    kept = np.memmap(file, number, "w+", shape=shape)
        rows = logits if isinstance(kept, Tensor) else logits.cpu().numpy()
        kept[start : start + len(logits)] = rows
        start += len(logits)
    found: Tensor | np.ndarray[Any, Any] = kept
    return found


def _reserve(handle: int, size: int) -> None:
    """Have room for a file before it is mapped: a full disk would end the process without a word.

    Raises:
        OSError: The disk is full.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return  # a file system that cannot reserve
        raise OSError(
            f"`cache_outputs` must have room for {size / 1e9:.2g} GB among temporary files. Got "
            f"{tempfile.gettempdir()} ({error.strerror}). Make room, set TMPDIR to another folder, "
            "or pass cache_outputs=False."
        ) from error
