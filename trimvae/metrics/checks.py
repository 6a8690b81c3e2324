"""What every metric asks of its arrays."""

from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from attributions.outputs import as_numpy

Array: TypeAlias = np.ndarray[Any, Any]
Seed = int | np.random.Generator


def as_array(values: Any) -> Array:
    """A tensor of any device, or an array, as a NumPy array."""
    return as_numpy(values) if isinstance(values, Tensor) else np.asarray(values)


def check_codes(codes: Any, *, at_least: int = 1, argument: str = "codes") -> Array:
    """Codes `(n, latent_size)` in double precision.

    Raises:
        ValueError: Another shape, NaN or infinity, no row, or fewer columns than `at_least`.
    """
    array = as_array(codes).astype(np.float64)
    if array.ndim != 2 or not len(array):
        raise ValueError(
            f"`{argument}` must have shape (n, latent_size). Got {array.shape}. "
            "Pass one row per example, e.g. vae.encode(inputs).mean."
        )
    if not np.isfinite(array).all():
        raise ValueError(
            f"`{argument}` must be finite. Got NaN or infinity. Check whether training diverged."
        )
    if array.shape[1] < at_least:
        raise ValueError(
            f"`{argument}` must have at least {at_least} latents for this metric. Got "
            f"{array.shape[1]}. A gap between the best and the second latent needs two."
        )
    return array


def check_pair(
    codes: Any, factors: Any, *, latents: int = 1, samples: int = 2
) -> tuple[Array, Array]:
    """Codes `(n, latent_size)` and factors `(n, n_factors)`, one row per example each.

    Raises:
        ValueError: Shapes do not fit, a value is not finite, a factor is constant, or there are
            fewer examples than `samples`.
    """
    array = check_codes(codes, at_least=latents)
    levels = as_array(factors)
    if levels.ndim != 2 or len(levels) != len(array):
        raise ValueError(
            f"`factors` must have shape ({len(array)}, n_factors), one row per row of `codes`. "
            f"Got {levels.shape}. Take both from the same examples."
        )
    if len(array) < samples:
        raise ValueError(
            f"`codes` must hold at least {samples} examples for this metric. Got {len(array)}. "
            "Encode more of the data set."
        )
    if not np.isfinite(levels.astype(np.float64)).all():
        raise ValueError("`factors` must be finite. Got NaN or infinity. Leave such rows out.")
    constant = [k for k in range(levels.shape[1]) if (levels[:, k] == levels[0, k]).all()]
    if constant or not levels.shape[1]:
        raise ValueError(
            f"`factors` must vary in every column. Got constant columns {constant}. Leave them "
            "out: nothing can be said of a factor that does not change."
        )
    return array, levels


def is_continuous(column: Array) -> bool:
    """Whether a factor has values between whole numbers."""
    return column.dtype.kind == "f" and bool((column != np.round(column)).any())


def levels_of(column: Array, bins: int = 20) -> Array:
    """A factor's levels 0, 1, ...: its own, or `bins` equally filled ones if it is continuous."""
    if is_continuous(column):
        edges = np.quantile(column, np.linspace(0, 1, bins + 1)[1:-1])
        column = np.searchsorted(edges, column, side="right")
    return np.unique(column, return_inverse=True)[1].reshape(-1)
