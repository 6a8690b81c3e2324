"""Agreement where it is hard: near the predictor's boundary, and where the predictor is wrong."""

from typing import NamedTuple

from torch import Tensor

from attributions.outputs import both_classes


class HardAgreement(NamedTuple):
    """Agreement over all inputs, and over those on which a decision is easily lost."""

    all: float
    majority: float
    """Share of the most frequent decision: agreement of a code that draws nothing else."""
    close: float
    """Over the inputs whose decision is the closest."""
    n_close: int
    wrong: float | None
    """Over the inputs that the predictor gets wrong; None where no label is known, or none is."""
    n_wrong: int | None
    """How many these are; None where no label is known."""


def margins(outputs: Tensor) -> Tensor:
    """How far the largest logit is above the second: `(batch,)`, of logits `(batch, classes)`.

    Examples:
        >>> import torch
        >>> margins(torch.tensor([[3.0, 1.0, 0.0]])).item(), margins(torch.tensor([[-2.0]])).item()
        (2.0, 2.0)
    """
    best = both_classes(outputs).topk(2, dim=1).values
    return best[:, 0] - best[:, 1]


def hard_agreement(
    margin: Tensor,
    decided: Tensor,
    reencoded: Tensor,
    labels: Tensor | None = None,
    *,
    share: float = 0.1,
) -> HardAgreement:
    """Agreement on the inputs that are hard, beside that on all.

    Most inputs of a good classifier are easy, and any code keeps their decisions: agreement can be
    .96 over all digits and .48 over those that the classifier gets wrong.

    Args:
        margin: `(n,)`, how clear each decision is, such as `margins`.
        decided: `(n,)`, decisions at the inputs.
        reencoded: `(n,)`, decisions at the reconstructions.
        labels: `(n,)`, the true classes; default: not known.
        share: Which share of the inputs counts as close, in (0, 1]; at least one input.

    Returns:
        Agreements and counts.

    Raises:
        ValueError: There is no input, shapes differ, or `share` is out of range.

    Examples:
        >>> import torch
        >>> margin, same = torch.tensor([0.1, 2.0, 3.0, 4.0]), torch.tensor([0, 1, 1, 1])
        >>> found = hard_agreement(margin, same, torch.ones(4).long(), share=0.25)
        >>> found.all, found.close, found.majority
        (0.75, 0.0, 0.75)
    """
    _check(margin, decided, reencoded, labels)
    if not 0 < share <= 1:
        raise ValueError(f"`share` must be above 0 and at most 1. Got {share}. Use 0.1.")
    agreed = (decided == reencoded).double()
    n_close = max(1, round(share * len(margin)))
    close = agreed[margin.argsort(stable=True)[:n_close]]
    wrong, n_wrong = None, None
    if labels is not None:
        missed = agreed[decided != labels]
        n_wrong = len(missed)
        wrong = float(missed.mean()) if n_wrong else None
    return HardAgreement(
        float(agreed.mean()),
        int(decided.unique(return_counts=True)[1].max()) / len(decided),
        float(close.mean()),
        n_close,
        wrong,
        n_wrong,
    )


def _check(margin: Tensor, decided: Tensor, reencoded: Tensor, labels: Tensor | None) -> None:
    given = {"margin": margin, "decided": decided, "reencoded": reencoded}
    if labels is not None:
        given["labels"] = labels
    shapes = {name: tuple(values.shape) for name, values in given.items()}
    if len(set(shapes.values())) != 1 or margin.ndim != 1 or not len(margin):
        raise ValueError(
            "`margin`, `decided`, `reencoded` and `labels` must be one value for each input, "
            f"(n,). Got {shapes}. Pass those of the same inputs."
        )
