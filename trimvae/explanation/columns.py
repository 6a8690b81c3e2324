"""Which classes attributions go to: all, some, or of each example the predicted one."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import Tensor

from attributions.outputs import decisions
from attributions.predictors import Predictor

Classes: TypeAlias = int | str | Sequence[int | str]
"""A class by number or name, or several; `"all"`; or `"predicted"`, of each example its own."""

Chosen: TypeAlias = Literal["predicted"] | list[int] | None
"""The same as an explanation notes it: numbers of classes, `"predicted"`, or None for all."""

MOST_CLASSES = 100
"""Of more classes, each example's predicted one alone is attributed by default."""

_WORDS = ("all", "predicted")


def chosen_classes(
    classes: Classes | None, predictor: Predictor, outputs: Tensor, names: Sequence[str]
) -> Chosen:
    """Bring a choice of classes into the form that an explanation notes.

    Args:
        classes: The choice; None for the default: all, or of more than 100 the predicted one.
        predictor: What is explained.
        outputs: `(batch, outputs)`, its logits.
        names: Of the classes.

    Raises:
        TypeError: A class is neither a number nor a name.
        ValueError: There is no such class, one is named twice or none at all, or a single output
            is explained.
    """
    several = predictor.task == "classification" and predictor.select(outputs).shape[1] > 1
    in_a_word = classes if isinstance(classes, str) and classes in _WORDS else None
    if not several and classes is not None and not in_a_word:
        raise ValueError(
            "`classes` must be left out where there is one output to explain, or a regression. Got "
            f"{classes!r}. Leave it out."
        )
    if not several or in_a_word == "all":
        return None
    if classes is None:
        return "predicted" if len(names) > MOST_CLASSES else None
    if in_a_word:
        return "predicted"
    single = isinstance(classes, str) or not isinstance(classes, Iterable)
    listed: list[Any] = [classes] if single else list(cast("Iterable[int | str]", classes))
    numbers = [_number_of(each, names) for each in listed]
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(
            f"`classes` must name at least one class, and each once. Got {listed}. Choose others, "
            "or 'predicted'."
        )
    return numbers


def targets_of(chosen: Chosen, outputs: Tensor) -> Tensor | None:
    """Which outputs are attributed, of each example `(batch, wanted)`; None for all.

    Beside chosen classes, and after them, each example's predicted one: what latents are used for.
    """
    if chosen is None:
        return None
    predicted = decisions(outputs).unsqueeze(1)
    if chosen == "predicted":
        return predicted
    columns = torch.tensor(chosen, device=outputs.device).expand(len(outputs), -1)
    return torch.cat([columns, predicted], dim=1)


def _number_of(each: int | str, names: Sequence[str]) -> int:
    shown = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
    remedy = f"Choose among {shown}, their numbers, 'predicted' and 'all'."
    if isinstance(each, str):
        number = names.index(each) if each in names else -1
    else:
        try:
            number = int(each)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"`classes` must be numbers or names of classes. Got {each!r}. {remedy}"
            ) from error
    if not 0 <= number < len(names) or (not isinstance(each, str) and number != each):
        raise ValueError(
            f"`classes` must be classes that the predictor has. Got {each!r}. {remedy}"
        )
    return number
