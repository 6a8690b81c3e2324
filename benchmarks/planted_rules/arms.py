"""The arms that planted rules compare: ways to see one trained code along its axes."""

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from attributions import explanatory_axes
from benchmarks.sizes import sized

AS_TRAINED = "as trained"

ARMS: dict[str, Callable[[Any, nn.Module, Tensor], Any]] = {
    AS_TRAINED: lambda code, predictor, inputs: code,
    "explanatory axes": explanatory_axes,
    "sparse axes (price 0)": functools.partial(explanatory_axes, class_price=0.0),
}
"""By name: a trained code, the predictor and inputs `(n, *event)`, to the code along its axes.

Another arm is another line. It must not change the code, the predictor or the inputs: all arms are
given the same.
"""
N_FIT = sized(2_000, 128)


def seen(arm: str, code: Any, predictor: nn.Module, inputs: Tensor) -> Any:
    """Return a code along the axes of an arm, found on the first of the training inputs."""
    return ARMS[arm](code, predictor, inputs[:N_FIT])
