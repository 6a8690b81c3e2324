"""Tables at the door: rows for a code that knows their columns, and predictors that take rows."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attributions.black_boxes import BlackBox, as_function, is_black_box
from trimvae.tables.schema import TableSchema, is_frame

if TYPE_CHECKING:
    import pandas as pd


def schema_of(code: object) -> TableSchema | None:
    """The columns that a code was made for; None of a code that was made for tensors."""
    found = getattr(code, "schema", None)
    return found if isinstance(found, TableSchema) else None


def encoded_by(code: object, data: Any, *, training: bool = False) -> Any:
    """A DataFrame as the tensor that the code takes; anything else as it is.

    Args:
        code: Of `VAE.table`, or any other.
        data: Whatever `fit`, `explain` or `evaluate` was given.
        training: Whether the code is to be trained on it, so that earlier training says nothing.

    Raises:
        TypeError: A column holds no numbers where it did in training.
        ValueError: The table does not fit the code, or has its columns in another order than in
            training.
    """
    schema = schema_of(code)
    if schema is not None:
        return schema.encode(data) if is_frame(data) else data
    if not training:
        check_columns((getattr(code, "trained_with", None) or {}).get("columns"), data)
    return data


def columns_of(data: Any) -> list[str] | None:
    """Names of a DataFrame's columns; None of anything else."""
    return [str(name) for name in data.columns] if is_frame(data) else None


def check_columns(known: Sequence[str] | None, data: Any) -> None:
    """Raise a ValueError where a DataFrame has the columns of training in another order.

    What has other names is nobody's to tell.

    Args:
        known: Columns in training; None, where they had no names.
        data: Whatever was given.
    """
    found = columns_of(data)
    if known is None or found is None or found == list(known) or sorted(found) != sorted(known):
        return
    place = next(place for place, name in enumerate(found) if name != known[place])
    raise ValueError(
        "`frame` must have its columns in the order of training. Got "
        f"{found[place]!r} in the place of {known[place]!r}. "
        "Pass frame[code.trained_with['columns']]."
    )


def of_rows(
    schema: TableSchema,
    function: Callable[["pd.DataFrame"], Any],
    scores: Callable[["pd.DataFrame"], Any] | None = None,
) -> BlackBox:
    """Return a predictor of tensors that asks a function of DataFrames.

    It is asked about rows that a table can hold: of a category the likeliest value, whole numbers
    where there were whole ones, and nothing beyond the range in training. It has no gradient.

    Args:
        schema: Of the code: `code.schema`.
        function: DataFrame to array `(n, classes)` of scores or probabilities, or to `(n,)`.
        scores: What probabilities may be the softmax of, likewise; default: none.

    Examples:
        >>> import pandas as pd
        >>> schema = TableSchema.of(pd.DataFrame({"age": [20, 30, 70]}))
        >>> predictor = of_rows(schema, lambda frame: frame[["age"]].to_numpy(dtype=float))
        >>> predictor(schema.encode(pd.DataFrame({"age": [30]}))).item()
        30.0
    """

    def of_frame(asked: Callable[["pd.DataFrame"], Any]) -> Callable[..., Any]:
        def ask(rows: "np.ndarray[Any, Any]") -> Any:
            # A copy: pandas returns memory that may not be written to.
            return np.array(asked(schema.to_frame(torch.from_numpy(rows))))

        return ask

    return BlackBox(of_frame(function), scores=None if scores is None else of_frame(scores))


def for_rows(code: object, predictor: Any) -> Any:
    """An estimator that was fitted to a DataFrame, as a predictor of the code's tensors.

    Args:
        code: Of `VAE.table`; with any other code the predictor is returned as it is.
        predictor: Whatever `fit`, `explain` or `evaluate` was given.

    Raises:
        ValueError: The estimator was fitted to other columns.
    """
    schema = schema_of(code)
    fitted_to = None if callable(predictor) else getattr(predictor, "feature_names_in_", None)
    if schema is None or fitted_to is None:
        return predictor
    wanted = [str(name) for name in fitted_to]
    unknown = [name for name in wanted if name not in schema.names]
    if unknown:
        raise ValueError(
            f"`predictor` must be fitted to columns of the code's table. Got {unknown[0]!r}, which "
            "it lacks. Fit both to the same columns, or make the code of the predictor's."
        )
    asked = as_function(predictor)
    if not is_black_box(asked):
        return predictor
    scores = None if asked.scores is None else lambda frame: asked.scores(frame[wanted])
    return of_rows(schema, lambda frame: asked.function(frame[wanted]), scores)
