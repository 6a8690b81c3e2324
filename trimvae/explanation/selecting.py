"""Choosing among the explained examples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from trimvae.explanation.evidence import Evidence

_OF_BASELINES = {"baselines", "baseline_outputs"}


@dataclass(frozen=True, kw_only=True)
class Selecting(Evidence):
    """Evidence, and parts of it."""

    def select(self, examples: Tensor | Sequence[int]) -> Self:
        """Return the explanation of some examples only.

        Args:
            examples: A mask `(batch,)`, or indices.

        Raises:
            TypeError: It is a single number, a slice, or holds numbers that are not whole.
            ValueError: No example is left, an index is out of range, or a mask is of another
                length.
        """
        batch, device = len(self.inputs), self.inputs.device
        chosen = indices_of(examples, batch).to(device)
        if not len(chosen) or bool(((chosen < -batch) | (chosen >= batch)).any()):
            raise ValueError(
                f"`examples` must leave at least one of the {batch} examples. Got {examples}. "
                "Choose others, or explain more."
            )
        shared = set() if self.settings["baselines_per_example"] else _OF_BASELINES
        own: dict[str, Any] = {
            name: tensor[chosen] for name, tensor in self.tensors().items() if name not in shared
        }
        return replace(self, **own)

    def for_class(self, target: int | str) -> Self:
        """Return the examples predicted as a class.

        Args:
            target: Its name or number.

        Raises:
            ValueError: There is no such class, no such prediction, or this is a regression.
        """
        mask = self.predicted == self.class_index(target)
        return self._chosen(mask, f"are predicted as {target!r}")

    def correct(self) -> Self:
        """Return the examples whose prediction is the label.

        Raises:
            ValueError: There are no such examples, or no labels.
        """
        return self._chosen(self.predicted == self._labelled(), "are predicted right")

    def wrong(self) -> Self:
        """Return the examples whose prediction is not the label.

        Raises:
            ValueError: There are no such examples, or no labels.
        """
        return self._chosen(self.predicted != self._labelled(), "are predicted wrong")

    def _labelled(self) -> Tensor:
        if self.labels is None:
            raise ValueError(
                "`labels` must be known to tell right from wrong. Got an explanation without. "
                "Pass labels to explain."
            )
        return self.labels

    def _chosen(self, mask: Tensor, what: str) -> Self:
        if not bool(mask.any()):
            raise ValueError(
                f"`examples` must leave at least one. Got {len(mask)} examples, of which none "
                f"{what}. Explain more."
            )
        return self.select(mask)


def indices_of(examples: Tensor | Sequence[int], count: int) -> Tensor:
    """Return the indices that a mask or a sequence names, whether or not there are such examples.

    Args:
        examples: A mask `(count,)`, or indices.
        count: How many examples there are.

    Raises:
        TypeError: It is a single number, a slice, or holds numbers that are not whole.
        ValueError: A mask is of another length.

    Examples:
        >>> indices_of([False, True, True], 3).tolist() == indices_of(range(1, 3), 3).tolist()
        True
    """
    given = examples if isinstance(examples, Tensor) else np.array(examples)
    if not given.ndim or (isinstance(given, np.ndarray) and given.dtype.kind not in "biufc"):
        raise TypeError(
            f"`examples` must be a mask or a sequence of indices. Got {examples}. "
            "Pass a list, e.g. [0] or range(8)."
        )
    chosen = torch.as_tensor(given, device="cpu")
    if chosen.dtype == torch.bool:
        if chosen.shape != (count,):
            raise ValueError(
                f"`examples` must be a mask of shape ({count},) where it is one. Got "
                f"{tuple(chosen.shape)}. Say of every example whether it is chosen."
            )
        return chosen.nonzero()[:, 0]
    if chosen.ndim > 1 or (chosen.numel() and (chosen.is_floating_point() or chosen.is_complex())):
        raise TypeError(
            f"`examples` must be whole numbers in one row. Got {examples}. Pass a list, e.g. [0] "
            "or range(8)."
        )
    return chosen.long()
