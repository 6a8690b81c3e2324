"""dSprites, rendered: three shapes in every size, orientation and position."""

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from trimvae.data.factors import FactorData

SHAPES = ("square", "ellipse", "heart")
_PIXELS, _POSITIONS, _FIRST_CENTRE = 64, 32, 17
# Of the shapes at scale 1, in pixels of the 64x64 image.
_HALF_SIDE, _SEMI_AXES, _HEART = 10.0, (6.5, 11.5), 9.0


def sprites(*, size: int = 64, colours: int = 1) -> FactorData:
    """The grid of dSprites, rendered on demand: 737,280 images of three shapes.

    3 shapes x 6 scales x 40 orientations x 32 x 32 positions, in the order of the published file.
    A shape moves by whole pixels, so each of the 720 outlines is drawn once and shifted: an image
    costs about as much as copying it. The outlines were fitted to the published images (overlap
    .98 for squares and ellipses, .94 for hearts, whose outline differs a little).

    References:
        Matthey et al.: dSprites, 2017, https://github.com/google-deepmind/dsprites-dataset

    Args:
        size: 64 for binary images as published; 32 for means of four pixels, grey values.
        colours: How many hues; above 1 images are RGB and `colour` becomes the first factor.

    Returns:
        A data set with the factors `shape`, `scale`, `orientation`, `x` and `y`.

    Raises:
        ValueError: `size` is neither 32 nor 64, or `colours` is below 1.

    Examples:
        >>> data = sprites()
        >>> len(data), data.event_shape
        (737280, (1, 64, 64))
        >>> centre = torch.tensor([[0, 5, 0, 16, 16]])  # an upright square of 20 x 20 pixels
        >>> data.sample(centre).sum().item()
        400.0
    """
    if size not in (32, 64):
        raise ValueError(f"`size` must be 32 or 64. Got {size}. Use 64, the published one.")
    if colours < 1:
        raise ValueError(f"`colours` must be at least 1. Got {colours}. Use 1 for white on black.")
    values = {
        "shape": tuple(range(len(SHAPES))),
        "scale": tuple(0.5 + level / 10 for level in range(6)),
        "orientation": tuple(2 * math.pi * level / 39 for level in range(40)),
        "x": tuple(level / 31 for level in range(_POSITIONS)),
        "y": tuple(level / 31 for level in range(_POSITIONS)),
    }
    if colours > 1:
        values = {"colour": tuple(level / colours for level in range(colours)), **values}
    return FactorData(functools.partial(_render, size=size, colours=colours), values)


def _render(levels: Tensor, *, size: int, colours: int) -> Tensor:
    shape, scale, orientation, x, y = levels[:, -5:].unbind(dim=1)
    outline = (shape * 6 + scale) * 40 + orientation
    last = _POSITIONS - 1
    masks = _windows()[outline, last - y, last - x].unsqueeze(1)
    if size != _PIXELS:
        masks = F.avg_pool2d(masks.float(), _PIXELS // size)
    if colours == 1:
        return masks.float()
    return masks.float() * _hues(colours)[levels[:, 0]][:, :, None, None]


@functools.cache
def _windows() -> Tensor:
    """Every image, `(720, 32, 32, 64, 64)` bytes, as views of 720 canvases of 95 x 95 pixels.

    On its canvas a shape sits where its last position is; an earlier position is a window that
    starts further right or below.
    """
    extent = _PIXELS + _POSITIONS - 1
    centre = _FIRST_CENTRE + _POSITIONS - 1
    offsets = torch.arange(extent) + 0.5 - centre
    down, right = offsets[None, :, None], offsets[None, None, :]
    scales = (0.5 + torch.arange(6) / 10)[:, None, None, None]
    angles = (2 * math.pi * torch.arange(40) / 39)[:, None, None]
    along = (right * angles.cos() + down * angles.sin()) / scales
    across = (down * angles.cos() - right * angles.sin()) / scales
    square = torch.maximum(along.abs(), across.abs()) < _HALF_SIDE
    ellipse = (along / _SEMI_AXES[0]) ** 2 + (across / _SEMI_AXES[1]) ** 2 < 1
    u, v = along / _HEART, -across / _HEART
    heart = (u**2 + v**2 - 1) ** 3 < u**2 * v**3
    canvases = torch.stack([square, ellipse, heart]).flatten(0, 2).to(torch.uint8)
    return canvases.unfold(1, _PIXELS, 1).unfold(2, _PIXELS, 1)


def _hues(count: int) -> Tensor:
    """Equally spaced fully saturated hues, `(count, 3)`."""
    sixths = 6 * torch.arange(count) / count
    return torch.stack(
        [((sixths + shift) % 6 - 3).abs().sub(1).clamp(0, 1) for shift in (0, 4, 2)], dim=1
    )
