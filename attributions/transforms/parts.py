"""The inputs themselves in named parts: masks of pixels, channels, groups of columns."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from attributions.transforms.base import Identity

_COLOURS = ("red", "green", "blue")

# Of a grid of places.
_ROWS = ("top", "upper", "lower", "bottom")
_COLUMNS = ("left", "centre left", "centre right", "right")


class Parts(Identity):
    """The inputs themselves, flattened; groups are named parts that cover each value once.

    Args:
        event_shape: Shape of one input.
        masks: By name; each of the event's shape, or one that broadcasts to it, and true (or not
            0) where the part is. What no mask covers is the part `rest`.

    Raises:
        ValueError: There is no mask, one does not fit the event or covers nothing, or two overlap.

    Examples:
        >>> left = torch.arange(4) < 2
        >>> halves = Parts((1, 4, 4), {"left": left})
        >>> halves.group_names
        ('left', 'rest')
        >>> halves.by_group(torch.ones(1, 16)).tolist()
        [[8.0, 8.0]]
    """

    def __init__(self, event_shape: Sequence[int], masks: Mapping[str, Tensor]) -> None:
        super().__init__(event_shape)
        if not masks:
            raise ValueError("`masks` must name at least one part. Got none. Pass a mask for each.")
        groups = torch.full(self.event_shape, -1)
        for index, (name, mask) in enumerate(masks.items()):
            inside = _expanded(name, mask, self.event_shape)
            if bool((groups[inside] >= 0).any()):
                raise ValueError(
                    f"`masks` must not overlap. Got {name!r}, which shares values with "
                    f"{list(masks)[int(groups[inside].max())]!r}. Cut one of them out of the other."
                )
            groups[inside] = index
        names = tuple(masks)
        if bool((groups < 0).any()):
            groups[groups < 0] = len(names)
            names = (*names, "rest")
        self.groups, self.group_names = groups.flatten(), names


def channels(event_shape: Sequence[int], names: Sequence[str] | None = None) -> Parts:
    """Return the channels of pictures as parts.

    Args:
        event_shape: `(channels, height, width)`.
        names: One per channel; default: red, green and blue for three, else `channel 0` ...

    Raises:
        ValueError: There are more or fewer names than channels.

    Examples:
        >>> channels((3, 8, 8)).group_names
        ('red', 'green', 'blue')
    """
    count = event_shape[0]
    if names is None:
        names = _COLOURS if count == 3 else [f"channel {index}" for index in range(count)]
    if len(names) != count:
        raise ValueError(
            f"`names` must have {count} entries, one per channel. Got {len(names)}. Name each once."
        )
    each = torch.arange(count).view(-1, *[1] * (len(event_shape) - 1))
    return Parts(event_shape, {name: each == index for index, name in enumerate(names)})


def places(event_shape: Sequence[int]) -> Parts:
    """Return sixteen places of pictures as parts: a grid of four rows and four columns.

    Args:
        event_shape: `(channels, height, width)`, of at least four pixels each way.

    Raises:
        ValueError: It is no picture, or a smaller one.

    Examples:
        >>> grid = places((1, 8, 8))
        >>> grid.group_names[0], grid.group_names[6]
        ('top left corner', 'upper centre right')
        >>> grid.by_group(torch.ones(1, 64))[0].tolist() == [4.0] * 16
        True
    """
    if len(event_shape) != 3 or min(event_shape[1:]) < len(_ROWS):
        raise ValueError(
            "`event_shape` must be that of pictures, (channels, height, width), of at least four "
            f"pixels each way. Got {tuple(event_shape)}. Use Parts with masks of your own."
        )
    down, across = (torch.arange(size) * len(_ROWS) // size for size in event_shape[1:])
    return Parts(
        event_shape,
        {
            _place(row, column): (down == row).unsqueeze(1) & (across == column)
            for row in range(len(_ROWS))
            for column in range(len(_COLUMNS))
        },
    )


def _place(row: int, column: int) -> str:
    """Such as "top left corner", or "upper centre right"."""
    corner = row in (0, len(_ROWS) - 1) and column in (0, len(_COLUMNS) - 1)
    return f"{_ROWS[row]} {_COLUMNS[column]}{' corner' if corner else ''}"


def _expanded(name: str, mask: Tensor, event_shape: tuple[int, ...]) -> Tensor:
    """A mask of the event's shape.

    Raises:
        ValueError: It does not fit, or covers nothing.
    """
    sizes = zip(reversed(mask.shape), reversed(event_shape), strict=False)
    if mask.ndim > len(event_shape) or any(size not in (1, whole) for size, whole in sizes):
        raise ValueError(
            f"`masks` must have the shape of one input, {event_shape}. Got {tuple(mask.shape)} "
            f"for {name!r}. Leave out only leading dimensions."
        )
    inside = mask.detach().cpu().bool().expand(event_shape)
    if not bool(inside.any()):
        raise ValueError(
            f"`masks` must each cover something. Got {name!r}, which is empty. Leave it out."
        )
    return inside
