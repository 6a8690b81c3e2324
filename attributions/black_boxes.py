"""Predictors without gradients: a function of arrays, or an estimator of scikit-learn."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attributions.outputs import as_numpy
from attributions.saying import said_of

BlackBoxFunction = Callable[..., Any]

LEAST_PROBABILITY = 1e-3
"""Of a black box: a forest of 100 trees says 0 where it only means rarely, and has no logarithm."""


class BlackBox:
    """A predictor that is asked with arrays and has no gradient; made by `black_box`.

    Args:
        function: Array `(batch, *event)` to array `(batch, classes)` or `(batch,)`.
        columns: Names of a table's columns; default: none.
        scores: Of an estimator that gives probabilities, what they may be the softmax of (of one
            column: the log-odds of yes). Default: none.
    """

    def __init__(
        self,
        function: BlackBoxFunction,
        columns: Sequence[str] | None = None,
        scores: BlackBoxFunction | None = None,
    ) -> None:
        self.function, self.scores = function, scores
        self.columns = None if columns is None else tuple(map(str, columns))

    @property
    def least(self) -> float:
        """The least probability that it can mean, where it gives probabilities."""
        return LEAST_PROBABILITY if self.scores is None else 0.0

    def __call__(self, inputs: Tensor) -> Tensor:
        """Inputs `(batch, *event)` to outputs `(batch, classes)` or `(batch,)`, without a graph."""
        outputs = self._asked(self.function, inputs)
        if outputs.dtype.kind not in "fiub":
            raise TypeError(
                "`predictor` must return numbers. Got an array of "
                f"{outputs.dtype}. Return scores or probabilities, not names of classes."
            )
        return torch.as_tensor(outputs, dtype=inputs.dtype, device=inputs.device)

    def logarithms(self, inputs: Tensor) -> Tensor | None:
        """Logarithms of its probabilities, `(batch, classes)`, from scores that these come from.

        None where there are no such scores: then they are margins or votes, and not asked again.
        """
        if self.scores is None:
            return None
        found = _log_softmax(self._asked(self.scores, inputs))
        if not _are_logarithms(found, self._asked(self.function, inputs)):
            self.scores = None
            return None
        return torch.as_tensor(found, dtype=inputs.dtype, device=inputs.device)

    def _asked(self, function: BlackBoxFunction, inputs: Tensor) -> "np.ndarray[Any, Any]":
        array: Any = as_numpy(inputs).copy()
        if self.columns is not None:
            import pandas as pd

            array = pd.DataFrame(array, columns=list(self.columns))
        with said_of("predictor", function):
            return np.asarray(function(array))


def _log_softmax(scores: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Of scores `(batch, classes)`, or of the log-odds of yes, `(batch,)`: `(batch, classes)`."""
    logits = torch.as_tensor(np.asarray(scores, dtype=np.float64))
    if logits.ndim == 1:
        logits = torch.stack([torch.zeros_like(logits), logits], dim=1)
    return logits.log_softmax(dim=1).numpy()


def _are_logarithms(found: "np.ndarray[Any, Any]", probabilities: "np.ndarray[Any, Any]") -> bool:
    """Whether they are those of these probabilities, of small ones as well, up to rounding."""
    if found.shape != probabilities.shape:
        return False
    rounding = 4 * float(np.finfo(np.result_type(probabilities, np.float32)).eps)  # of 1 - p
    return bool(np.allclose(np.exp(found), probabilities, rtol=0.01, atol=rounding))


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
    `predict`. Where probabilities are the softmax of scores (a logistic regression's, boosted
    trees', naive Bayes'), their logarithms are taken from these. What was fitted to a DataFrame is
    asked with one.

    Args:
        predictor: Module, function or estimator.

    Raises:
        TypeError: It is a classifier that only names classes.
    """
    if callable(predictor) or not hasattr(predictor, "predict"):
        return predictor
    columns = getattr(predictor, "feature_names_in_", None)
    scores = _first_of(predictor, "decision_function", "predict_joint_log_proba")
    if hasattr(predictor, "predict_proba"):
        return BlackBox(predictor.predict_proba, columns, scores)
    if hasattr(predictor, "decision_function"):
        return BlackBox(predictor.decision_function, columns)
    if hasattr(predictor, "classes_"):
        raise TypeError(
            "`predictor` must return scores or probabilities. Got "
            f"{type(predictor).__name__}, which only names classes. Wrap it in scikit-learn's "
            "CalibratedClassifierCV."
        )
    return BlackBox(predictor.predict, columns)


def _first_of(predictor: Any, *names: str) -> Any:
    """The first of these methods that an estimator has; None where it has none."""
    found = (getattr(predictor, name, None) for name in names)
    return next((method for method in found if method is not None), None)


def classes_of(predictor: object) -> tuple[str, ...]:
    """Names of the classes of a fitted estimator that is asked as a black box; none of others."""
    if not isinstance(predictor, BlackBox):
        return ()
    owner = getattr(predictor.function, "__self__", None)
    return tuple(map(str, getattr(owner, "classes_", ())))


def is_black_box(predictor: object) -> bool:
    """Whether a predictor is known to have no gradient."""
    return isinstance(predictor, BlackBox)
