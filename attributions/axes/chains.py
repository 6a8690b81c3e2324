"""Axes after axes, and axes made again from their description."""

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from attributions.axes.base import Axes
from attributions.axes.flow import Flow
from attributions.axes.grouping import united
from attributions.axes.linear import Linear, Rotation


class Chain(Axes):
    """Axes of what is seen along other axes already: $u = b(a(z))$.

    Args:
        first: $a$, of the latents.
        then: $b$, of the coordinates along the first.

    Raises:
        ValueError: The two have different sizes.

    Examples:
        >>> import torch
        >>> quarter = Rotation(2, matrix=torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))
        >>> Chain(quarter, quarter)(torch.tensor([[3.0, 5.0]])).tolist()
        [[-3.0, -5.0]]
    """

    kind: ClassVar[str] = "chain"

    def __init__(self, first: Axes, then: Axes) -> None:
        if first.size != then.size:
            raise ValueError(
                f"`then` must be of {first.size} axes, as those that it comes after. Got "
                f"{then.size}. Make axes of {first.size}."
            )
        super().__init__(first.size, united((*first.groups, *then.groups)))
        self.first, self.then = first, then
        self.figures = then.figures

    def forward(self, latents: Tensor) -> Tensor:
        """Latents `(..., size)` to coordinates along the axes, `(..., size)`."""
        coordinates: Tensor = self.then(self.first(latents))
        return coordinates

    def inverse(self, coordinates: Tensor) -> Tensor:
        """Coordinates along the axes `(..., size)` to latents, `(..., size)`."""
        return self.first.inverse(self.then.inverse(coordinates))

    def jacobian(self, latents: Tensor) -> Tensor:
        """How fast coordinates change at latents `(..., size)`: `(..., size, size)`."""
        return self.then.jacobian(self.first(latents)) @ self.first.jacobian(latents)

    def turned(self, matrix: Tensor) -> "Chain":
        """Return a copy whose last axes are turned further.

        Args:
            matrix: `(size, size)`, orthogonal; it turns each group of the last axes within itself.

        Raises:
            ValueError: `matrix` is not orthogonal, of another size, or turns other latents.
        """
        return Chain(self.first, self.then.turned(matrix))

    @property
    def description(self) -> dict[str, Any]:
        """All that makes a layer of the same shape again, ready for JSON."""
        described = {"first": self.first.description, "then": self.then.description}
        return {"kind": self.kind, **described}


def axes_of(description: dict[str, Any]) -> Axes:
    """Make a layer of the shape that a `description` says; its weights come from a state dict.

    Args:
        description: `Axes.description`, also after a way through JSON.

    Raises:
        ValueError: There is no such kind.
        ModuleNotFoundError: It is a flow, and zuko is not installed.

    Examples:
        >>> axes_of({"kind": "rotation", "size": 3, "groups": [[0, 2]]}).groups
        ((0, 2),)
    """
    rest = dict(description)
    kind = rest.pop("kind", None)
    if kind == Chain.kind:
        return Chain(axes_of(rest["first"]), axes_of(rest["then"]))
    if kind not in _KINDS:
        raise ValueError(
            f"`description` must be of a kind among {', '.join([*_KINDS, Chain.kind])}. Got "
            f"{kind!r}. Use the description of a layer."
        )
    return _KINDS[kind](**rest)


_KINDS: dict[str, Callable[..., Axes]] = {each.kind: each for each in (Rotation, Linear, Flow)}
