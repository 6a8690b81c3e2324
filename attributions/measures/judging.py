"""Judges: is a reconstruction read alike by classifiers that had no part in making it?"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from attributions.measures.intervals import Interval, bootstrap_interval
from attributions.outputs import decisions
from attributions.predictors import Function, Predictor, as_predictor, gives_probabilities


class Judgement(NamedTuple):
    """Agreement of the predictor with itself, and of judges with themselves."""

    predictor: float
    """Share of inputs whose reconstruction the predictor decides alike."""
    judges: tuple[float, ...]
    """The same of each judge."""
    gap: float
    """The predictor's less the judges' mean."""
    interval: Interval | None
    """95 %, by the bootstrap over examples; None of fewer than two."""


def judgement(
    predictor_agrees: Tensor, judges_agree: Tensor, *, generator: torch.Generator | None = None
) -> Judgement:
    r"""How much better a predictor recognises reconstructions than its judges do.

    $$ \mathrm{gap} = \frac{1}{N} \sum_n [f(x_n) = f(\hat x_n)] -
       \frac{1}{J N} \sum_{jn} [g_j(x_n) = g_j(\hat x_n)] $$

    with decisions of the predictor $f$ and of judges $g_j$, each at the input and at its
    reconstruction. Near 0 where the reconstruction shows what all of them look for; high where it
    holds what this predictor alone takes for it, as an adversarial example does.

    References:
        Hvilshoj, Iosifidis, Assent: On Quantitative Evaluations of Counterfactuals, 2021,
        https://arxiv.org/abs/2111.00177 (independent classifiers as judges of what was generated).

    Args:
        predictor_agrees: `(n,)`, of zeros and ones.
        judges_agree: `(judges, n)`.
        generator: Of the bootstrap, on the CPU; default: torch's global one.

    Returns:
        Agreements, gap and interval.

    Raises:
        ValueError: There is no judge or no example, or shapes do not fit.

    Examples:
        >>> found = judgement(torch.ones(8), torch.tensor([[1.0, 0.0] * 4, [1.0] * 8]))
        >>> found.gap, found.judges
        (0.25, (0.5, 1.0))
    """
    if judges_agree.ndim != 2 or judges_agree.shape[1:] != predictor_agrees.shape:
        raise ValueError(
            "`judges_agree` must have shape (judges, n), and `predictor_agrees` (n,). Got "
            f"{tuple(judges_agree.shape)} and {tuple(predictor_agrees.shape)}. Ask all of them of "
            "the same inputs."
        )
    if not judges_agree.numel():
        raise ValueError(
            f"`judges_agree` must hold a judge and an example. Got {tuple(judges_agree.shape)}. "
            "Name another classifier for the same labels."
        )
    own, others = predictor_agrees.double(), judges_agree.double()
    difference = own - others.mean(dim=0)
    return Judgement(
        float(own.mean()),
        tuple(others.mean(dim=1).tolist()),
        float(difference.mean()),
        bootstrap_interval(difference, generator=generator),
    )


def judges_agree(judges: Sequence[Function], inputs: Tensor, reconstructions: Tensor) -> Tensor:
    """Whether each judge decides each reconstruction as it decides the input.

    Args:
        judges: Classifiers, inputs `(batch, *event)` to `(batch, classes)`; as of a predictor, none
            is changed.
        inputs: `(n, *event)`.
        reconstructions: Same shape.

    Returns:
        `(judges, n)`, of zeros and ones.

    Raises:
        ValueError: There is no judge.

    Examples:
        >>> inputs = torch.randn(5, 3)
        >>> judges_agree([torch.nn.Linear(3, 2)], inputs, inputs).tolist()
        [[1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    if not judges:
        raise ValueError(
            "`judges` must be one or more classifiers. Got none. Pass some that were trained on "
            "the same labels, and not with the code."
        )
    asked = [as_predictor(judge) for judge in judges]
    return torch.stack(
        [
            decisions(judge.in_batches(inputs)) == decisions(judge.in_batches(reconstructions))
            for judge in asked
        ]
    ).double()


def check_judges(judges: Sequence[Function], inputs: Tensor, classes: int) -> None:
    """Raise a ValueError unless every judge tells the same number of classes.

    Args:
        judges: Classifiers.
        inputs: A few examples, `(batch, *event)`.
        classes: How many outputs the predictor has.
    """
    for place, judge in enumerate(judges):
        outputs = as_predictor(judge).in_batches(inputs)
        if tuple(outputs.shape) != (len(inputs), classes):
            raise ValueError(
                f"`judges` must tell the predictor's {classes} classes. Got judge {place} with "
                f"outputs {tuple(outputs.shape)} for {len(inputs)} inputs. Pass classifiers that "
                "were trained on the same labels."
            )


def listed(judges: Sequence[Function]) -> Sequence[Function]:
    """Return judges as they are.

    Raises:
        TypeError: They are one classifier, which may have a length as well, or no list.
    """
    single = callable(judges) or hasattr(judges, "predict")
    if single or not isinstance(judges, Iterable):
        raise TypeError(
            f"`judges` must be a list of classifiers. Got {type(judges).__name__}. "
            "Write judges=[classifier]."
        )
    return judges


def as_judges(judges: Sequence[Function], predictor: Predictor, inputs: Tensor) -> list[Predictor]:
    """Freeze judges, behind the same preprocessing as the predictor; a `Predictor` has its own.

    Args:
        judges: Other classifiers for the same labels.
        predictor: The one that is explained.
        inputs: A few examples, `(batch, *event)`.

    Raises:
        TypeError: They are no list.
        ValueError: The predictor is a regressor, of which there is no decision to judge, or a judge
            tells other classes.
    """
    if listed(judges) and predictor.task == "regression":
        raise ValueError(
            "`judges` must judge a classification. Got a regression, which decides nothing. Leave "
            "them out."
        )
    frozen = [
        judge
        if isinstance(judge, Predictor)
        else Predictor(judge, preprocess=predictor.original[1])
        for judge in judges
    ]
    if frozen:
        check_judges(frozen, inputs, predictor.in_batches(inputs).shape[1])
    for made, judge in zip(frozen, judges, strict=True):
        if made is not judge:  # of a sigmoid every output is above 0
            made.probabilities = gives_probabilities(made, made.in_batches(inputs), inputs)
    return frozen
