"""Does the explanation depend on what it explains? Randomised predictors."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attributions.measures.intervals import Interval, bootstrap_interval
from attributions.randomness import seed_of, undisturbed


def rank_correlation(left: Tensor, right: Tensor) -> Tensor:
    """Spearman's correlation over the last dimension; ties share their mean rank.

    For sanity checks: near 1 means that another predictor is explained like the first. Pitfall:
    absolute attributions of any two predictors correlate where both multiply by the latents;
    with their signs chance is 0.

    References:
        Adebayo et al.: Sanity Checks for Saliency Maps, 2018, https://arxiv.org/abs/1810.03292

    Args:
        left: `(..., n)`.
        right: `(..., n)`.

    Returns:
        `(...)` in [-1, 1]; NaN where all values of a row are alike.

    Examples:
        >>> rank_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 4.0, 9.0])).item()
        1.0
    """
    ranks = [_ranks(side) for side in (left, right)]
    centred = [rank - rank.mean(dim=-1, keepdim=True) for rank in ranks]
    product = (centred[0] * centred[1]).sum(dim=-1)
    # One square root, so that perfect agreement is exactly 1.
    squares = [rank.pow(2).sum(dim=-1) for rank in centred]
    return (product / (squares[0] * squares[1]).sqrt()).to(left.dtype)


def _ranks(values: Tensor) -> Tensor:
    smaller = (values.unsqueeze(-2) < values.unsqueeze(-1)).sum(dim=-1)
    alike = (values.unsqueeze(-2) == values.unsqueeze(-1)).sum(dim=-1)
    return smaller.double() + (alike.double() - 1) / 2


def reinitialised(predictor: nn.Module, *, generator: torch.Generator | None = None) -> nn.Module:
    """Copy a predictor with every learned weight drawn anew; the original is unchanged.

    Statistics of normalisation layers also start anew. The weakest form of the check; the strong
    form is to train the code again, through the randomised predictor.

    Args:
        predictor: A module whose submodules know `reset_parameters`, as torch's do.
        generator: Seeds the new weights; default: one that is seeded with 0.

    Returns:
        The copy, in the predictor's own train/eval modes.

    Raises:
        ValueError: Some parameters belong to modules that cannot be drawn anew.

    Examples:
        >>> predictor = nn.Linear(3, 2)
        >>> torch.equal(reinitialised(predictor).weight, predictor.weight)
        False
    """
    twin = copy.deepcopy(predictor)
    reset = set()
    device = next((parameter.device for parameter in twin.parameters()), torch.device("cpu"))
    with undisturbed(seed_of(generator), device):
        for module in twin.modules():
            again = getattr(module, "reset_parameters", None)
            if callable(again):
                again()
                reset |= set(module.parameters(recurse=True))
    left = [name for name, parameter in twin.named_parameters() if parameter not in reset]
    if left:
        raise ValueError(
            "`predictor` must be made of modules with `reset_parameters`. Got parameters that "
            f"none resets: {left[:3]}. Give the modules that own them such a method."
        )
    return twin


class Sanity(NamedTuple):
    """How alike explanations of predictors with random weights are to that of the trained one."""

    correlation: float
    """Mean rank correlation of an example's attributions, over examples and draws; 0 by chance."""
    deviation: float | None
    """Of one draw from the next; None of a single draw."""
    interval: Interval | None
    """95 %, of the mean, by the bootstrap over draws; None of a single draw."""
    matching: float
    """How often an example's attributions are more alike to the same example's by a random
    predictor than to another example's; 0.5 by chance."""
    matching_interval: Interval | None
    """95 %, likewise."""


def sanity_check(
    attributions: Tensor, randomised: Tensor, *, generator: torch.Generator | None = None
) -> Sanity:
    r"""Compare attributions with those of many predictors whose weights were drawn anew.

    One draw says little: between draws the mean rank correlation of right explanations has a
    deviation of .1 to .2 for a handful of latents. Matching asks the examples one by one: with the
    rank correlation $\rho_{nm}$ of example $n$ with example $m$ of the random predictor, it is the
    share of pairs $n \ne m$ with $\rho_{nn} > \rho_{nm}$, ties counting half. A figure that shows
    the latents of an example, whatever the predictor, matches.

    References:
        Adebayo et al.: Sanity Checks for Saliency Maps, 2018, https://arxiv.org/abs/1810.03292

    Args:
        attributions: `(batch, latents)`, with their signs.
        randomised: `(draws, batch, latents)`, to the same classes; 20 draws or more.
        generator: Of the bootstrap, on the CPU; default: torch's global one.

    Returns:
        Means, intervals and the deviation between draws. NaN where all rows are constant.

    Raises:
        ValueError: There is no draw, or shapes do not fit.

    Examples:
        >>> attributions = torch.eye(5)  # no two rows are ranked alike
        >>> same = sanity_check(attributions, attributions.expand(20, 5, 5))
        >>> same.correlation, same.matching
        (1.0, 1.0)
    """
    if randomised.ndim != 3 or not len(randomised) or randomised.shape[1:] != attributions.shape:
        raise ValueError(
            "`randomised` must have shape (draws, batch, latents) for `attributions` (batch, "
            f"latents). Got {tuple(randomised.shape)} for {tuple(attributions.shape)}. Stack the "
            "attributions of each draw."
        )
    correlations = rank_correlation(attributions, randomised).double().nanmean(dim=1)
    matching = torch.stack([_matching(attributions, draw) for draw in randomised])
    several = len(randomised) > 1
    return Sanity(
        float(correlations.nanmean()),
        float(correlations.std()) if several else None,
        bootstrap_interval(correlations, generator=generator) if several else None,
        float(matching.nanmean()),
        bootstrap_interval(matching, generator=generator) if several else None,
    )


def _matching(attributions: Tensor, other: Tensor) -> Tensor:
    """Share of the pairs of examples of which the same example is the more alike."""
    alike = rank_correlation(attributions.unsqueeze(1), other.unsqueeze(0)).double()
    own = alike.diagonal().unsqueeze(1)
    wins = (own > alike).double() + 0.5 * (own == alike).double()
    known = alike.isfinite() & own.isfinite()
    known.fill_diagonal_(False)
    return (wins * known).sum() / known.sum()
