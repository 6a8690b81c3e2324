"""Counterfactuals judged from outside: by inserted pixels, other classifiers, known factors."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.checks import check_counts
from attributions.outputs import both_classes, decisions
from attributions.predictors import Function, as_predictor


def cout(
    predictor: Function,
    inputs: Tensor,
    counterfactuals: Tensor,
    *,
    source: Tensor | None = None,
    target: Tensor | None = None,
    n_steps: int = 50,
) -> Tensor:
    r"""Counterfactual transition: do the most changed pixels carry the decision over?

    Pixels of the counterfactual are put into the input, those of the largest change
    $|x' - x|$ (summed over channels) first. COUT is the area under the probability of the target
    class, less that of the source class, along the way: 1 where the first pixels do it all, -1
    where nothing does.

    References:
        Jeanneret, Simon, Jurie: Adversarial Counterfactual Visual Explanations, 2023,
        https://arxiv.org/abs/2303.09962

    Args:
        predictor: Module or function, inputs `(batch, *event)` to logits `(batch, classes)`.
        inputs: `(batch, channels, *places)`, or rows of a table `(batch, columns)`.
        counterfactuals: The same shape.
        source: `(batch,)`, the class before; default: the decision at the inputs.
        target: `(batch,)`, the class wanted; default: the decision at the counterfactuals.
        n_steps: In how many parts the pixels are put in.

    Returns:
        `(batch,)`, from -1 to 1.

    Raises:
        ValueError: Shapes differ, or `n_steps` is below 1.

    Examples:
        >>> inputs, weight = torch.zeros(1, 4), torch.tensor([[9.0, 0.0, 0.0, 0.0]])
        >>> changed = torch.tensor([[2.0, 0.1, 0.1, 0.1]])
        >>> found = cout(lambda x: x @ weight.T - 9, inputs, changed, n_steps=4)
        >>> bool(found > 0.7)
        True
    """
    check_counts(n_steps=n_steps)
    _check_shapes(inputs, counterfactuals)
    asked = as_predictor(predictor)
    change = (counterfactuals - inputs).abs()
    places = change.sum(dim=1) if inputs.ndim > 2 else change
    order = places.flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1).reshape(places.shape)
    rank = rank.unsqueeze(1) if inputs.ndim > 2 else rank
    with torch.no_grad():
        ends = [both_classes(asked(side)) for side in (inputs, counterfactuals)]
        source = ends[0].argmax(dim=1) if source is None else source
        target = ends[1].argmax(dim=1) if target is None else target
        gains = []
        for step in range(n_steps + 1):
            count = round(order.shape[1] * step / n_steps)
            chances = both_classes(
                asked(torch.where(rank < count, counterfactuals, inputs))
            ).softmax(dim=1)
            wanted, before = (chances.gather(1, which.unsqueeze(1)) for which in (target, source))
            gains.append((wanted - before)[:, 0])
    return torch.trapezoid(torch.stack(gains, dim=1), dx=1 / n_steps, dim=1)


def oracle_score(judges: Sequence[Function], counterfactuals: Tensor, target: Tensor) -> Tensor:
    """Share of counterfactuals that other classifiers give the target class as well.

    A change that fools the explained classifier alone is an adversarial example: no other follows.

    References:
        Hvilshøj, Iosifidis, Assent: On Quantitative Evaluations of Counterfactuals, 2021,
        https://arxiv.org/abs/2111.00177

    Args:
        judges: Classifiers for the same labels, which took no part in the search.
        counterfactuals: `(batch, *event)`.
        target: `(batch,)`, the class that each was made for.

    Returns:
        `(judges,)`, from 0 to 1.

    Raises:
        ValueError: There are no judges.

    Examples:
        >>> inputs, target = torch.tensor([[1.0], [-1.0]]), torch.tensor([1, 1])
        >>> oracle_score([lambda x: x, lambda x: x * 0 + 1], inputs, target).tolist()
        [0.5, 1.0]
    """
    if not judges:
        raise ValueError(
            "`judges` must hold at least one classifier. Got none. Train another one on the labels."
        )
    with torch.no_grad():
        shares = [
            (decisions(as_predictor(judge)(counterfactuals)) == target).double().mean()
            for judge in judges
        ]
    return torch.stack(shares)


class Estimated(NamedTuple):
    """What `bex` found of counterfactuals, each a scalar from 0 to 1."""

    success: Tensor
    """Share that shows what the classifier uses, and is no mere change of the class."""
    trivial: Tensor
    """Share that changes the class, and the classifier with it: true, and known before."""


def bex(
    classifier_flips: Tensor, oracle_flips: Tensor, others_stay: Tensor, both_right: Tensor
) -> Estimated:
    r"""Do counterfactuals show a bias of the classifier, or the class itself?

    A counterfactual is *causal for the classifier* where its decision flips while the factors it
    should not depend on stay, and *causal for the oracle* where that alone flips. It succeeds where
    it is one of both and classifier and oracle are not both right before and after; where they
    are, it is trivial.

    References:
        Vazquez et al.: BEx, a Benchmark for Evaluating Explanations (package `bex`); Rodriguez et
        al.: Beyond Trivial Counterfactual Explanations with Diverse Valuable Explanations, 2021,
        https://arxiv.org/abs/2103.10226

    Args:
        classifier_flips: `(batch,)`, bool: the explained classifier's decision is another.
        oracle_flips: `(batch,)`, bool: the true label is another.
        others_stay: `(batch,)`, bool: factors that do not belong to the label are what they were.
        both_right: `(batch,)`, bool: classifier and oracle agree before and after.

    Returns:
        Success and triviality.

    Raises:
        TypeError: One of them is no mask.
        ValueError: They have different lengths.

    Examples:
        >>> yes, no = torch.tensor([True, True]), torch.tensor([False, False])
        >>> found = bex(yes, no, yes, no)
        >>> float(found.success), float(found.trivial)
        (1.0, 0.0)
    """
    masks = {
        "classifier_flips": classifier_flips,
        "oracle_flips": oracle_flips,
        "others_stay": others_stay,
        "both_right": both_right,
    }
    for name, mask in masks.items():
        if mask.dtype != torch.bool:
            raise TypeError(f"`{name}` must be a mask. Got {mask.dtype}. Compare first.")
        if mask.shape != classifier_flips.shape or mask.ndim != 1 or not len(mask):
            raise ValueError(
                f"`{name}` must have shape (batch,), as all others. Got {tuple(mask.shape)} beside "
                f"{tuple(classifier_flips.shape)}. Take all from the same counterfactuals."
            )
    of_classifier = classifier_flips & others_stay
    of_oracle = oracle_flips & ~classifier_flips
    return Estimated(
        success=((of_classifier | of_oracle) & ~both_right).double().mean(),
        trivial=(of_classifier & both_right).double().mean(),
    )


def _check_shapes(inputs: Tensor, counterfactuals: Tensor) -> None:
    if inputs.shape != counterfactuals.shape or inputs.ndim < 2:
        raise ValueError(
            "`counterfactuals` must have the shape of the inputs, (batch, *event). Got "
            f"{tuple(counterfactuals.shape)} beside {tuple(inputs.shape)}. Decode both."
        )
