"""What a model asks of its inputs and of a file of its weights."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]


def check_finite_floats(inputs: Tensor) -> tuple[float, float]:
    """Return the lowest and the highest value of floating-point inputs.

    Raises:
        TypeError: Not floating-point.
        ValueError: NaN or infinity.
    """
    if not inputs.is_floating_point():
        raise TypeError(
            f"`inputs` must be floating-point. Got {inputs.dtype}. "
            "Convert them, e.g. images.float() / 255."
        )
    low, high = (value.item() for value in inputs.aminmax())  # NaN where one is NaN
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(
            "`inputs` must be finite. Got NaN or infinity. Remove or impute such examples."
        )
    return low, high


def check_event_shape(inputs: Tensor, event_shape: Sequence[int]) -> None:
    """Raise a ValueError unless every example has the event shape."""
    wanted = tuple(event_shape)
    if tuple(inputs.shape[1:]) == wanted:
        return
    remedy = (
        "These are channels last: pass inputs.permute(0, 3, 1, 2)."
        if inputs.ndim == 4 and (*inputs.shape[3:], *inputs.shape[1:3]) == wanted
        else "Resize or rearrange them (channels first), or make a VAE of their shape."
    )
    raise ValueError(
        f"`inputs` must have shape (batch, {', '.join(map(str, wanted))}). "
        f"Got {tuple(inputs.shape)}. {remedy}"
    )


def check_same_shapes(own: Shapes, found: Shapes, path: str | Path, kind: str) -> None:
    """Raise a ValueError that names the first tensors in which two state dicts differ.

    Args:
        own: Name and shape of each tensor of the model.
        found: The same of the file.
        path: The file.
        kind: The model's class.
    """
    if own == found:
        return
    names = sorted(name for name in own.keys() | found.keys() if own.get(name) != found.get(name))
    shown = "; ".join(
        f"{name}: {found.get(name, 'missing')} in the file, {own.get(name, 'missing')} here"
        for name in names[:3]
    )
    raise ValueError(
        f"`path` must hold weights of the same architecture as this {kind}. Got {path} ({shown}"
        f"{', ...' if len(names) > 3 else ''}). Use the sizes it was trained with."
    )


def check_finite_weights(tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Raise a ValueError that names the first tensor of a file with NaN or infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(
                f"`path` must hold finite weights. Got {path}, where {name} has NaN or infinity. "
                "Use an earlier copy, or train again at a lower learning rate."
            )
