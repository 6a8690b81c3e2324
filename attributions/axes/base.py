"""What axes are: an invertible layer between a code's latents and what is looked at."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from attributions.axes.grouping import checked_groups
from attributions.checks import check_counts


class Axes(nn.Module, ABC):
    r"""Coordinates of a code's latents along other axes, $u = a(z)$, and the way back.

    Latents are mixed within their group alone. What is in no group passes through, bit for bit.

    Args:
        size: Number of latents, and of axes.
        groups: Indices of latents that are mixed with each other, a tuple for each group; default:
            all latents, as one group.

    Raises:
        ValueError: `size` is below 1, or an index stands twice or is none of a latent.
    """

    kind: ClassVar[str]
    """What a description calls the layer."""

    def __init__(self, size: int, groups: Sequence[Sequence[int]] | None = None) -> None:
        super().__init__()
        check_counts(size=size)
        self.size = int(size)
        self.groups = checked_groups(groups, self.size)
        self.figures: dict[str, Any] = {}
        """Of how these axes were found, where somebody notes it; not saved."""

    @abstractmethod
    def forward(self, latents: Tensor) -> Tensor:
        """Latents `(..., size)` to coordinates along the axes, `(..., size)`."""

    @abstractmethod
    def inverse(self, coordinates: Tensor) -> Tensor:
        """Coordinates along the axes `(..., size)` to latents, `(..., size)`."""

    @abstractmethod
    def turned(self, matrix: Tensor) -> Self:
        """Return a copy turned further: `turned(R)(z)` is `R` times these coordinates of `z`."""

    @property
    @abstractmethod
    def description(self) -> dict[str, Any]:
        """All that makes a layer of the same shape again, ready for JSON."""

    @property
    def scale(self) -> Tensor:
        """Length of one unit along each axis in units of the latents, `(size,)`, float64.

        1 for a rotation. Of axes that bend, the length where all latents are 0.
        """
        lengths: Tensor = _jacobian(self.inverse, self(self.origin()))[0].norm(dim=0)
        return lengths

    def jacobian(self, latents: Tensor) -> Tensor:
        """How fast coordinates change at latents `(..., size)`: `(..., size, size)`, row per axis.

        By automatic differentiation, so that it can stand in a loss.
        """
        found = _jacobian(self.forward, latents.reshape(-1, self.size))
        return found.reshape(*latents.shape, self.size)

    def origin(self) -> Tensor:
        """Latents `(1, size)` that are all 0, where the layer is, float64."""
        tensors = (*self.parameters(), *self.buffers())
        device = next((tensor.device for tensor in tensors), None)
        return torch.zeros(1, self.size, dtype=torch.float64, device=device)

    def check_size(self, values: Tensor) -> None:
        """Raise a ValueError unless the last dimension has one entry for each axis."""
        if values.shape[-1:] != (self.size,):
            raise ValueError(
                f"`latents` must have {self.size} entries, one for each axis. Got shape "
                f"{tuple(values.shape)}. Use axes of the code's size."
            )


def _jacobian(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    found: Tensor = torch.func.vmap(torch.func.jacrev(function))(rows)
    return found
