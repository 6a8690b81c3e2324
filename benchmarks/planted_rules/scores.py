"""Are the axes of a code the factors of a rule, and does an explanation by classes say so?"""

import torch
from torch import Tensor

from benchmarks.planted_rules.class_rules import ClassRule
from benchmarks.planted_rules.rules import FACTORS

UNORDERED = ("shape",)


def correlations(latents: Tensor, factors: Tensor) -> Tensor:
    r"""How far each axis of a code is each factor.

    |Correlation|, and for a factor without order the correlation ratio of the axis,

    $$ \eta^2 = \frac{\sum_g n_g (\bar z_g - \bar z)^2}{\sum_n (z_n - \bar z)^2} $$

    over the groups of examples with one value.

    References:
        Fisher: Statistical Methods for Research Workers, 1925, chapter 8.

    Args:
        latents: `(n, latents)`.
        factors: `(n, factors)`, levels of the factors of `FACTORS`.

    Returns:
        `(latents, factors)`, from 0 to 1; 0 for an axis or a factor that does not vary.
    """
    axes = latents.double() - latents.double().mean(dim=0)
    lengths = axes.pow(2).sum(dim=0)
    columns = []
    for name, levels in zip(FACTORS, factors.T, strict=True):
        if name in UNORDERED:
            groups = torch.nn.functional.one_hot(levels.unique(return_inverse=True)[1]).double()
        else:
            groups = (levels.double() - levels.double().mean()).unsqueeze(1)
        # What a least-squares fit by the groups, or by the factor, explains of each axis.
        explained = (groups.T @ axes).pow(2) / groups.pow(2).sum(dim=0).clamp_min(1e-12)[:, None]
        columns.append((explained.sum(dim=0) / lengths.clamp_min(1e-12)).sqrt())
    return torch.stack(columns, dim=1)


def factor_correlation(latents: Tensor, factors: Tensor) -> Tensor:
    """How far each factor has an axis: the largest of its `correlations`, `(factors,)`."""
    return correlations(latents, factors).amax(dim=0)


def strongest_is_factors(
    attributions: Tensor, predicted: Tensor, correlation: Tensor, rule: ClassRule
) -> dict[str, float]:
    """How often the axis that tells two classes apart is the axis of the factor that does.

    Between the predicted class of an example and every class that differs from it in one factor
    alone: is the strongest axis of the contrast (attributions to the one less those to the other)
    the axis that correlates most with that factor? Pitfall: where one axis is nearest to every
    factor, and always strongest, the answer is yes as well. Read `factor_correlation` beside it:
    two independent factors cannot both correlate above .71 with one axis.

    Args:
        attributions: `(batch, classes, latents)`.
        predicted: `(batch,)`, the predicted classes.
        correlation: `(latents, factors)`, from `correlations`.
        rule: Says in which factors classes differ.

    Returns:
        For each factor of the rule the share of pairs of an example and a class; NaN where there
        is none.
    """
    own = attributions[torch.arange(len(predicted)), predicted]
    strongest = (own.unsqueeze(1) - attributions).abs().argmax(dim=2)
    between = rule.between[predicted]
    alone = between.sum(dim=2, keepdim=True) == 1
    shares = {}
    for name in rule.relevant:
        place = FACTORS.index(name)
        neighbours = (between & alone)[:, :, place]
        right = strongest == correlation[:, place].argmax()
        shares[name] = float(right[neighbours].double().mean())
    return shares
