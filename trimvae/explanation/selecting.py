"""Choosing among the explained examples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

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
            TypeError: It is a single number or a slice.
            ValueError: No example is left, or an index is out of range.
        """
        batch, device = len(self.inputs), self.inputs.device
        if isinstance(examples, slice) or not torch.as_tensor(examples, device=device).ndim:
            raise TypeError(
                f"`examples` must be a mask or a sequence of indices. Got {examples}. "
                "Pass a list, e.g. [0] or range(8)."
            )
        chosen = torch.as_tensor(examples, device=device)
        if chosen.dtype == torch.bool and chosen.shape == (batch,):
            chosen = chosen.nonzero()[:, 0]
        if (
            chosen.dtype == torch.bool
            or not len(chosen)
            or bool(((chosen < -batch) | (chosen >= batch)).any())
        ):
            raise ValueError(
                f"`examples` must leave at least one of the {batch} examples. Got {examples}. "
                "Choose others, or explain more."
            )
        chosen = chosen.long()
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
