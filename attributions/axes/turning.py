"""Axes that treat each group of latents on its own, and then turn it."""

import copy
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from attributions.axes.base import Axes


class TurningAxes(Axes):
    r"""Axes $u = R\, c(z)$: a map $c$ of each group of latents, then a rotation $R$ of it.

    $R = \exp(A)\, R_0$, with trained angles in the lower triangle of the skew $A$, so that it stays
    orthogonal in training, and may start at a reflection. All arithmetic is in double precision,
    whatever the precision of latents and parameters, so that $c$ and $R$ are undone exactly but for
    the rounding of what is handed on.

    References:
        Lezcano-Casado, Martínez-Rubio: Cheap Orthogonal Constraints in Neural Networks, 2019,
        https://arxiv.org/abs/1901.08428 (the exponential of skew-symmetric matrices)

    Args:
        size: Number of latents.
        groups: Indices of latents that are turned into each other, a tuple for each group;
            default: all latents, as one group.
        matrix: $R_0$, `(size, size)`, orthogonal, whose rows are the axes; default: the identity.

    Raises:
        ValueError: `size` is below 1, an index stands twice or is none of a latent, or `matrix` is
            not orthogonal, of another size, or turns latents of different groups.
    """

    order: Tensor
    back: Tensor
    start: Tensor

    def __init__(
        self,
        size: int,
        groups: Sequence[Sequence[int]] | None = None,
        matrix: Tensor | None = None,
    ) -> None:
        super().__init__(size, groups)
        grouped = [index for group in self.groups for index in group]
        place = None if matrix is None else matrix.device
        alone = sorted(set(range(self.size)) - set(grouped))
        order = torch.tensor(grouped + alone, device=place)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("back", order.argsort(), persistent=False)
        self._sizes = [len(group) for group in self.groups]
        count = sum(_count(each) for each in self._sizes)
        self.angles = nn.Parameter(torch.zeros(count, device=place))
        start = torch.eye(self.size) if matrix is None else matrix
        self.register_buffer("start", flat(self._checked(start), start.device))

    def forward(self, latents: Tensor) -> Tensor:
        """Latents `(..., size)` to coordinates along the axes, `(..., size)`.

        Raises:
            ValueError: There are more or fewer latents.
        """
        parts, rest = self._parted(latents)
        charted = self._charted([part.double() for part in parts])
        turned = [part @ turn.T for part, turn in zip(charted, self._turns(), strict=True)]
        return self._joined(turned, rest)

    def inverse(self, coordinates: Tensor) -> Tensor:
        """Coordinates along the axes `(..., size)` to latents, `(..., size)`.

        Raises:
            ValueError: There are more or fewer coordinates.
        """
        parts, rest = self._parted(coordinates)
        turns = self._turns()
        turned = [part.double() @ turn for part, turn in zip(parts, turns, strict=True)]
        return self._joined(self._uncharted(turned), rest)

    @property
    def description(self) -> dict[str, Any]:
        """All that makes a layer of the same shape again, ready for JSON."""
        groups = [list(group) for group in self.groups]
        return {"kind": self.kind, "size": self.size, "groups": groups}

    def turned(self, matrix: Tensor) -> Self:
        """Return a copy turned further: `turned(R)(z)` is `R` times these coordinates of `z`.

        Args:
            matrix: `(size, size)`, orthogonal; it turns each group within itself, and may give
                axes another order and sign.

        Returns:
            The copy, whose training starts from there.

        Raises:
            ValueError: `matrix` is not orthogonal, of another size, or turns latents of different
                groups into each other, or such as are in no group.

        Examples:
            >>> from attributions.axes import Rotation
            >>> swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
            >>> Rotation(2).turned(swap)(torch.tensor([[3.0, 5.0]])).tolist()
            [[5.0, 3.0]]
        """
        further = self._checked(matrix.to(self.start.device))
        twin = copy.deepcopy(self)
        with torch.no_grad():
            turns = [more @ turn for more, turn in zip(further, self._turns(), strict=True)]
            twin.start = flat(turns, self.start.device)
            twin.angles.zero_()
        return twin

    def _charted(self, parts: list[Tensor]) -> list[Tensor]:
        """What happens to the latents of each group before they are turned."""
        return parts

    def _uncharted(self, parts: list[Tensor]) -> list[Tensor]:
        """`_charted`, undone."""
        return parts

    def _parted(self, values: Tensor) -> tuple[list[Tensor], Tensor]:
        """Values `(..., size)` of each group, and those that are in none."""
        self.check_size(values)
        sizes = [*self._sizes, self.size - sum(self._sizes)]
        *parts, rest = values[..., self.order].split(sizes, dim=-1)
        return parts, rest

    def _joined(self, parts: list[Tensor], rest: Tensor) -> Tensor:
        """`_parted`, undone, in the precision of what is in no group."""
        whole = torch.cat([*(part.to(rest.dtype) for part in parts), rest], dim=-1)
        return whole[..., self.back]

    def _turns(self) -> list[Tensor]:
        """Return the rotation of each group, `(group, group)`."""
        angles = self.angles.double().split([_count(size) for size in self._sizes])
        # A training or a file in single precision has rounded the start.
        starts = [nearest_rotation(start) for start in unflat(self.start, self._sizes)]
        parts = zip(angles, starts, self._sizes, strict=True)
        return [rotation_from(part, size) @ start for part, start, size in parts]

    def _assembled(self, blocks: Sequence[Tensor]) -> Tensor:
        """Return one matrix `(size, size)` of a matrix for each group, the identity elsewhere."""
        rest = self.size - sum(self._sizes)
        eye = torch.eye(rest, dtype=torch.float64, device=self.start.device)
        whole: Tensor = torch.block_diag(*blocks, eye)
        return whole[: self.size, : self.size][self.back][:, self.back]

    def _checked(self, matrix: Tensor) -> list[Tensor]:
        """Return the matrix of each group, of an orthogonal one that turns each within itself."""
        whole = matrix.detach().double()
        if whole.shape != (self.size, self.size):
            raise ValueError(
                f"`matrix` must have shape ({self.size}, {self.size}). Got {tuple(whole.shape)}. "
                "Give one row for each axis."
            )
        eye = torch.eye(self.size, dtype=torch.float64, device=whole.device)
        if not bool((whole @ whole.T - eye).abs().max() < 1e-4):
            raise ValueError(
                "`matrix` must be orthogonal: its rows of length 1, at right angles. Got rows of "
                f"lengths {whole.norm(dim=1).min():.4g} to {whole.norm(dim=1).max():.4g}. "
                "Use the Q of torch.linalg.qr, or Linear for a layer that stretches."
            )
        blocks, outside = [], whole.clone()
        for group in self.groups:
            index = torch.tensor(group, device=whole.device)
            blocks.append(nearest_rotation(whole[index][:, index]))
            outside[index.unsqueeze(1), index] = eye[index][:, index]
        if not bool((outside - eye).abs().max() < 1e-4):
            raise ValueError(
                "`matrix` must turn each group of latents within itself, and be the identity "
                f"elsewhere. Got one that mixes others, for the groups {self.groups}. "
                "Set its other entries to the identity's."
            )
        return blocks


def rotation_from(angles: Tensor, size: int) -> Tensor:
    """Rotations whose skew matrices hold angles below the diagonal: `(..., size, size)`.

    Args:
        angles: `(..., size * (size - 1) / 2)`.
        size: Rows and columns.
    """
    rows, columns = torch.tril_indices(size, size, -1, device=angles.device)
    skew = angles.new_zeros(*angles.shape[:-1], size, size)
    skew[..., rows, columns] = angles
    rotation: Tensor = torch.linalg.matrix_exp(skew - skew.mT)
    return rotation


def nearest_rotation(matrix: Tensor) -> Tensor:
    """Return the nearest orthogonal matrix, of one that is orthogonal but for rounding.

    Two steps of Newton and Schulz, each of which squares the error.

    References:
        Higham: Functions of Matrices, 2008, chapter 8, https://doi.org/10.1137/1.9780898717778
    """
    for _ in range(2):
        matrix = 1.5 * matrix - 0.5 * matrix @ matrix.T @ matrix
    return matrix


def flat(blocks: Sequence[Tensor], device: torch.device | None = None) -> Tensor:
    """Square matrices one after the other in one vector, float64, as a buffer holds them."""
    if not blocks:
        return torch.zeros(0, dtype=torch.float64, device=device)
    return torch.cat([block.to(device, torch.float64).flatten() for block in blocks])


def unflat(vector: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """`flat`, undone: a square matrix of each size, float64."""
    parts = vector.double().split([size**2 for size in sizes])
    return [part.view(size, size) for part, size in zip(parts, sizes, strict=True)]


def _count(size: int) -> int:
    """How many angles a rotation of so many latents has."""
    return size * (size - 1) // 2
