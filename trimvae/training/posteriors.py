"""The KL's parts over an epoch, from the posteriors that training saw."""

from collections import deque

import torch
from torch import Tensor
from torch.distributions import Normal

from trimvae.objectives import Decomposition, decomposition


class RecentPosteriors:
    """The latest posteriors of an epoch, to see the KL's parts without encoding anything again.

    Args:
        most: How many examples are remembered.
        n_points: How many of them are compared with all.
    """

    def __init__(self, most: int = 8192, n_points: int = 512) -> None:
        self.most, self.n_points = most, n_points
        self._batches: deque[tuple[Tensor, ...]] = deque()
        self._count = 0

    def add(self, posterior: Normal, prior: Normal) -> None:
        """Remember a batch's posteriors and priors; forget what has become too much."""
        both = (posterior, prior)
        kept = [part.detach().float() for one in both for part in (one.mean, one.stddev)]
        self._batches.append(tuple(part.expand_as(kept[0]) for part in kept))
        self._count += len(kept[0])
        while len(self._batches) > 1 and self._count - len(self._batches[0][0]) > self.most:
            self._count -= len(self._batches.popleft()[0])

    def decomposition(
        self, dataset_size: int | None, generator: torch.Generator
    ) -> Decomposition | None:
        """Decompose the KL of what is remembered, and forget it; None if that is one example."""
        columns = [torch.cat(parts) for parts in zip(*self._batches, strict=True)]
        self._batches.clear()
        self._count = 0
        mean, deviation, prior_mean, prior_deviation = columns
        if len(mean) < 2 or not all(bool(torch.isfinite(part).all()) for part in columns):
            return None
        return decomposition(
            Normal(mean, deviation, validate_args=False),
            Normal(prior_mean, prior_deviation, validate_args=False),
            dataset_size=max(dataset_size or 0, len(mean)),
            n_points=self.n_points,
            generator=generator,
        )
