"""Predictors without gradients: a function of arrays, or an estimator of scikit-learn."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attributions.outputs import as_numpy
from attributions.saying import said_of

BlackBoxFunction = Callable[..., Any]


class BlackBox:
    """A predictor that is asked with arrays and has no gradient; made by `black_box`.

    Args:
        function: Array `(batch, *event)` to array `(batch, classes)` or `(batch,)`.
        columns: Names of a table's columns; default: none.
    """

    def __init__(self, function: BlackBoxFunction, columns: Sequence[str] | None = None) -> None:
        self.function = function
        self.columns = None if columns is None else tuple(map(str, columns))

    def __call__(self, inputs: Tensor) -> Tensor:
        """Inputs `(batch, *event)` to outputs `(batch, classes)` or `(batch,)`, without a graph."""
        array: Any = as_numpy(inputs).copy()
        if self.columns is not None:
            import pandas as pd

            array = pd.DataFrame(array, columns=list(self.columns))
        with said_of("predictor", self.function):
            returned = self.function(array)
        outputs = np.asarray(returned)
        if outputs.dtype.kind not in "fiub":
            raise TypeError(
                "`predictor` must return numbers. Got an array of "
                f"{outputs.dtype}. Return scores or probabilities, not names of classes."
            )
        return torch.as_tensor(outputs, dtype=inputs.dtype, device=inputs.device)


def black_box(function: BlackBoxFunction, *, columns: Sequence[str] | None = None) -> "BlackBox":
    """Return a predictor that asks any function of arrays: another library, a service, a rule.

    It has no gradient. Methods that need none explain it: `exact_shapley`, and Captum's
    `KernelShap`, `ShapleyValueSampling`, `FeatureAblation` and `Lime`.

    Args:
        function: Array `(batch, *event)` to array `(batch, classes)`, of scores or probabilities,
            or to `(batch,)`.
        columns: Names of a table's columns, where the function takes a DataFrame; default: it
            takes an array.

    Returns:
        The predictor.

    Raises:
        TypeError: `function` cannot be called.

    Examples:
        >>> predictor = black_box(lambda rows: np.stack([rows.sum(axis=1), -rows[:, 0]], axis=1))
        >>> predictor(torch.ones(2, 3)).tolist()
        [[3.0, -1.0], [3.0, -1.0]]
    """
    if not callable(function):
        raise TypeError(
            f"`function` must be a function of arrays. Got {type(function).__name__}. Pass e.g. "
            "model.predict_proba."
        )
    return BlackBox(function, columns)


def as_function(predictor: Any) -> Any:
    """Return an estimator of scikit-learn as a black box, and anything else as it is.

    Of an estimator `predict_proba` is asked, or `decision_function`, or, of a regressor,
    `predict`. What was fitted to a DataFrame is asked with one.

    Args:
        predictor: Module, function or estimator.

    Raises:
        TypeError: It is a classifier that only names classes.
    """
    if callable(predictor) or not hasattr(predictor, "predict"):
        return predictor
    columns = getattr(predictor, "feature_names_in_", None)
    for name in ("predict_proba", "decision_function"):
        method = getattr(predictor, name, None)
        if method is not None:
            return BlackBox(method, columns)
    if hasattr(predictor, "classes_"):
        raise TypeError(
            "`predictor` must return scores or probabilities. Got "
            f"{type(predictor).__name__}, which only names classes. Wrap it in scikit-learn's "
            "CalibratedClassifierCV."
        )
    return BlackBox(predictor.predict, columns)


def is_black_box(predictor: object) -> bool:
    """Whether a predictor is known to have no gradient."""
    return isinstance(predictor, BlackBox)
