"""Decisions of a predictor and of its judges, at inputs and at reconstructions, added up."""

from collections.abc import Sequence

import torch
from torch import Tensor

from attributions.measures.hard_inputs import hard_agreement, margins
from attributions.measures.intervals import share_interval
from attributions.measures.judging import judgement, judges_agree
from attributions.outputs import decisions
from attributions.predictors import Predictor
from trimvae.evaluation.figure import Measured, measured_share
from trimvae.explanation.arguments import check_class_numbers
from trimvae.explanation.trust import Weighed


class Decided:
    """What is decided of every example: a few numbers of each are kept.

    Args:
        judges: Other classifiers for the same labels.
        labels: `(n,)`, true classes of all examples, in their order; default: not known.
        seed: Of the bootstrap.
    """

    def __init__(self, judges: Sequence[Predictor], labels: Tensor | None, seed: int) -> None:
        self._judges, self._labels, self._seed = judges, labels, seed
        self._rows: list[tuple[Tensor, Tensor, Tensor]] = []
        self._judged: list[Tensor] = []

    def add(self, explanation: Weighed) -> None:
        """Add a batch; a regression decides nothing.

        Raises:
            ValueError: A label is the number of no class.
        """
        if explanation.task == "regression":
            return
        outputs, reencoded = explanation.outputs, explanation.reencoded_outputs
        if self._labels is not None and not self._rows:
            check_class_numbers(self._labels, max(2, outputs.shape[1]))
        row = (margins(outputs), decisions(outputs), decisions(reencoded))
        self._rows.append((row[0].cpu(), row[1].cpu(), row[2].cpu()))
        if self._judges:
            agree = judges_agree(self._judges, explanation.inputs, explanation.reconstructions)
            self._judged.append(agree.cpu())

    def figures(self) -> dict[str, Measured]:
        """Agreement where it is hard, and the judges' beside the predictor's.

        Raises:
            ValueError: There are not as many labels as examples.
        """
        if not self._rows:
            return {}
        margin, decided, reencoded = (torch.cat(parts) for parts in zip(*self._rows, strict=True))
        labels = None if self._labels is None else self._labels.cpu()
        if labels is not None:
            check_label_count(labels, len(decided))
        hard = hard_agreement(margin, decided, reencoded, labels)
        found = {
            "majority_share": Measured(hard.majority, share_interval(hard.majority, len(decided))),
            "agreement_where_close": Measured(hard.close, share_interval(hard.close, hard.n_close)),
        }
        if hard.wrong is not None and hard.n_wrong:
            found["agreement_where_wrong"] = Measured(
                hard.wrong, share_interval(hard.wrong, hard.n_wrong)
            )
            found["examples_where_wrong"] = Measured(float(hard.n_wrong))
        return found | self._of_judges(decided == reencoded)

    def _of_judges(self, agrees: Tensor) -> dict[str, Measured]:
        if not self._judged:
            return {}
        judged = torch.cat(self._judged, dim=1)
        generator = torch.Generator().manual_seed(self._seed)
        found = judgement(agrees.double(), judged, generator=generator)
        figures = {"judges_gap": Measured(found.gap, found.interval)}
        for place, hits in enumerate(judged):
            figures[f"agreement_of_judge_{place + 1}"] = measured_share(hits)
        return figures


def check_label_count(labels: Tensor, examples: int) -> None:
    """Raise a ValueError unless there is one label for each example."""
    if len(labels) != examples:
        raise ValueError(
            f"`labels` must be one for each example. Got {len(labels)} labels for {examples} "
            "examples. Pass them in the order of the data."
        )
