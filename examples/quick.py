"""The quick mode of the examples: less data and training, but every line still runs.

    TRIMVAE_QUICK=1 python -m examples.ten_lines

What a code has learned is asserted in the full run only; equations hold in both.
"""

import os
from typing import TypeVar

T = TypeVar("T")

QUICK = os.environ.get("TRIMVAE_QUICK", "0") not in ("", "0")


def quick(full: T, small: T) -> T:
    """Return the size of the full run, or the small one in quick mode."""
    return small if QUICK else full
