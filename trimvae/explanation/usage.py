"""Attributions added up: which latents a predictor uses, how much, and for which class."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.checks import check_counts
from attributions.measures.dependence import classes_per_latent
from attributions.measures.simplicity import participation_ratio
from trimvae.explanation.selecting import Selecting


class LatentUse(NamedTuple):
    """How a predictor uses one latent."""

    latent: int
    name: str
    share: float
    """Of the absolute attribution to predicted classes."""
    speaks_for: tuple[str, float]
    """The explained output that high values raise most, by how much per unit. (Where not all
    classes are attributed, the predicted class among whose own examples they do.)"""
    speaks_against: tuple[str, float]
    """That which they lower most (raise least)."""
    classes: int | None
    """In how many predicted classes it takes part; None where there are not several."""
    recurrence: str | None = None
    """In how many codes it is found, in words; None where no consensus was asked."""


@dataclass(frozen=True, kw_only=True)
class Usage(Selecting):
    """Evidence, and what the predictor uses by it."""

    @cached_property
    def effective_latents(self) -> Tensor:
        """`(batch,)`, participation ratio of the attributions to the predicted class."""
        return participation_ratio(self.target_attributions)

    @cached_property
    def effective_latents_over_data(self) -> Tensor:
        """Scalar, participation ratio of `shares`: how many latents serve all the examples."""
        return participation_ratio(self.shares)

    @cached_property
    def classes_predicted(self) -> int:
        """How many classes are predicted; 0 for a regression or a contrast, which tell none."""
        return len(self.predicted.unique()) if self.by_class else 0

    @cached_property
    def classes_per_latent(self) -> Tensor | None:
        """`(latents,)`, in how many predicted classes each latent takes part.

        It takes part in a class where it carries at least a tenth of the evidence. None where
        fewer than two classes are predicted.
        """
        if self.classes_predicted < 2:
            return None
        return classes_per_latent(self.target_attributions, self.predicted)

    @property
    def mean_gradients(self) -> Tensor | None:
        """`(batch, classes, latents)`, mean gradient along the path; 0 where a latent stays.

        Integrated gradients are the way times it. None for other methods.
        """
        if self.total_variation is None:
            return None
        moved = (self.latents - self.starts).unsqueeze(1)
        return torch.where(moved == 0, 0, self.attributions / torch.where(moved == 0, 1, moved))

    @cached_property
    def shares(self) -> Tensor:
        """`(latents,)`, each latent's share of the absolute attribution to predicted classes."""
        return _shares(self.target_attributions)

    @cached_property
    def nothing_changes(self) -> bool:
        """Whether the predictor says one thing of all inputs, drawn or not, and moved latents."""
        alike = bool((torch.cat([self.outputs, self.reencoded_outputs]) == self.outputs[:1]).all())
        return alike and not bool(self.target_attributions.any())

    @cached_property
    def by_block(self) -> Tensor:
        """`(batch, classes, blocks)`, attributions added up over each block."""
        return self._in_blocks(self.attributions)

    @cached_property
    def target_by_block(self) -> Tensor:
        """`(batch, blocks)`, the same of the attributions to the predicted class."""
        return self._in_blocks(self.target_attributions)

    @cached_property
    def block_shares(self) -> Tensor:
        """`(blocks,)`, each block's share of the absolute attribution to predicted classes."""
        return _shares(self.target_by_block)

    @cached_property
    def by_predicted_class(self) -> tuple[Tensor, Tensor]:
        """Means over the examples predicted as each class (NaN where there is none).

        Returns:
            Attributions to that class `(rows, latents)` and effective latents `(rows,)`. A single
            binary logit has two rows, negative and positive; a regression or contrast one.
        """
        attributions = self.mean_by_class(self.target_attributions)
        effective = [self.effective_latents[mask].nanmean() for mask in self._members()]
        return attributions, torch.stack(effective)

    @cached_property
    def agreement_by_class(self) -> Tensor | None:
        """`(rows,)`, share of each predicted class that keeps its decision re-encoded.

        None for a regression or a contrast.
        """
        return self.mean_by_class((~self.disagrees).double()) if self.by_class else None

    @cached_property
    def slopes(self) -> Tensor:
        """`(classes, latents)`, attribution per unit that a latent is above its baseline.

        The least-squares slope over the examples: positive where high values speak for the class.
        Where not all classes are attributed, a row for every class over the examples that are
        predicted as it, 0 where there is none.
        """
        moments, squares = self.slope_sums()
        return (moments / squares.clamp_min(1e-12)).to(self.attributions)

    def slope_sums(self) -> tuple[Tensor, Tensor]:
        """Both sides of the ratio that `slopes` are, in double precision: they add up."""
        moved = (self.latents - self.starts).double()
        if self.chosen_classes is None:
            moments = (self.attributions.double() * moved.unsqueeze(1)).sum(dim=0)
            return moments, moved.square().sum(dim=0)
        members = torch.stack(self._members()).double()
        return members @ (self.target_attributions.double() * moved), members @ moved.square()

    def mean_by_class(self, values: Tensor) -> Tensor:
        """Mean of `(batch, ...)` over each predicted class, `(rows, ...)`; NaN over none."""
        return torch.stack([values[mask].mean(dim=0) for mask in self._members()])

    def top(self, k: int = 5) -> list[LatentUse]:
        """Return the most used latents, and the classes that high values speak for and against.

        Args:
            k: How many.

        Returns:
            Latents, the most used first; fewer than `k` where there are fewer.

        Raises:
            ValueError: `k` is below 1.
        """
        check_counts(k=k)
        return [
            self._use_of(latent) for latent in self.shares.argsort(descending=True)[:k].tolist()
        ]

    def strongest(self, example: int, count: int) -> list[int]:
        """Latents of largest absolute attribution to an example's predicted class."""
        scores = self.target_attributions[example].abs()
        found: list[int] = scores.argsort(descending=True)[:count].tolist()
        return found

    def _use_of(self, latent: int) -> LatentUse:
        slopes, names = self.slopes[:, latent], self.output_names
        rows = list(range(len(slopes)))
        if self.chosen_classes is not None:
            rows = self.predicted.unique().tolist()
        most, least = rows[int(slopes[rows].argmax())], rows[int(slopes[rows].argmin())]
        return LatentUse(
            latent,
            self.latent_names[latent],
            float(self.shares[latent]),
            (names[most], float(slopes[most])),
            (names[least], float(slopes[least])),
            None if self.classes_per_latent is None else int(self.classes_per_latent[latent]),
            None if self.recurrence is None else self.recurrence.in_words(latent),
        )

    def _in_blocks(self, attributions: Tensor) -> Tensor:
        """`(..., latents)` added up over each block: `(..., blocks)`."""
        parts = [attributions[..., block.start : block.stop].sum(dim=-1) for block in self.blocks]
        return torch.stack(parts, dim=-1)

    def _members(self) -> list[Tensor]:
        """Of each row of a heatmap, which examples belong to it: `(batch,)` each."""
        if not self.by_class:
            return [torch.ones_like(self.predicted, dtype=torch.bool)]
        return [self.predicted == index for index in range(len(self.class_names))]


def _shares(attributions: Tensor) -> Tensor:
    """Each column's share of the absolute attributions `(batch, columns)`."""
    strength = attributions.abs().mean(dim=0)
    return strength / strength.sum().clamp_min(torch.finfo(strength.dtype).tiny)
