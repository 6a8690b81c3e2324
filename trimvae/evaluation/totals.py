"""Sums over batches, from which means follow."""

from collections import defaultdict

import torch
from torch import Tensor

from attributions.measures.simplicity import latents_for_share
from trimvae.explanation.tautology import ClassTotals
from trimvae.explanation.trust import Weighed

_OF_EACH_CLASS = ("agreement", "effective_latents", "latent_share", "attribution_size")


class Totals:
    """Sums over examples, from which means follow whatever the batches were."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: dict[str, float] = defaultdict(float)
        self._classes: dict[str, dict[str, float]] = {}
        self._squares: Tensor | None = None
        self._of_classes = ClassTotals()

    def add(self, explanation: Weighed) -> None:
        """Add a batch."""
        self.count += len(explanation.inputs)
        self._of_classes.add(explanation)
        rows = _figures_of_examples(explanation)
        for name, values in rows.items():
            self._sums[name] += values.double().nansum().item()
        self._sums["prediction_kl"] += explanation.metrics["prediction_kl"] * len(
            explanation.inputs
        )
        if explanation.task == "regression":
            self._add_outputs(explanation.outputs, explanation.reencoded_outputs)
            return
        for index, name in enumerate(explanation.class_names):
            members = explanation.predicted == index
            sums = self._classes.setdefault(name, defaultdict(float))
            sums["examples"] += int(members.sum())
            for figure in _OF_EACH_CLASS:
                sums[figure] += rows[figure][members].double().nansum().item()

    def means(self) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Figures over all examples, and over each predicted class that there is."""
        sums = dict(self._sums)
        missed, change = sums.pop("missed"), sums.pop("change")
        movement = sums.pop("movement", None)
        figures = {name: value / self.count for name, value in sums.items()}
        figures["completeness_error"] = missed / change if missed else 0.0
        if movement is not None:
            figures["monotonicity"] = sums["attribution_size"] / movement if movement else torch.nan
        if self._squares is not None:
            total, squares, error = self._squares
            variance = squares - total.pow(2) / self.count
            figures["agreement"] = float(1 - error.sum() / variance.sum())
        figures |= self._of_classes.figures()
        by_class = {
            name: {
                figure: value if figure == "examples" else value / row["examples"]
                for figure, value in row.items()
            }
            for name, row in self._classes.items()
            if row["examples"]
        }
        return figures, by_class

    def _add_outputs(self, outputs: Tensor, reencoded: Tensor) -> None:
        """What R squared is made of: sums of outputs, of their squares and of squared errors."""
        outputs, reencoded = outputs.double(), reencoded.double()
        error = (outputs - reencoded).pow(2).sum(dim=0)
        parts = torch.stack([outputs.sum(dim=0), outputs.pow(2).sum(dim=0), error])
        self._squares = parts if self._squares is None else parts + self._squares


def _figures_of_examples(explanation: Weighed) -> dict[str, Tensor]:
    """`(batch,)` each."""
    change = explanation.explained_at - explanation.explained_at_baseline
    missed = explanation.attributions.sum(dim=2) - change
    target = explanation.target_attributions
    rows = {
        "agreement": (~explanation.disagrees).double(),
        "reconstruction_error": (explanation.reconstructions - explanation.inputs)
        .pow(2)
        .flatten(1)
        .sum(dim=1),
        "effective_latents": explanation.effective_latents,
        "latents_for_90_percent": latents_for_share(target).double(),
        "latent_share": explanation.latent_share,
        "attribution_size": target.abs().sum(dim=1),
        "missed": missed.abs().mean(dim=1),
        "change": change.abs().mean(dim=1),
    }
    if explanation.total_variation is not None:
        rows["movement"] = explanation.of_target(explanation.total_variation).sum(dim=1)
    return rows
