"""What a predictor returns: outputs, logits, decisions, and what of them is explained."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor


class Contrast(NamedTuple):
    """Explain "why `target` rather than `against`": the difference of two outputs."""

    target: int
    against: int


Explained: TypeAlias = Literal["output", "centred_logit"] | Contrast
"""The predictor's own output; the logit minus the mean logit of the example; or a `Contrast`."""

Task: TypeAlias = Literal["classification", "multilabel", "regression"]
"""Whether outputs are logits of classes, of which one holds; logits of labels, of which any may
hold; or quantities."""

EXPLAINED_AT_ONCE: tuple[Task, ...] = ("classification", "regression")
"""Tasks of one explanation; labels have one each."""


def check_explained(explained: Explained) -> None:
    """Raise a ValueError unless `explained` is one of its forms."""
    if not (isinstance(explained, Contrast) or explained in ("output", "centred_logit")):
        raise ValueError(
            "`explained` must be 'output', 'centred_logit' or a Contrast. "
            f"Got {explained!r}. Choose what to explain, e.g. Contrast(target=3, against=8)."
        )


def check_task(task: Task) -> None:
    """Raise a ValueError unless `task` is a known one."""
    if task not in get_args(Task):
        raise ValueError(
            f"`task` must be 'classification', 'multilabel' or 'regression'. Got {task!r}. "
            "Leave it out where there are several classes, of which one holds."
        )


def select(outputs: Tensor, explained: Explained) -> Tensor:
    """What is explained of logits `(batch, classes)`: all, centred, or the difference of two.

    Raises:
        ValueError: A class of the `Contrast` does not exist, or both are the same.
    """
    if isinstance(explained, Contrast):
        classes = outputs.shape[1]
        if not all(-classes <= index < classes for index in explained):
            raise ValueError(
                f"`explained` must name classes below {classes}. Got {explained}. "
                "Choose classes that the predictor has."
            )
        target, against = explained
        if (target - against) % classes == 0:
            raise ValueError(
                f"`explained` must name two classes. Got {explained}, whose difference is always "
                "0. Choose another class to compare with."
            )
        return (outputs[:, target] - outputs[:, against]).unsqueeze(1)
    if explained == "centred_logit" and outputs.shape[1] > 1:
        return outputs - outputs.mean(dim=1, keepdim=True)
    return outputs


def lost_by_centring(outputs: Tensor) -> bool:
    """Whether the mean logit is so far off that taking it off rounds the decision away.

    So it is where a class is masked by a logit of -1e9.

    Args:
        outputs: Logits `(batch, classes)`.

    Examples:
        >>> logits = torch.randn(5, 3)
        >>> masked = torch.cat([logits, torch.full((5, 1), -1e9)], dim=1)
        >>> lost_by_centring(masked) and not lost_by_centring(logits)
        True
    """
    if outputs.shape[1] < 2:
        return False
    first, second = outputs.topk(2, dim=1).values.unbind(dim=1)
    mean, margin = outputs.mean(dim=1).abs(), first - second
    far = mean > 100 * (first.abs() + margin)
    rounded = torch.finfo(outputs.dtype).eps * mean > 0.01 * margin
    return bool((far & rounded).float().mean() > 0.5)


def as_outputs(returned: Any) -> Tensor:
    """Bring what a predictor returned into the form `(batch, classes)`.

    A mapping or an object with `.logits` (Hugging Face style) gives its logits, a tuple or list
    its first element; `(batch,)` becomes `(batch, 1)`.

    Raises:
        TypeError: Nothing in `returned` is a floating-point tensor.
        ValueError: The tensor has no batch dimension or more than two dimensions.
    """
    if isinstance(returned, Mapping):
        if "logits" not in returned:
            raise TypeError(
                "`predictor` must return a tensor, a tuple or a mapping with the key 'logits'. "
                f"Got a mapping with the keys {sorted(map(str, returned))}. "
                "Wrap it in a module that returns the logits."
            )
        returned = returned["logits"]
    elif isinstance(getattr(returned, "logits", None), Tensor):
        returned = returned.logits
    elif isinstance(returned, tuple | list) and returned:
        returned = returned[0]
    if not isinstance(returned, Tensor):
        raise TypeError(
            "`predictor` must return a tensor, a tuple or a mapping with the key 'logits'. "
            f"Got {type(returned).__name__}. Wrap it in a module that returns the logits."
        )
    if not returned.is_floating_point():
        raise TypeError(
            "`predictor` must return floating-point outputs that can be differentiated. "
            f"Got dtype {returned.dtype}. Return the logits, not their argmax."
        )
    if returned.ndim not in (1, 2):
        raise ValueError(
            "`predictor` must return outputs of shape (batch, classes), (batch, 1) or (batch,). "
            f"Got shape {tuple(returned.shape)}. Reduce the other dimensions in a wrapping module."
        )
    return returned.unsqueeze(1) if returned.ndim == 1 else returned


def as_logits(outputs: Tensor, are_probabilities: bool, *, of_labels: bool = False) -> Tensor:
    """Logits of outputs `(batch, classes)`, never infinite.

    Of probabilities of classes their logarithms, of those of labels the logarithms of their odds.
    """
    if not are_probabilities:
        return outputs
    limits = torch.finfo(outputs.dtype)
    if of_labels:
        return outputs.logit(eps=limits.eps)
    return outputs.clamp_min(limits.tiny).log()


def are_probabilities(outputs: Tensor) -> bool:
    """Whether every row of `(batch, classes)` is a probability distribution (a softmax's output).

    Examples:
        >>> logits = torch.randn(5, 3)
        >>> are_probabilities(logits.softmax(1)) and not are_probabilities(logits)
        True
    """
    if outputs.shape[1] < 2:
        return False
    row_sums = outputs.sum(dim=1)
    return bool((outputs >= 0).all() and torch.allclose(row_sums, row_sums.new_ones(()), atol=1e-3))


def are_label_probabilities(outputs: Tensor) -> bool:
    """Whether all of `(batch, labels)` are probabilities of labels (a sigmoid's output).

    Examples:
        >>> logits = torch.tensor([[-1.0, 2.0]])
        >>> are_label_probabilities(logits.sigmoid()) and not are_label_probabilities(logits)
        True
    """
    return bool(((outputs >= 0) & (outputs <= 1)).all())


def by_decision(outputs: Tensor, task: Task) -> Tensor:
    """Outputs with a row for each decision: `(batch * labels, 1)` of labels, else as they are."""
    return outputs.reshape(-1, 1) if task == "multilabel" else outputs


def decisions(outputs: Tensor) -> Tensor:
    """Predicted class of outputs `(batch, classes)`; for a single logit, whether it is above 0."""
    return (outputs[:, 0] > 0).long() if outputs.shape[1] == 1 else outputs.argmax(dim=1)


def both_classes(outputs: Tensor) -> Tensor:
    """Logits `(batch, classes)`; a single binary logit gives (negative, positive)."""
    if outputs.shape[1] > 1:
        return outputs
    return torch.cat([torch.zeros_like(outputs), outputs], dim=1)


def as_numpy(values: Tensor) -> "np.ndarray[Any, Any]":
    """A tensor of any device as an array; one in bfloat16, which NumPy lacks, in float32."""
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def visible_change(change: Tensor) -> Tensor:
    """What an error of each output is measured by: its change, or half of the largest one.

    Outputs are drawn on one scale. Beside the one that changes most, a small one is not seen by
    its own.

    Args:
        change: `(..., classes)`.

    Returns:
        `(..., classes)`, not negative.
    """
    size = change.abs()
    return torch.maximum(size, 0.5 * size.amax(dim=-1, keepdim=True))
