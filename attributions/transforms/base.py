"""What all transforms share, and the identity."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn


class Transform(nn.Module):
    """A code with a fixed shape of inputs and named groups of latents.

    Args:
        event_shape: Shape of one input.
        latent_names: One per latent.
        groups: `(latents,)`, the group of each.
        group_names: One per group.
        exact: Whether decoding gives back every input.
    """

    fixed: ClassVar[bool] = False
    """Whether it is known beforehand: a basis that no data was asked for, such as Fourier's."""

    groups: Tensor

    def __init__(
        self,
        event_shape: Sequence[int],
        latent_names: Sequence[str],
        groups: Tensor,
        group_names: Sequence[str],
        *,
        exact: bool = True,
    ) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.latent_names = tuple(latent_names)
        self.group_names = tuple(group_names)
        self.exact = exact
        self.register_buffer("groups", groups, persistent=False)

    @property
    def latent_size(self) -> int:
        """Number of latents."""
        return len(self.latent_names)

    def encode(self, inputs: Tensor) -> Tensor:
        """Inputs `(batch, *event)` to latents `(batch, latents)`."""
        raise NotImplementedError

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(batch, latents)` to inputs `(batch, *event)`."""
        raise NotImplementedError

    def by_group(self, attributions: Tensor) -> Tensor:
        """Sum attributions `(..., latents)` within each group, `(..., groups)`: complete as they.

        Examples:
            >>> bands = Identity((2, 2))
            >>> bands.by_group(torch.ones(bands.latent_size)).tolist()
            [1.0, 1.0, 1.0, 1.0]
        """
        shape = (*attributions.shape[:-1], len(self.group_names))
        return attributions.new_zeros(shape).index_add(-1, self.groups, attributions)

    def basis(self, latent: int) -> Tensor:
        """What one unit of a latent adds to the decoded input, `(*event)`: its picture."""
        part = next((part for part in self.buffers() if part.is_floating_point()), self.groups)
        like = part if part.is_floating_point() else part.to(torch.get_default_dtype())
        unit = like.new_zeros(2, self.latent_size)
        unit[1, latent] = 1
        with torch.no_grad():
            empty, drawn = self.decode(unit)
        picture: Tensor = drawn - empty
        return picture

    def _check(self, inputs: Tensor) -> None:
        if tuple(inputs.shape[1:]) != self.event_shape:
            raise ValueError(
                f"`inputs` must have shape (batch, {', '.join(map(str, self.event_shape))}). "
                f"Got {tuple(inputs.shape)}. Make the transform for this shape."
            )


class Identity(Transform):
    """The inputs themselves, flattened: attributions of pixels or columns, for comparison.

    Args:
        event_shape: Shape of one input.
        latent_names: Of the columns; default: `x0`, `x1` ...
    """

    fixed = True

    def __init__(
        self, event_shape: Sequence[int], latent_names: Sequence[str] | None = None
    ) -> None:
        size = count(event_shape)
        names = latent_names or [f"x{index}" for index in range(size)]
        super().__init__(event_shape, names, torch.arange(size), names)

    def encode(self, inputs: Tensor) -> Tensor:
        """Flatten."""
        self._check(inputs)
        return inputs.flatten(1)

    def decode(self, latents: Tensor) -> Tensor:
        """Give the shape back."""
        inputs: Tensor = latents.unflatten(1, self.event_shape)
        return inputs


def check_dims(event_shape: Sequence[int], dims: int) -> None:
    """Raise a ValueError unless there are as many dimensions, 1 or 2."""
    if dims not in (1, 2) or dims > len(event_shape):
        raise ValueError(
            f"`dims` must be 1 or 2 and at most the event's {len(event_shape)} dimensions. "
            f"Got {dims}. Use 2 for images."
        )


def count(shape: Sequence[int]) -> int:
    """Entries of a tensor of this shape."""
    return math.prod(shape)
