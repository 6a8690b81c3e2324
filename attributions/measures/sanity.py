"""Does the explanation depend on what it explains? Randomised predictors."""

import copy

import torch
from torch import Tensor, nn

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
