"""Two explanations of the same inputs: two predictors, two seeds, before and after."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from attributions.measures.dependence import beyond_class
from attributions.measures.sanity import rank_correlation
from attributions.outputs import decisions
from trimvae.explanation.trust import Weighed


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
    """Share of the examples on which both predictors decide alike (NaN for a regression)."""
    same_strongest: float
    """Share of the examples whose strongest latents in both are matched."""
    attribution_cosine: float
    """Mean cosine of an example's two attributions to its predicted class, latents matched."""
    within_class_correlation: float
    """Correlation of both attributions less the mean of the example's class: whether both say the
    same of an example *beyond* its class. NaN where one says nothing."""
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
        lines.append(
            f"  same strongest latent {self.same_strongest:.3f}, cosine of attributions "
            f"{self.attribution_cosine:.3f}, correlation within classes "
            f"{self.within_class_correlation:.3f}"
        )
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


def compare(one: Weighed, other: Weighed) -> Comparison:
    """Match the latents of two explanations of the same inputs, and compare their use.

    Latents are matched by |correlation| over the examples (Hungarian), so that two predictors
    and one code, two codes, or one code before and after training can be compared.

    Args:
        one: An explanation.
        other: Another, of the same inputs.

    Returns:
        Trust figures side by side, matched latents and whether both are used alike.

    Raises:
        ValueError: The inputs are not the same, or fewer than two.
    """
    _check_same_inputs(one, other)
    correlation = _correlation(one.latents, other.latents)
    matched = _matched(correlation)
    found, place = matched >= 0, matched.clamp_min(0)
    shares = [weighed.shares.cpu().double() for weighed in (one, other)]
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
        same_decisions=_same_decisions(one, other),
        **_alike(one, other, matched),
        latent_names=(one.latent_names, other.latent_names),
    )


def _check_same_inputs(one: Weighed, other: Weighed) -> None:
    same_shape = one.inputs.shape == other.inputs.shape
    same = same_shape and torch.equal(one.inputs.cpu(), other.inputs.cpu())
    if not same or len(one.inputs) < 2:
        raise ValueError(
            "`other` must explain the same inputs, at least two. Got "
            f"{tuple(other.inputs.shape)} beside {tuple(one.inputs.shape)}"
            + (" with other values. " if same_shape and not same else ". ")
            + "Explain the same tensor with both."
        )


def _correlation(ours: Tensor, theirs: Tensor) -> Tensor:
    """Absolute correlation over the examples of each of our latents with each of theirs."""
    codes = [latents.cpu().double() for latents in (ours, theirs)]
    codes = [(code - code.mean(dim=0)) / code.std(dim=0).clamp_min(1e-12) for code in codes]
    return (codes[0].T @ codes[1] / (len(ours) - 1)).abs()


def _matched(correlation: Tensor) -> Tensor:
    """The other's latent that belongs to each of ours, `(latents,)`; -1 where none is left."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(correlation.numpy(), maximize=True)
    matched = torch.full((len(correlation),), -1)
    matched[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return matched


def _alike(one: Weighed, other: Weighed, matched: Tensor) -> dict[str, float]:
    """Whether attributions are alike, by the names of a `Comparison`."""
    ours, theirs = (side.target_attributions.cpu().double() for side in (one, other))
    same = matched[ours.abs().argmax(dim=1)] == theirs.abs().argmax(dim=1)
    # A latent without match stands beside 0.
    beside = theirs[:, matched.clamp_min(0)] * (matched >= 0)
    left, right = (beyond_class(part, one.predicted.cpu()) for part in (ours, beside))
    lengths = (left.pow(2).sum() * right.pow(2).sum()).sqrt()
    return {
        "same_strongest": float(same.double().mean()),
        "attribution_cosine": float(cosine_similarity(ours, beside, dim=1).mean()),
        "within_class_correlation": float((left * right).sum() / lengths),
    }


def _same_decisions(one: Weighed, other: Weighed) -> float:
    if "regression" in (one.task, other.task):
        return float("nan")
    same = decisions(one.outputs.cpu()) == decisions(other.outputs.cpu())
    return float(same.double().mean())
