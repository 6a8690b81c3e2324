"""Random numbers for code that knows no generator: seeded, and nobody else's are disturbed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral

import numpy as np
import torch

# Global generators are everybody's: threads that seed them take turns.
_TURN = threading.RLock()


def seed_of(generator: torch.Generator | None) -> int:
    """Draw a seed from a generator, for a library that wants an integer; default: 0."""
    if generator is None:
        return 0
    return int(torch.randint(2**31 - 1, (), generator=generator, device=generator.device))


def checked_seed(seed: int) -> int:
    """Return a seed as Python's own whole number, NumPy's among others.

    Raises:
        TypeError: It is no whole number.
        ValueError: It has more than 64 bits.
    """
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(f"`seed` must be a whole number. Got {seed!r}. Use 0.")
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"`seed` must have at most 64 bits. Got {seed}. Use a smaller number.")
    return int(seed)


@contextmanager
def undisturbed(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's and NumPy's global generators, and hand them back as they were.

    One thread at a time: another one that asks for the same waits.
    """
    devices = [device] if device.type == "cuda" else []
    with _TURN, torch.random.fork_rng(devices=devices):
        state = np.random.get_state()  # noqa: NPY002
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
