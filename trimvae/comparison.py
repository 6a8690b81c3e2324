"""Two explanations of the same inputs: two predictors, two seeds, before and after."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from attributions import rank_correlation
from attributions.measures import decisions

if TYPE_CHECKING:
    from trimvae.explanation import Explanation


class Comparison(NamedTuple):
    """What two explanations of the same inputs have in common; made by `Explanation.compare`."""

    metrics: dict[str, tuple[float, float]]
    """Trust figures of both."""
    matched: Tensor
    """`(latents,)`, the other's latent that belongs to each of ours; -1 where it has too few."""
    latent_correlation: Tensor
    """`(latents,)`, |correlation| of matched latents over the examples: how far it is the same
    latent."""
    share: tuple[Tensor, Tensor]
    """Share of the attribution that each latent and its match have, `(latents,)` each."""
    same_decisions: float
    """Share of the examples that both predictors decide alike (NaN for a regression)."""
    latent_names: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of the shares of matched latents: do both use the same latents?"""
        kept = self.matched >= 0
        if int(kept.sum()) < 2:
            return float("nan")
        ours, theirs = (part[kept].unsqueeze(0) for part in self.share)
        return float(rank_correlation(ours, theirs))

    def summary(self) -> str:
        """Both trust figures side by side, and the strongest latents with their matches."""
        lines = [f"  {'':<24}{'this':>10}{'other':>10}"]
        lines += [
            f"  {name:<24}{one:>10.4g}{other:>10.4g}" for name, (one, other) in self.metrics.items()
        ]
        lines.append(f"  same decisions {self.same_decisions:.3f}")
        lines.append(f"  rank correlation of the latents' shares {self.rank_correlation:.3f}")
        for latent in self.share[0].argsort(descending=True)[:3].tolist():
            other = int(self.matched[latent])
            match = (
                "no match"
                if other < 0
                else f"{self.latent_names[1][other]} ({self.share[1][latent]:.0%}), "
                f"|correlation| {self.latent_correlation[latent]:.2f}"
            )
            name = f"{self.latent_names[0][latent]} ({self.share[0][latent]:.0%})"
            lines.append(f"  {name} - {match}")
        return "\n".join(lines)


def compare(one: "Explanation", other: "Explanation") -> Comparison:
    """Match the latents of two explanations of the same inputs; see `Explanation.compare`.

    Raises:
        ValueError: The inputs are not the same, or fewer than two.
    """
    same = one.inputs.shape == other.inputs.shape and torch.equal(
        one.inputs.cpu(), other.inputs.cpu()
    )
    if not same or len(one.inputs) < 2:
        raise ValueError(
            "`other` must explain the same inputs, at least two. Got "
            f"{tuple(other.inputs.shape)} beside {tuple(one.inputs.shape)}"
            + (" with other values. " if one.inputs.shape == other.inputs.shape else ". ")
            + "Explain the same tensor with both."
        )
    codes = [explanation.latents.cpu().double() for explanation in (one, other)]
    codes = [(code - code.mean(dim=0)) / code.std(dim=0).clamp_min(1e-12) for code in codes]
    correlation = (codes[0].T @ codes[1] / (len(one.inputs) - 1)).abs()
    rows, columns = linear_sum_assignment(correlation.numpy(), maximize=True)
    matched = torch.full((codes[0].shape[1],), -1)
    matched[torch.from_numpy(rows)] = torch.from_numpy(columns)
    found, place = matched >= 0, matched.clamp_min(0)
    shares = [explanation.shares.cpu().double() for explanation in (one, other)]
    regression = "regression" in (one.task, other.task)
    return Comparison(
        metrics={
            name: (value, other.metrics[name])
            for name, value in one.metrics.items()
            if name in other.metrics
        },
        matched=matched,
        latent_correlation=torch.where(
            found, correlation.gather(1, place.unsqueeze(1))[:, 0], torch.zeros(())
        ),
        share=(shares[0], torch.where(found, shares[1][place], torch.zeros(()))),
        same_decisions=float("nan")
        if regression
        else float(
            (decisions(one.outputs) == decisions(other.outputs).to(one.outputs.device))
            .double()
            .mean()
        ),
        latent_names=(one.latent_names, other.latent_names),
    )
