"""Layers that are matrices: a rotation, and a rotation of whitened latents."""

import warnings
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from attributions.axes.turning import TurningAxes, flat, unflat


class Rotation(TurningAxes):
    """An orthogonal layer: `u = z @ matrix.T`, whose rows are the axes; trainable.

    A standard normal prior stays one, and the KL between any two posteriors what it was.

    Args:
        size: Number of latents.
        groups: Indices of latents that are turned into each other, a tuple for each group;
            default: all latents, as one group.
        matrix: Where it starts, `(size, size)`, orthogonal; default: the identity.

    Raises:
        ValueError: `size` is below 1, an index stands twice or is none of a latent, or `matrix` is
            not orthogonal, of another size, or turns latents of different groups.

    Examples:
        >>> axes = Rotation(3, groups=[(0, 2)], matrix=torch.eye(3)[[2, 1, 0]])
        >>> axes(torch.tensor([[1.0, 2.0, 3.0]])).tolist()
        [[3.0, 2.0, 1.0]]
    """

    kind: ClassVar[str] = "rotation"

    @property
    def matrix(self) -> Tensor:
        """`(size, size)`, float64: row `i` is axis `i` in units of the latents."""
        return self._assembled(self._turns())

    @property
    def scale(self) -> Tensor:
        """Length of one unit along each axis in units of the latents, `(size,)`: 1."""
        return torch.ones(self.size, dtype=torch.float64, device=self.start.device)

    def jacobian(self, latents: Tensor) -> Tensor:
        """`matrix` for each row of latents `(..., size)`: `(..., size, size)`, one row per axis."""
        return _repeated(self.matrix, latents)


class Linear(TurningAxes):
    r"""An invertible layer: $u = R\, W (z - m)$, a rotation of centred and whitened latents.

    Made by `Linear.fitted(latents)`; as it is built, $W$ is the identity and $m$ is 0. Only $R$ is
    trained. A standard normal prior does not stay one: it is pushed forward with the latents.

    References:
        Kessy, Lewin, Strimmer: Optimal Whitening and Decorrelation, 2018,
        https://arxiv.org/abs/1512.00809 (ZCA: the whitening that keeps nearest to the latents)

    Args:
        size: Number of latents.
        groups: Indices of latents that are whitened and turned together, a tuple for each group;
            default: all latents, as one group.
        matrix: $R$ to start from, `(size, size)`, orthogonal; default: the identity.

    Raises:
        ValueError: `size` is below 1, an index stands twice or is none of a latent, or `matrix` is
            not orthogonal, of another size, or turns latents of different groups.

    Examples:
        >>> latents = torch.randn(100, 3) * torch.tensor([1.0, 2.0, 3.0]) + 5
        >>> torch.allclose(Linear.fitted(latents)(latents).T.cov(), torch.eye(3), atol=1e-5)
        True
    """

    kind: ClassVar[str] = "linear"
    mean: Tensor
    whitening: Tensor
    colouring: Tensor

    def __init__(
        self,
        size: int,
        groups: Sequence[Sequence[int]] | None = None,
        matrix: Tensor | None = None,
    ) -> None:
        super().__init__(size, groups, matrix)
        identity = flat([torch.eye(each) for each in self._sizes], self.start.device)
        self.register_buffer("mean", self.start.new_zeros(sum(self._sizes)))
        self.register_buffer("whitening", identity)
        self.register_buffer("colouring", identity.clone())

    @classmethod
    def fitted(
        cls, latents: Tensor, groups: Sequence[Sequence[int]] | None = None, *, floor: float = 1e-6
    ) -> "Linear":
        """Centre and whiten latents: over them, coordinates have mean 0 and covariance 1.

        Args:
            latents: `(n, size)`, of more examples than latents.
            groups: Indices of latents that are whitened together, a tuple for each group; default:
                all latents, as one group.
            floor: Least variance of a direction, in units of the largest: what varies less is
                stretched no further.

        Raises:
            ValueError: There are no more examples than latents of a group, or latents are not
                finite or do not vary at all.

        Warns:
            UserWarning: A direction varies less than the floor.
        """
        if latents.ndim != 2 or not bool(torch.isfinite(latents).all()):
            raise ValueError(
                "`latents` must be finite, of shape (n, size). Got shape "
                f"{tuple(latents.shape)}{' with NaN or infinity' if latents.ndim == 2 else ''}. "
                "Encode clean inputs."
            )
        layer = cls(latents.shape[1], groups).to(latents.device)
        parts, _ = layer._parted(latents.detach().double())
        found = [_whitening(part, floor) for part in parts]
        if found:
            layer.mean = torch.cat([part.mean(dim=0) for part in parts])
            layer.whitening = flat([whitening for whitening, _ in found], latents.device)
            layer.colouring = flat([colouring for _, colouring in found], latents.device)
        return layer

    @property
    def matrix(self) -> Tensor:
        """`(size, size)`, float64: coordinates are `matrix @ (z - m)`."""
        parts = zip(self._turns(), self._whitenings(), strict=True)
        return self._assembled([turn @ whitening for turn, whitening in parts])

    @property
    def scale(self) -> Tensor:
        """Length of one unit along each axis in units of the latents, `(size,)`, float64."""
        parts = zip(self._colourings(), self._turns(), strict=True)
        whole = self._assembled([colouring @ turn.T for colouring, turn in parts])
        lengths: Tensor = torch.linalg.vector_norm(whole, dim=0)
        return lengths

    def jacobian(self, latents: Tensor) -> Tensor:
        """`matrix` for each row of latents `(..., size)`: `(..., size, size)`, one row per axis."""
        return _repeated(self.matrix, latents)

    def _charted(self, parts: list[Tensor]) -> list[Tensor]:
        each = zip(parts, self._means(), self._whitenings(), strict=True)
        return [(part - mean) @ whitening.T for part, mean, whitening in each]

    def _uncharted(self, parts: list[Tensor]) -> list[Tensor]:
        each = zip(parts, self._means(), self._colourings(), strict=True)
        return [part @ colouring.T + mean for part, mean, colouring in each]

    def _means(self) -> list[Tensor]:
        return list(self.mean.double().split(self._sizes))

    def _whitenings(self) -> list[Tensor]:
        """What whitens each group, `(group, group)`."""
        return unflat(self.whitening, self._sizes)

    def _colourings(self) -> list[Tensor]:
        """What undoes that, `(group, group)`."""
        pairs = zip(unflat(self.colouring, self._sizes), self._whitenings(), strict=True)
        return [_nearest_inverse(colouring, whitening) for colouring, whitening in pairs]


def _nearest_inverse(inverse: Tensor, matrix: Tensor) -> Tensor:
    """The inverse of a matrix, of one that is the inverse but for rounding.

    Two steps of Newton, each of which squares the error.
    """
    for _ in range(2):
        inverse = 2 * inverse - inverse @ matrix @ inverse
    return inverse


def _repeated(matrix: Tensor, latents: Tensor) -> Tensor:
    return matrix.to(latents).expand(*latents.shape[:-1], *matrix.shape)


def _whitening(latents: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """ZCA of a group `(n, group)`: what whitens it and what undoes that, `(group, group)` each."""
    n, size = latents.shape
    if n <= size:
        raise ValueError(
            f"`latents` must be of more examples than there are latents to whiten ({size}). Got "
            f"{n}. Encode more inputs, or use a Rotation, which needs none."
        )
    variances, directions = torch.linalg.eigh(latents.T.cov().reshape(size, size))
    largest = latents.square().mean(dim=0).max()
    if not bool(variances[-1] > 1e-12 * largest):
        raise ValueError(
            f"`latents` must vary to be whitened. Got {n} that are all the same. Leave such "
            "latents out of `groups`, or use a Rotation."
        )
    least = floor * variances[-1]
    if bool((variances < least).any()):
        warnings.warn(
            "`latents` must vary in every direction to be whitened. Got "
            f"{int((variances < least).sum())} of {size} that vary less than {floor:g} of the "
            "largest: they are stretched no further. Leave dead latents out of `groups`.",
            UserWarning,
            stacklevel=3,
        )
    deviations = variances.clamp_min(least).sqrt()
    return (directions / deviations) @ directions.T, (directions * deviations) @ directions.T
