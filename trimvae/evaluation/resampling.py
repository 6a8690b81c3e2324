"""Sums over a stream of examples, and over resamples of them: figures with their intervals."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from attributions.measures.intervals import Interval, interval_of, resampling_counts

Sums: TypeAlias = Mapping[str, Tensor]
"""By name `(1 + n_resamples, *any)`: of the examples themselves first, then of each resample."""


class Resampled:
    """Sums over examples and over bootstrap resamples of them, taken as batches pass.

    Whatever depends on sums alone then has an interval, in constant memory.

    Args:
        seed: Of the resamples.
    """

    def __init__(self, seed: int) -> None:
        self.sums: dict[str, Tensor] = {}
        self._generator = torch.Generator().manual_seed(seed)

    def add(self, rows: Mapping[str, Tensor]) -> None:
        """Add a batch: by name `(batch, *any)`, and how many they are as `examples`."""
        first = next(iter(rows.values()))
        drawn = resampling_counts(len(first), generator=self._generator, like=first)
        counts = torch.cat([torch.ones_like(drawn[:, :1]), drawn], dim=1)
        for name, values in {**rows, "examples": torch.ones_like(drawn[:, 0])}.items():
            added = torch.tensordot(counts, values.double(), dims=([0], [0]))
            self.sums[name] = added + self.sums[name] if name in self.sums else added

    def interval(
        self, figure: Callable[[Sums], Tensor], value: float | None = None
    ) -> Interval | None:
        """95 % interval of a figure that depends on the sums.

        Args:
            figure: From sums to `(1 + n_resamples,)`.
            value: The figure itself; default: that of the examples.

        Returns:
            The interval; None of a single example, or where the figure is no number.
        """
        found = figure(self.sums)
        value = float(found[0]) if value is None else value
        if self.sums["examples"][0] < 2 or not abs(value) < torch.inf:
            return None
        return interval_of(found[1:], value)
