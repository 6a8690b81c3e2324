"""Photographs seen in every way: position, zoom, rotation, hue, brightness and blur are known."""

import functools
import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from trimvae.data.factors import FactorData

PHOTOGRAPHS = ("cat", "espresso", "rocket", "astronaut")
# Of scikit-image, and which square of each is taken: (top, left, side).
_SOURCES = {
    "cat": ("chelsea", (0, 80, 300)),
    "espresso": ("coffee", (40, 140, 360)),
    "rocket": ("rocket", (0, 110, 427)),
    "astronaut": ("astronaut", (0, 0, 512)),
}
_SHIFTS = tuple(level / 20 for level in range(-3, 4))
_ZOOMS = (1.0, 1.15, 1.3, 1.5, 1.75)
_TURNS = tuple(float(level) for level in range(-60, 61, 15))
_HUES = tuple(60.0 * level for level in range(6))
_LIGHTS = (0.5, 0.75, 1.0, 1.25, 1.5)
_BLURS = (0.0, 0.015, 0.03, 0.05)

# The colour space of NTSC television: brightness, and a plane in which a hue is an angle.
_TO_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


def photographs(*, size: int = 64) -> FactorData:
    """Four photographs, rendered on demand in 1,058,400 ways: real pictures with known factors.

    A cat, an espresso, a rocket and an astronaut, as the package scikit-image brings them, without
    a download. 4 photographs x 7 x 7 positions x 5 zooms x 9 rotations x 6 hues x 5 brightnesses x
    4 blurs. What a shift or turn brings in from beyond the edge is the photograph mirrored. As in
    dSprites, a classifier's true use of a factor is measured by rendering again with another level.

    Args:
        size: Pixels of a side, from 32 to 256.

    Returns:
        A data set of images `(3, size, size)` in [0, 1] with the factors `photograph`, `x` and `y`
        (shift to the right and down, in sides), `scale` (zoom), `rotation` (degrees, clockwise),
        `hue` (degrees in YIQ), `brightness` (a factor) and `blur` (deviation of a Gaussian, in
        sides).

    Raises:
        ModuleNotFoundError: `scikit-image` is not installed.
        ValueError: `size` is out of range.

    Examples:
        >>> import pytest
        >>> _ = pytest.importorskip("skimage")
        >>> data = photographs(size=32)
        >>> len(data), data.event_shape
        (1058400, (3, 32, 32))
    """
    if not 32 <= size <= 256:
        raise ValueError(f"`size` must be from 32 to 256. Got {size}. Use 64.")
    _skimage_data()
    values = {
        "photograph": tuple(range(len(PHOTOGRAPHS))),
        "x": _SHIFTS,
        "y": _SHIFTS,
        "scale": _ZOOMS,
        "rotation": _TURNS,
        "hue": _HUES,
        "brightness": _LIGHTS,
        "blur": _BLURS,
    }
    return FactorData(functools.partial(_render, size=size), values)


def _skimage_data() -> Any:
    try:
        from skimage import data
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "`photographs` must find the package scikit-image. Got none. "
            "Run pip install 'trimvae[photographs]'."
        ) from error
    return data


@functools.cache
def _originals(size: int) -> Tensor:
    """The four squares, a little finer than what is rendered: `(4, 3, side, side)`."""
    data, side = _skimage_data(), round(1.5 * size)
    squares = []
    for name, (top, left, extent) in _SOURCES.values():
        whole = torch.from_numpy(getattr(data, name)().copy()).float().div(255).movedim(2, 0)
        square = whole[None, :, top : top + extent, left : left + extent]
        squares.append(
            F.interpolate(square, (side, side), mode="bilinear", antialias=True).clamp(0, 1)
        )
    return torch.cat(squares)


def _render(levels: Tensor, *, size: int) -> Tensor:
    photograph, *rest = levels.unbind(dim=1)
    tables = (_SHIFTS, _SHIFTS, _ZOOMS, _TURNS, _HUES, _LIGHTS, _BLURS)
    values = [torch.tensor(table)[column] for table, column in zip(tables, rest, strict=True)]
    x, y, zoom, turn, hue, light, blur = values
    images = _placed(_originals(size)[photograph], x, y, zoom, turn.deg2rad(), size)
    images = _recoloured(images, hue.deg2rad())
    return _blurred(images * light[:, None, None, None], blur * size).clamp(0, 1)


def _placed(images: Tensor, x: Tensor, y: Tensor, zoom: Tensor, turn: Tensor, size: int) -> Tensor:
    """Each photograph turned and zoomed about its centre, then shifted: `(n, 3, size, size)`."""
    cos, sin = turn.cos() / zoom, turn.sin() / zoom
    # Where in the photograph, from -1 to 1, a pixel of the picture is found.
    right, down = -2 * x, -2 * y
    rows = [cos, sin, cos * right + sin * down, -sin, cos, cos * down - sin * right]
    grid = F.affine_grid(
        torch.stack(rows, dim=1).view(-1, 2, 3), [len(images), 3, size, size], align_corners=False
    )
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _recoloured(images: Tensor, hue: Tensor) -> Tensor:
    """Each picture with its hues turned by an angle; its brightness stays."""
    to = torch.tensor(_TO_YIQ)
    turned = torch.eye(3).repeat(len(images), 1, 1)
    turned[:, 1, 1] = turned[:, 2, 2] = hue.cos()
    turned[:, 2, 1] = hue.sin()
    turned[:, 1, 2] = -turned[:, 2, 1]
    return torch.einsum("nij,njhw->nihw", torch.linalg.inv(to) @ turned @ to, images)


def _blurred(images: Tensor, deviation: Tensor) -> Tensor:
    """Each picture behind a Gaussian of its own deviation, in pixels; 0 leaves it sharp."""
    reach = max(1, math.ceil(3 * float(deviation.max()))) if len(deviation) else 1
    offsets = torch.arange(-reach, reach + 1)
    weights = (-offsets.square() / (2 * deviation.clamp_min(1e-3)[:, None].square())).exp()
    weights = (weights / weights.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)
    n, _, height, width = images.shape
    flat = images.reshape(1, 3 * n, height, width)
    for shape, padding in (
        ((-1, 1, 2 * reach + 1, 1), (0, 0, reach, reach)),
        ((-1, 1, 1, 2 * reach + 1), (reach, reach, 0, 0)),
    ):
        padded = F.pad(flat, padding, mode="reflect")
        flat = F.conv2d(padded, weights.view(shape), groups=3 * n)
    return flat.view(n, 3, height, width)
