"""Sums over batches, from which means follow, and their intervals."""

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from attributions.measures.intervals import share_interval
from attributions.measures.simplicity import latents_for_share
from attributions.outputs import Task, both_classes, visible_change
from trimvae.evaluation.class_sums import class_figures, class_rows
from trimvae.evaluation.figure import Measured
from trimvae.evaluation.resampling import Resampled, Sums
from trimvae.explanation.tautology import ClassTotals
from trimvae.explanation.trust import Weighed

_OF_EACH_CLASS = ("agreement", "effective_latents", "latent_share", "attribution_size")

_MEANS = (
    "agreement",
    "prediction_kl",
    "reconstruction_error",
    "latents_for_90_percent",
    "latent_share",
    "attribution_size",
)


class Totals:
    """Sums over examples, from which figures follow whatever the batches were.

    Args:
        seed: Of the resamples that intervals are read from.
    """

    def __init__(self, seed: int = 0) -> None:
        self._resampled = Resampled(seed)
        self._classes: dict[str, dict[str, float]] = {}
        self._of_classes = ClassTotals()
        self._decides = True

    @property
    def count(self) -> int:
        """How many examples there were."""
        sums = self._resampled.sums
        return int(sums["examples"][0]) if sums else 0

    def add(self, explanation: Weighed) -> None:
        """Add a batch."""
        self._of_classes.add(explanation)
        rows = _figures_of_examples(explanation)
        self._resampled.add(rows | class_rows(explanation))
        self._decides = explanation.task != "regression"
        if not self._decides:
            return
        for index, name in enumerate(explanation.class_names):
            members = explanation.predicted == index
            sums = self._classes.setdefault(name, defaultdict(float))
            sums["examples"] += int(members.sum())
            for figure in _OF_EACH_CLASS:
                sums[figure] += rows[figure][members].sum().item()

    def means(self) -> dict[str, float]:
        """Figures over all examples."""
        sums = self._resampled.sums
        found = {name: float(figure(sums)[0]) for name, figure in self._figures().items()}
        return found | self._of_classes.figures()

    def by_class(self) -> dict[str, dict[str, float]]:
        """Means over each predicted class that there is."""
        return {
            name: {
                figure: value if figure == "examples" else value / row["examples"]
                for figure, value in row.items()
            }
            for name, row in self._classes.items()
            if row["examples"]
        }

    def figures(self) -> dict[str, Measured]:
        """Figures over all examples with their intervals."""
        means, sums = self.means(), self._resampled.sums
        read = self._figures() | class_figures(sums)
        found = {}
        for name, value in means.items():
            ends = self._resampled.interval(read[name], value) if name in read else None
            found[name] = Measured(value, ends)
        if self._decides:
            agreed = means["agreement"]
            found["agreement"] = Measured(agreed, share_interval(agreed, self.count))
        directions = "class_dependence_of_class_directions"
        if directions in found:
            found[directions] = Measured(
                means[directions], self._of_classes.interval_of_directions()
            )
        return found

    def _figures(self) -> dict[str, Callable[[Sums], Tensor]]:
        """How each figure follows from sums."""
        found: dict[str, Callable[[Sums], Tensor]] = {name: _mean_of(name) for name in _MEANS}
        found["effective_latents"] = lambda sums: sums["effective_latents"] / sums["explained"]
        found["completeness_error"] = lambda sums: _ratio(
            sums["missed"].sum(dim=1), sums["change"].sum(dim=1)
        )
        found["worst_completeness_error"] = lambda sums: _ratio(
            sums["missed"], sums["visible_change"]
        ).amax(dim=1)
        if "movement" in self._resampled.sums:
            found["monotonicity"] = lambda sums: sums["attribution_size"] / sums["movement"]
        if not self._decides:
            found["agreement"] = _variance_kept
        return found


def _mean_of(name: str) -> Callable[[Sums], Tensor]:
    return lambda sums: sums[name] / sums["examples"]


def _ratio(missed: Tensor, change: Tensor) -> Tensor:
    """What is missed over what changes; 0 where nothing is missed."""
    return torch.where(missed == 0, missed, missed / change)


def _variance_kept(sums: Sums) -> Tensor:
    """R squared, from sums of outputs, of their squares and of squared errors."""
    total, squares, error = sums["outputs"].unbind(dim=1)
    variance = squares - total.square() / sums["examples"].unsqueeze(1)
    return 1 - error.sum(dim=1) / variance.sum(dim=1)


def _losses(outputs: Tensor, reencoded: Tensor, task: Task) -> Tensor:
    """`(batch,)`, of each example what `prediction_kl` is the mean of."""
    if task == "regression":
        return (reencoded - outputs).square().mean(dim=1)
    before, after = (both_classes(side).log_softmax(dim=1) for side in (outputs, reencoded))
    return F.kl_div(after, before, reduction="none", log_target=True).sum(dim=1)


def _figures_of_examples(explanation: Weighed) -> dict[str, Tensor]:
    """`(batch, ...)` each."""
    change = explanation.change
    missed = explanation.attributions.sum(dim=2) - change
    target, effective = explanation.target_attributions, explanation.effective_latents
    outputs, reencoded = explanation.outputs.double(), explanation.reencoded_outputs.double()
    rows = {
        "agreement": (~explanation.disagrees).double(),
        "prediction_kl": _losses(outputs, reencoded, explanation.task),
        "reconstruction_error": (explanation.reconstructions - explanation.inputs)
        .pow(2)
        .flatten(1)
        .sum(dim=1),
        "effective_latents": effective.nan_to_num(0.0),
        "explained": effective.isfinite().double(),
        "latents_for_90_percent": latents_for_share(target).double(),
        "latent_share": explanation.latent_share,
        "attribution_size": target.abs().sum(dim=1),
        "missed": missed.abs(),
        "change": change.abs(),
        "visible_change": visible_change(change),
    }
    if explanation.target_variation is not None:
        rows["movement"] = explanation.target_variation.sum(dim=1)
    if explanation.task == "regression":
        parts = [outputs, outputs.square(), (outputs - reencoded).square()]
        rows["outputs"] = torch.stack(parts, dim=1)
    return rows
