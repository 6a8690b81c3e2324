"""Where tensors and modules are made that do not say where."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def made_on(device: torch.device | str) -> Iterator[None]:
    """Make what names no device on this one, whatever `torch.set_default_device` says.

    Where it says the same already, nothing is done, and nothing costs.

    Args:
        device: Where a block's tensors and modules are made.

    Examples:
        >>> with made_on("meta"):
        ...     torch.zeros(2).device.type
        'meta'
    """
    if torch.get_default_device() == torch.device(device):
        yield
        return
    with torch.device(device):
        yield
