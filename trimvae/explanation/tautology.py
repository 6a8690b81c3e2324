"""Does an explanation say more than the class? Enough of every batch to tell it for all."""

import torch
from torch import Tensor

from attributions.measures.dependence import (
    class_told,
    classes_per_latent,
    normalised_mutual_information,
)
from attributions.measures.directions import class_dependence_of_class_directions
from attributions.measures.intervals import Interval, interval_of
from attributions.measures.simplicity import participation_ratio
from trimvae.explanation.usage import Usage

# A code of more latents (Fourier's, wavelets') is not turned to the directions of the classes.
_MOST_TURNED = 128

# Examples, the first ones, that are kept to turn: of everything else sums are enough.
_MOST_KEPT = 10_000

# Of the kept ones, for an interval: each is turned anew.
_RESAMPLES = 100


def _nothing() -> Tensor:
    """A sum of nothing yet, on the CPU as all totals are."""
    return torch.zeros((), device="cpu")


class ClassTotals:
    """What explanations of batches say of the class, added up: the same whatever the batches.

    Sums are enough for all figures but one. `class_dependence_of_class_directions` is that of the
    first 10,000 examples, which are kept.
    """

    def __init__(self) -> None:
        self._tells_classes = False
        self._counts, self._squares, self._table, self._means, self._sizes = [_nothing()] * 5
        self._kept = 0
        self._paths: list[tuple[Tensor, Tensor, Tensor]] = []
        self._gradients = _nothing()

    def add(self, usage: Usage) -> None:
        """Add the attributions of a batch to its predicted classes."""
        self._tells_classes = usage.by_class
        scores, predicted = usage.target_attributions.double(), usage.predicted
        members = torch.nn.functional.one_hot(predicted, len(usage.class_names)).double()
        strongest = torch.nn.functional.one_hot(scores.abs().argmax(dim=1), scores.shape[1])
        counts = members.sum(dim=0)
        means = members.T @ scores / counts.clamp_min(1).unsqueeze(1)
        beyond = (scores - means[predicted]).pow(2).sum(dim=1)
        # Means and squares about them are merged as Chan et al. (1979) do: without cancellation.
        whole = (self._counts + counts).clamp_min(1)
        apart = means - self._means
        self._squares = self._squares + members.T @ beyond
        self._squares += apart.pow(2).sum(dim=1) * self._counts * counts / whole
        self._means = self._means + apart * (counts / whole).unsqueeze(1)
        self._counts = self._counts + counts
        self._table = self._table + strongest.double().T @ members
        self._sizes = self._sizes + members.T @ scores.abs()
        self._keep(usage)

    def figures(self) -> dict[str, float]:
        """Figures of all batches, by their names in `Explanation.metrics`.

        Those that have no meaning are left out: of a regression or contrast, where one class is
        predicted, and where no attribution differs from another.
        """
        sizes = self._sizes.sum(dim=0)
        found = {"effective_latents_over_data": float(participation_ratio(sizes))}
        present = self._counts > 0
        if not self._tells_classes or int(present.sum()) < 2:
            return found
        counts, means = self._counts[present].unsqueeze(1), self._means[present]
        mean = (counts * means).sum(dim=0) / counts.sum()
        within = self._squares.sum()
        taking_part = classes_per_latent(
            self._sizes[present] / counts, torch.arange(len(counts), device=counts.device)
        )
        figures = {
            "class_dependence": normalised_mutual_information(self._table),
            "class_told": class_told(self._table),
            "class_dependence_of_class_directions": self._of_class_directions(),
            "within_class_share": within / (within + (counts * (means - mean).pow(2)).sum()),
            "classes_per_latent": (taking_part * sizes).sum() / sizes.sum(),
        }
        return found | {name: float(value) for name, value in figures.items() if not value.isnan()}

    def _keep(self, usage: Usage) -> None:
        """Keep what the first examples' paths say of directions, of a code that can be turned."""
        room = _MOST_KEPT - self._kept
        gradients = usage.mean_gradients if room and _can_be_turned(usage) else None
        if gradients is None:
            return
        moved, of_target = usage.latents - usage.starts, usage.of_target(gradients)
        self._paths.append((moved[:room], of_target[:room], usage.predicted[:room]))
        self._gradients = self._gradients + gradients[:room].double().sum(dim=0)
        self._kept += min(room, len(moved))

    def interval_of_directions(self) -> Interval | None:
        """95 % interval of `class_dependence_of_class_directions`, by resamples of what is kept.

        The mean gradients of the classes stay what they are.
        """
        figure = float(self._of_class_directions())
        if self._kept < 2 or figure != figure:
            return None
        drawn = torch.Generator().manual_seed(0)
        rows = torch.randint(self._kept, (_RESAMPLES, self._kept), generator=drawn, device="cpu")
        return interval_of(torch.stack([self._of_class_directions(row) for row in rows]), figure)

    def _of_class_directions(self, rows: Tensor | None = None) -> Tensor:
        if not self._paths:
            return torch.tensor(torch.nan, device="cpu")
        moved, gradients, predicted = (torch.cat(parts) for parts in zip(*self._paths, strict=True))
        if rows is not None:
            rows = rows.to(moved.device)
            moved, gradients, predicted = moved[rows], gradients[rows], predicted[rows]
        return class_dependence_of_class_directions(
            moved, gradients, self._gradients / self._kept, predicted
        )


def _can_be_turned(usage: Usage) -> bool:
    """Whether all latents may be turned into each other, and three classes have directions."""
    _, classes, latents = usage.attributions.shape
    one_block = len(usage.blocks) == 1 and usage.blocks[0].kind == "real"
    every_class = usage.by_class and usage.chosen_classes is None
    return one_block and every_class and classes > 2 and latents <= _MOST_TURNED
