"""By what a run is known again: weights, options, and what it made of the first examples."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attributions.codes import Code
from attributions.predictors import Predictor
from trimvae.json_values import without_nan
from trimvae.storage import checksum, read_json, write_json

# Numbers that were computed: another processor rounds them otherwise.
_COMPUTED = {"first_latents", "first_outputs"}
_RELATIVE, _ABSOLUTE = 1e-3, 1e-4

# Of the largest number: half precision and other processors round by less.
_MOST_ROUNDED = 0.02

_EXAMPLES = 8


def weights_of(function: Any) -> Any:
    """The class of a module and a checksum of its weights; of a function, its name.

    Args:
        function: A module, a method of one, any other function, or None.

    Examples:
        >>> layer = nn.Linear(2, 2)
        >>> before = weights_of(layer)
        >>> with torch.no_grad():
        ...     _ = layer.bias.add_(1)
        >>> weights_of(layer) == before
        False
    """
    owner = getattr(function, "__self__", function)
    if not isinstance(owner, nn.Module):
        return told(function)
    state = {name: each for name, each in owner.state_dict().items() if isinstance(each, Tensor)}
    return [type(owner).__name__, checksum(state)]


def told(value: Any) -> Any:
    """An option as JSON keeps it: tensors and arrays by checksum, functions by name.

    Args:
        value: Of any kind.

    Examples:
        >>> told((1, "a", torch.ones)), told({"n": 2.0})
        ([1, 'a', 'ones'], {'n': 2.0})
    """
    if isinstance(value, Tensor):
        return checksum({"": value})
    if hasattr(value, "__array__"):  # of NumPy or pandas
        array = np.array(value)  # a copy: torch warns of memory that is to be read alone
        return told(torch.from_numpy(array) if array.dtype.kind in "biuf" else array.tolist())
    if isinstance(value, Mapping):
        return {str(name): told(each) for name, each in value.items()}
    if isinstance(value, list | tuple | range):
        return [told(each) for each in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return getattr(value, "__name__", type(value).__name__)


def check_same_run(path: Path, identity: Mapping[str, Any]) -> None:
    """Raise a ValueError where a file keeps the identity of another run; none is as well.

    Args:
        path: What `keep_run` wrote.
        identity: Of this run, by name.

    Raises:
        ValueError: Another run wrote it; what differs is named.
    """
    if not path.exists():
        return
    recorded, wanted = read_json(path), json.loads(json.dumps(without_nan(identity)))
    recorded = recorded if isinstance(recorded, dict) else {}
    differing = [
        f"{name}={_shortened(wanted.get(name))} ({_shortened(recorded.get(name))} in the folder)"
        for name in sorted(wanted.keys() | recorded.keys())
        if not _same(name, wanted.get(name), recorded.get(name))
    ]
    if differing:
        raise ValueError(
            f"`folder` must be new or hold the same run. Got {path.parent} and "
            f"{', '.join(differing)}. Ask for the same again to go on with that run, or choose "
            "another folder."
        )


def keep_run(path: Path, identity: Mapping[str, Any]) -> None:
    """Write the identity of a run, unless it is there.

    Args:
        path: The file.
        identity: By name.
    """
    if not path.exists():
        write_json(path, dict(identity))


def check_made_with(code: Code, predictor: Predictor, recorded: Mapping[str, Tensor]) -> None:
    """Raise a ValueError unless code and predictor say of the first examples what is recorded.

    Args:
        code: That decodes `latents` to `reconstructions`.
        predictor: That says `outputs` of `inputs`.
        recorded: These four, as an explanation keeps them.

    Raises:
        ValueError: One of the two returns something else, or fails.
    """
    first = {name: recorded[name][:_EXAMPLES] for name in recorded}
    with torch.no_grad():
        decoded = _returned("code", code.decode, first["latents"])
        said = _returned("predictor", predictor.in_batches, first["inputs"])
    _check_alike("code", decoded, first["reconstructions"])
    _check_alike("predictor", said, first["outputs"])


def _returned(argument: str, function: Callable[[Tensor], Any], given: Tensor) -> Any:
    try:
        return function(given)
    except Exception as error:  # of whatever kind a module raises where shapes do not fit
        raise _another(argument, f"that cannot be asked what it was ({error})") from error


def _check_alike(argument: str, found: Any, recorded: Tensor) -> None:
    """Raise a ValueError unless numbers are the recorded ones, up to rounding."""
    if not isinstance(found, Tensor) or found.shape != recorded.shape:
        shape = tuple(getattr(found, "shape", ()))
        raise _another(argument, f"that returns shape {shape}, and not {tuple(recorded.shape)}")
    off = float((found.to(recorded) - recorded).abs().max())
    size = float(recorded.abs().max())
    if not off <= _MOST_ROUNDED * size:
        raise _another(argument, f"that returns other numbers (off by {off:.3g} of {size:.3g})")


def _another(argument: str, what: str) -> ValueError:
    return ValueError(
        f"`{argument}` must be the one that the explanation was made with. Got one {what}. Pass "
        "that one, with its weights and `preprocess`."
    )


def _same(name: str, wanted: Any, recorded: Any) -> bool:
    if name not in _COMPUTED or not (_are_numbers(wanted) and _are_numbers(recorded)):
        return bool(wanted == recorded)
    left, right = (torch.tensor(each, dtype=torch.float64) for each in (wanted, recorded))
    return left.shape == right.shape and torch.allclose(
        left, right, rtol=_RELATIVE, atol=_ABSOLUTE * max(1.0, float(right.abs().max()))
    )


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(each, float | int) for each in values)


def _shortened(value: Any) -> str:
    words = str(value)
    return words if len(words) <= 60 else f"{words[:57]}..."
