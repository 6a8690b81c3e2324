"""What many explanations say together, added up one after the other."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from trimvae.evaluation.figure import Measured
from trimvae.evaluation.totals import Totals
from trimvae.explanation.trust import Weighed


class Summed(NamedTuple):
    """Sums, means and trust figures over all examples.

    Rows are the predicted classes, as in `Explanation.by_predicted_class`: two of a single binary
    logit, one of a regression or contrast.
    """

    examples: int
    """How many there are."""
    predicted: Tensor
    """`(rows,)`, how many of them belong to each row."""
    sums: Tensor
    """`(rows, latents)`, attributions to the predicted class added up, in double precision."""
    sizes: Tensor
    """`(rows, latents)`, their absolute values added up."""
    slopes: Tensor
    """`(classes, latents)`, attribution per unit that a latent is above its baseline, as
    `Explanation.slopes`."""
    effective_latents: Tensor
    """`(rows,)`, mean over each row."""
    agreement: Tensor
    """`(rows,)`, share of each row that keeps its decision re-encoded."""
    change: Tensor
    """`(rows,)`, mean change of the explained output from baseline to input."""
    figures: dict[str, Measured]
    """Trust figures over all examples, each with its 95 % interval: those of `evaluate` that need
    no further question to code and predictor."""

    @property
    def means(self) -> Tensor:
        """`(rows, latents)`, mean attribution to the predicted class; NaN over no example."""
        return self.sums / self.predicted.unsqueeze(1)

    @property
    def shares(self) -> Tensor:
        """`(latents,)`, each latent's share of the absolute attribution to predicted classes."""
        sizes = self.sizes.sum(dim=0)
        return sizes / sizes.sum().clamp_min(torch.finfo(sizes.dtype).tiny)


def summed(explanations: Iterable[Weighed], seed: int = 0) -> Summed:
    """Add up explanations of different examples by the same code and predictor.

    One is held at a time, so that memory does not grow with their number.

    Args:
        explanations: At least one.
        seed: Of the resamples that intervals are read from.

    Raises:
        ValueError: There is none.
    """
    totals, added = Totals(seed), dict[str, Tensor]()
    for explanation in explanations:
        totals.add(explanation)
        for name, values in _rows_of(explanation).items():
            added[name] = added[name] + values if name in added else values
    if not added:
        raise ValueError("`explanations` must hold at least one. Got none. Explain some examples.")
    counts = added["predicted"]
    return Summed(
        examples=totals.count,
        predicted=counts.long(),
        sums=added["sums"],
        sizes=added["sizes"],
        slopes=added["moments"] / added["squares"].clamp_min(1e-12),
        effective_latents=added["effective"] / added["explained"],
        agreement=added["agreeing"] / counts,
        change=added["change"] / counts,
        figures=totals.figures(),
    )


def _rows_of(explanation: Weighed) -> dict[str, Tensor]:
    """What is added up."""
    members = _members(explanation)
    target = explanation.target_attributions.double()
    effective = explanation.effective_latents.double()
    moments, squares = explanation.slope_sums()
    return {
        "predicted": members.sum(dim=1),
        "sums": members @ target,
        "sizes": members @ target.abs(),
        "moments": moments,
        "squares": squares,
        "effective": members @ effective.nan_to_num(0.0),
        "explained": members @ effective.isfinite().double(),
        "agreeing": members @ (~explanation.disagrees).double(),
        "change": members @ explanation.target_change.double(),
    }


def _members(explanation: Weighed) -> Tensor:
    """`(rows, batch)`, 1 where an example belongs to a row."""
    if not explanation.by_class:
        return torch.ones_like(explanation.predicted, dtype=torch.float64).unsqueeze(0)
    rows = torch.arange(len(explanation.class_names), device=explanation.predicted.device)
    return (explanation.predicted == rows.unsqueeze(1)).double()
