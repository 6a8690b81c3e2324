"""Two explanations of the same inputs: two predictors, two seeds, before and after."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from attributions.measures.dependence import beyond_class
from attributions.measures.sanity import rank_correlation
from attributions.outputs import decisions
from trimvae.explanation.evidence import Evidence
from trimvae.explanation.matching import Coded, correlations_of, drawn_likeness, matched_latents
from trimvae.explanation.probing import Probing
from trimvae.explanation.trust import Weighed

# From these on two explanations are said to agree.
LEAST_SAME_STRONGEST = 0.7

LEAST_WITHIN_CLASS = 0.6

# Pairs of latents, the most used, whose pictures are compared.
_DRAWN_PAIRS = 16


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
    used_correlation: float
    """Mean of `latent_correlation`, weighted by the share of the attribution that latent and match
    have (a latent without match counts 0): how far the latents that are used are the same."""
    drawn_likeness: float
    """The same mean of what matched latents draw: the |cosine| of the change of the picture from
    one standard deviation below an example to one above, averaged over at most 16 examples, of the
    16 most used pairs. NaN where an explanation was loaded without its code, or uses no latent."""
    latent_names: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of the shares of matched latents: do both use the same latents?"""
        kept = self.matched >= 0
        if int(kept.sum()) < 2:
            return float("nan")
        ours, theirs = (part[kept].unsqueeze(0) for part in self.share)
        return float(rank_correlation(ours, theirs))

    @property
    def verdict(self) -> str:
        """Whether the two explanations agree, in a sentence.

        They do where the strongest latent is the same for 70 % of the examples, and where what is
        said beyond the class correlates .6.
        """
        agreed = (
            self.same_strongest >= LEAST_SAME_STRONGEST,
            self.within_class_correlation >= LEAST_WITHIN_CLASS,
        )
        verdict = "agree" if all(agreed) else "agree in part" if any(agreed) else "do not agree"
        what = "mean" if math.isnan(self.same_decisions) else "class"
        said = (
            f"The two explanations {verdict}: they name the same strongest latent for "
            f"{self.same_strongest:.0%} of the examples, and beyond the {what} "
        )
        if math.isnan(self.within_class_correlation):
            return said + "at least one says nothing."
        return said + f"they correlate {self.within_class_correlation:.2f}."

    @property
    def in_words(self) -> str:
        """The verdict, and whether the two explanations use the same latents, in sentences."""
        said = f"{self.verdict} The latents that they use correlate {self.used_correlation:.2f}"
        if math.isnan(self.drawn_likeness):
            return said + "."
        return said + f", and what these draw has a cosine of {self.drawn_likeness:.2f}."

    def summary(self) -> str:
        """Whether both agree, their trust figures side by side, and the strongest latents."""
        width = max(map(len, self.metrics)) + 2
        lines = [self.in_words, f"  {'':<{width}}{'this':>10}{'other':>10}"]
        lines += [
            f"  {name:<{width}}{one:>10.4g}{other:>10.4g}"
            for name, (one, other) in self.metrics.items()
        ]
        lines.append(f"  same decisions {self.same_decisions:.3f}")
        lines.append(
            f"  same strongest latent {self.same_strongest:.3f}, cosine of attributions "
            f"{self.attribution_cosine:.3f}, correlation within classes "
            f"{self.within_class_correlation:.3f}"
        )
        lines.append(
            f"  correlation of the used latents {self.used_correlation:.3f}, of what they draw "
            f"{self.drawn_likeness:.3f}"
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


def compare(one: Probing, other: Probing) -> Comparison:
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
    check_same_inputs(one, other, "other")
    correlation = correlations_of(one.latents, other.latents).abs()
    matched = matched_latents(correlation)
    found, place = matched >= 0, matched.clamp_min(0)
    latent_correlation = torch.where(
        found, correlation.gather(1, place.unsqueeze(1))[:, 0], correlation.new_zeros(())
    )
    shares = [weighed.shares.cpu().double() for weighed in (one, other)]
    share = (shares[0], torch.where(found, shares[1][place], shares[1].new_zeros(())))
    # A pair weighs its mean share; both sides' sum to 1, those without match included.
    weights = torch.where(found, sum(share) / 2, share[0].new_zeros(()))
    return Comparison(
        metrics={
            name: (value, other.metrics[name])
            for name, value in one.metrics.items()
            if name in other.metrics
        },
        matched=matched,
        latent_correlation=latent_correlation,
        share=share,
        same_decisions=_same_decisions(one, other),
        **_alike(one, other, matched),
        used_correlation=min(float((weights * latent_correlation).sum()), 1.0),
        drawn_likeness=_drawn_likeness(one, other, matched, weights),
        latent_names=(one.latent_names, other.latent_names),
    )


def check_same_inputs(one: Evidence, other: Evidence, argument: str) -> None:
    """Raise an error unless two explanations are of the same inputs, two or more.

    Args:
        one: An explanation.
        other: Another.
        argument: What the caller knows the other by.
    """
    if not isinstance(other, Evidence):
        raise TypeError(
            f"`{argument}` must be an explanation. Got {type(other).__name__}. Pass what explain "
            "returns."
        )
    same_shape = one.inputs.shape == other.inputs.shape
    same = same_shape and torch.equal(one.inputs.cpu(), other.inputs.cpu())
    if not same or len(one.inputs) < 2:
        raise ValueError(
            f"`{argument}` must explain the same inputs, at least two. Got "
            f"{tuple(other.inputs.shape)} beside {tuple(one.inputs.shape)}"
            + (" with other values. " if same_shape and not same else ". ")
            + "Explain the same tensor with both."
        )


def side_by_side(one: Evidence, other: Evidence, matched: Tensor) -> tuple[Tensor, Tensor]:
    """Attributions to the predicted classes, `(batch, latents)` each, the other's as matched.

    A latent without match stands beside 0.
    """
    ours, theirs = (side.target_attributions.cpu().double() for side in (one, other))
    return ours, theirs[:, matched.clamp_min(0)] * (matched >= 0)


def same_strongest(one: Evidence, other: Evidence, matched: Tensor) -> Tensor:
    """Whether the strongest latents of an example are matched, `(batch,)`."""
    ours, theirs = (side.target_attributions.cpu().abs().argmax(dim=1) for side in (one, other))
    return matched[ours] == theirs


def _alike(one: Weighed, other: Weighed, matched: Tensor) -> dict[str, float]:
    """Whether attributions are alike, by the names of a `Comparison`."""
    ours, beside = side_by_side(one, other, matched)
    left, right = (beyond_class(part, one.predicted.cpu()) for part in (ours, beside))
    lengths = (left.pow(2).sum() * right.pow(2).sum()).sqrt()
    return {
        "same_strongest": float(same_strongest(one, other, matched).double().mean()),
        "attribution_cosine": float(cosine_similarity(ours, beside, dim=1).mean()),
        "within_class_correlation": float((left * right).sum() / lengths),
    }


def _drawn_likeness(one: Probing, other: Probing, matched: Tensor, weights: Tensor) -> float:
    """Likeness of what matched latents draw, weighted; NaN where a code is not at hand."""
    if not (one.can_be_asked and other.can_be_asked):
        return math.nan
    count = min(_DRAWN_PAIRS, int((matched >= 0).sum()))
    most = weights.masked_fill(matched < 0, -1.0).argsort(descending=True)[:count]
    pairs = [(latent, int(matched[latent])) for latent in most.tolist()]
    ours, theirs = (Coded(side.latents, side.trim.decode) for side in (one, other))
    likeness = drawn_likeness(ours, theirs, pairs)
    mean = (weights[most] * likeness).sum() / weights[most].sum()
    return min(float(mean * weights.sum()), 1.0)


def _same_decisions(one: Weighed, other: Weighed) -> float:
    if "regression" in (one.task, other.task):
        return float("nan")
    same = decisions(one.outputs.cpu()) == decisions(other.outputs.cpu())
    return float(same.double().mean())
