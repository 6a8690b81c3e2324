"""Arrays of the user's own, from an .npz."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trimvae.data.archives import read_npz
from trimvae.data.loading import as_tensor
from trimvae.data.splits import Split, split

_Array = np.ndarray[Any, Any]
_INPUTS = ("inputs", "test_inputs")
_ARRAYS = (*_INPUTS, "labels", "test_labels", "class_names", "feature_names")
_BRIGHTEST = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
"""What stands for white, in the types that pictures are kept in."""
_REMEDY = "Write it with numpy.savez(path, inputs=..., labels=...)."


def arrays(path: str | Path, *, test_share: float = 0.2, seed: int = 0) -> Split:
    """Read an .npz with `inputs` and perhaps `labels`, `test_inputs`, `test_labels` and names.

    The names are `class_names` and, for a table, `feature_names`. One rule of scaling holds for
    `inputs` and `test_inputs` together. Pictures are arrays `(n, height, width)` or those of four
    dimensions with one or three channels, in bytes (`uint8`) or pairs of bytes (`uint16`): they are
    divided by 255 or 65535, unless no value in the file exceeds 1, as in a mask. Everything else
    stays as it is: tables, feature maps with other numbers of channels, floats, signed numbers.
    Channels that stand last are put first, with a warning.

    Args:
        path: The file. Only arrays of these six names are read; arrays of Python objects are
            refused, since reading them executes code.
        test_share: Share held out where the file has no `test_inputs`.
        seed: Of that split.

    Returns:
        Inputs `(n, *event)` as floats, labels as whole numbers, and the names.

    Warns:
        UserWarning: Pictures had their channels last; numbers up to 255 that are no pictures in
            bytes were left as they are; or the file has arrays of other names.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, changed, no .npz, or has no `inputs`; inputs are no real
            numbers; labels are not whole numbers from 0 on, one for each example; names are not as
            many as classes or columns; or `test_inputs` differ from `inputs` in shape or type.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be an .npz file. Got {path}, which does not exist.")
    found, others = read_npz(path, _ARRAYS, lambda what: _refused(path, what))
    if "inputs" not in found:
        raise ValueError(f"`path` must hold an array `inputs`. Got {path} with {others}. {_REMEDY}")
    if others:
        _warn(
            f"`path` must name its arrays {', '.join(_ARRAYS)}. Got {path} with "
            f"{', '.join(others[:5])} besides, not read. Rename what is meant to be."
        )
    parts = _scaled(path, {name: found[name] for name in _INPUTS if name in found})
    labels = _labels(path, "labels", found, parts.get("inputs"))
    test_labels = _labels(path, "test_labels", found, parts.get("test_inputs"))
    names = _class_names(path, found, labels, test_labels)
    features = _feature_names(path, found, parts["inputs"])
    if "test_inputs" in parts:
        return Split(parts["inputs"], labels, parts["test_inputs"], test_labels, names, features)
    whole = split(parts["inputs"], labels, test_share=test_share, seed=seed, class_names=names)
    return whole._replace(feature_names=features)


def _refused(path: Path, what: str) -> ValueError:
    return ValueError(
        f"`path` must be a whole .npz file of plain arrays. Got {path} ({what}). {_REMEDY}"
    )


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=4)


def _scaled(path: Path, found: Mapping[str, _Array]) -> dict[str, Tensor]:
    """Every array of inputs, by one rule that looks at all of them together."""
    first = found["inputs"]
    for name, array in found.items():
        _check_inputs(path, name, array, first)
    scale, last = _divisor(path, found), _has_channels_last(first.shape)
    if last:
        _warn(
            f"`inputs` must have channels first. Got {first.shape} in {path}, so the last "
            "dimension was moved there. Save images as (n, channels, height, width) to silence "
            "this."
        )
    scaled = {name: _as_floats(path, name, array) / scale for name, array in found.items()}
    return {k: v.permute(0, 3, 1, 2).contiguous() if last else v for k, v in scaled.items()}


def _check_inputs(path: Path, name: str, array: _Array, first: _Array) -> None:
    """Refuse what is no array of examples, or not like the others."""
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"`{name}` must hold real numbers. Got {array.dtype} in {path}. Save text as numbers, "
            "and imaginary parts as further channels."
        )
    if array.ndim < 2 or array.size == 0:
        raise ValueError(
            f"`{name}` must hold examples, (n, *event). Got shape {array.shape} in {path}. "
            "Save a table as (n, columns)."
        )
    kinds = {"f" if each.dtype.kind == "f" else _native(each) for each in (array, first)}
    if len(kinds) > 1 or array.shape[1:] != first.shape[1:]:
        raise ValueError(
            f"`{name}` must be like `inputs`, {first.dtype} of shape (n, "
            f"{', '.join(map(str, first.shape[1:]))}). Got {array.dtype} of shape {array.shape} in "
            f"{path}. Save both in the same way."
        )


def _divisor(path: Path, found: Mapping[str, _Array]) -> int:
    """What all inputs are divided by."""
    first = found["inputs"]
    brightest, shape = _BRIGHTEST.get(_native(first)), first.shape
    coloured = len(shape) == 4 and (shape[1] in (1, 3) or _has_channels_last(shape))
    low = min(array.min() for array in found.values())
    high = max(array.max() for array in found.values())
    if brightest and (coloured or len(shape) == 3):
        return brightest if high > 1 else 1
    bytes_elsewhere = brightest is not None and high > brightest / 2
    if bytes_elsewhere or (coloured and low >= 0 and 2 < high <= 255):
        _warn(
            f"`inputs` must be in [0, 1] where they are pictures. Got {first.dtype} of shape "
            f"{shape} up to {high:.4g} in {path}, left as they are. Save pictures as uint8 with 1 "
            "or 3 channels, or divide them first."
        )
    return 1


def _native(array: _Array) -> np.dtype[Any]:
    """Type of the numbers, in whatever order their bytes are."""
    native: np.dtype[Any] = array.dtype.newbyteorder("=")
    return native


def _has_channels_last(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[-1] in (1, 3) and shape[1] not in (1, 3)


def _as_floats(path: Path, name: str, array: _Array) -> Tensor:
    """A tensor in torch's default precision."""
    if array.dtype.itemsize > 8:  # torch has no longer floats
        array = array.astype(np.float64)
    tensor = as_tensor(array, name).to(torch.get_default_dtype())
    if bool(tensor.isinf().any()) and not np.isinf(array).any():
        raise ValueError(
            f"`{name}` must fit {tensor.dtype}. Got values up to {np.abs(array).max():.4g} in "
            f"{path}. Rescale them."
        )
    return tensor


def _labels(
    path: Path, name: str, found: Mapping[str, _Array], inputs: Tensor | None
) -> Tensor | None:
    """Class numbers, one for each example."""
    if name not in found:
        return None
    labels = found[name]
    if inputs is None:
        raise ValueError(
            f"`{name}` must stand beside `test_inputs`. Got {path} without. Add these, or leave "
            "the labels out."
        )
    if labels.shape != (len(inputs),):
        remedy = "Write both arrays from the same rows."
        if labels.ndim == 2 and len(labels) == len(inputs):
            remedy = "Save labels.argmax(axis=1), or labels.ravel() of a single column."
        raise ValueError(
            f"`{name}` must have one entry per example ({len(inputs)}). Got shape {labels.shape} "
            f"in {path}. {remedy}"
        )
    whole = labels.dtype.kind in "biu" or (
        labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == labels.round()).all()
    )
    if not whole or labels.min() < 0 or labels.max() >= 2**31:
        wrong = "others" if not whole else f"{labels.min()} to {labels.max()}"
        raise ValueError(
            f"`{name}` must be class numbers 0, 1, 2 ... Got {wrong} ({labels.dtype}) in {path}. "
            "Number the classes; leave labels out for a regression."
        )
    return torch.from_numpy(labels.astype(np.int64))


def _class_names(
    path: Path, found: Mapping[str, _Array], *labels: Tensor | None
) -> tuple[str, ...] | None:
    names = _names(path, "class_names", found)
    most = max((int(each.max()) for each in labels if each is not None), default=-1)
    if names is not None and len(names) <= most:
        raise ValueError(
            f"`class_names` must name every class, up to label {most}. Got {len(names)} names in "
            f"{path}. Save {most + 1} or more."
        )
    return names


def _feature_names(
    path: Path, found: Mapping[str, _Array], inputs: Tensor
) -> tuple[str, ...] | None:
    names = _names(path, "feature_names", found)
    if names is not None and inputs.ndim == 2 and len(names) != inputs.shape[1]:
        raise ValueError(
            f"`feature_names` must name the {inputs.shape[1]} columns. Got {len(names)} names in "
            f"{path}. Save one for each column."
        )
    return names


def _names(path: Path, key: str, found: Mapping[str, _Array]) -> tuple[str, ...] | None:
    """Names, each once."""
    if key not in found:
        return None
    names = found[key]
    if names.ndim != 1 or names.dtype.kind not in "USbiu":
        raise ValueError(
            f"`{key}` must be a row of names. Got {names.dtype} of shape {names.shape} in {path}. "
            "Save numpy.array([...]) of strings."
        )
    try:
        words = names.astype(str) if names.dtype.kind != "S" else np.char.decode(names, "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`{key}` must be text in UTF-8. Got others in {path}. {_REMEDY}"
        ) from error
    if len(set(words.tolist())) != len(words):
        raise ValueError(f"`{key}` must differ. Got a name twice in {path}. Name each once.")
    return tuple(map(str, words))
