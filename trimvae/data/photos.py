"""Photographs seen in every way: position, zoom, rotation, hue, brightness and blur are known."""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
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

CHANGES = ("x", "y", "zoom", "rotation", "hue", "brightness", "blur")
"""The latents of a `Rendering`."""
# Of each: where nothing is changed, and the range that is drawn; of the zoom, their logarithms.
_UNCHANGED = (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_LOWEST = (-0.15, -0.15, 0.0, -60.0, -90.0, 0.5, 0.0)
_HIGHEST = (0.15, 0.15, math.log(1.75), 60.0, 90.0, 1.5, 0.05)
_ZOOM, _HUE, _BLUR = 2, 4, 6

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
    _check_size(size)
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


class Rendering(nn.Module):
    r"""A photograph as a code: its latents are what is done to it, and decoding renders it.

    Latent $z_j$ is a factor $v_j = v_j^0 + \sigma_j z_j$, with $v^0$ the photograph as it is and
    $\sigma_j$ the deviation of the range drawn from; the zoom is its exponential, $e^{v_j}$. So 0,
    where attributions start, is the photograph itself: upright, in its own colours, sharp.

    Ranges: shifts of .15 sides, zoom 1 to 1.75, rotation of 60 degrees, hue of 90 degrees either
    way (a line, not a circle), brightness .5 to 1.5, blur to .05 sides. Blur is even in its latent,
    and `encode` gives the one from 0 up. Pixels beyond black and white are clipped, as a camera
    does: there the derivative is 0. Derivatives of first order only; torch refuses a second one.

    Decoding needs no training. To encode, fit a network on renderings, whose latents are known.

    Args:
        photograph: One of `PHOTOGRAPHS`.
        size: Pixels of a side, from 32 to 256.
        encoder: Images to latents `(batch, 7)`, such as `trimvae.models.fit_inverter` returns;
            default: none, and the code only decodes.

    Raises:
        ModuleNotFoundError: `scikit-image` is not installed.
        ValueError: `photograph` is none of them, or `size` is out of range.

    Examples:
        >>> import pytest
        >>> _ = pytest.importorskip("skimage")
        >>> code, data = Rendering("cat", size=32), photographs(size=32)
        >>> turned = torch.tensor([[0, 3, 3, 0, 6, 0, 2, 0]])  # the cat, by 30 degrees
        >>> latents = code.latents_at(torch.tensor([[0.0, 0, 1, 30, 0, 1, 0]]))
        >>> torch.allclose(code.decode(latents), data.sample(turned), atol=1e-5)
        True
    """

    latent_names = CHANGES
    latent_size = len(CHANGES)
    original: Tensor
    """`(3, side, side)`, a little finer than what is rendered."""

    def __init__(
        self,
        photograph: str = "cat",
        *,
        size: int = 96,
        encoder: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        if photograph not in PHOTOGRAPHS:
            raise ValueError(
                f"`photograph` must be one of {PHOTOGRAPHS}. Got {photograph!r}. Use 'cat'."
            )
        _check_size(size)
        self.photograph, self.size, self.encoder = photograph, size, encoder
        self.image_shape = (3, size, size)
        self.register_buffer("original", _originals(size)[PHOTOGRAPHS.index(photograph)].clone())

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(batch, 7)` to pictures `(batch, 3, size, size)` in [0, 1]."""
        originals = self.original.to(latents).expand(len(latents), -1, -1, -1)
        return _seen(originals, self.factors_at(latents), self.size)

    def encode(self, inputs: Tensor) -> Tensor:
        """Pictures to the latents that the encoder reads from them, `(batch, 7)`.

        Raises:
            RuntimeError: There is no encoder.
        """
        if self.encoder is None:
            raise RuntimeError(
                "`encoder` must be there to encode. Got none. Set rendering.encoder = "
                "fit_inverter(rendering, rendering.image_shape, rendering.latent_size)."
            )
        read = self.encoder(inputs)
        return torch.cat([read[:, :_BLUR], read[:, _BLUR:].abs()], dim=1)

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw latents `(n, 7)`, each factor uniformly from its range, on its own."""
        unchanged, lowest, highest = self._table(self.original)
        shares = torch.rand(
            (n, len(CHANGES)), generator=generator, device=lowest.device, dtype=lowest.dtype
        )
        return (lowest + shares * (highest - lowest) - unchanged) / _deviation(lowest, highest)

    def baseline(self, n: int = 1) -> Tensor:
        """The photograph as it is: zeros `(n, 7)`."""
        return self.original.new_zeros(n, len(CHANGES))

    def factors_at(self, latents: Tensor) -> Tensor:
        """Factors `(batch, 7)` of latents, in the units of `photographs`."""
        unchanged, lowest, highest = self._table(latents)
        values = unchanged + latents * _deviation(lowest, highest)
        parts = (values[:, :_ZOOM], values[:, _ZOOM : _ZOOM + 1].exp(), values[:, _ZOOM + 1 :])
        return torch.cat(parts, dim=1)

    def latents_at(self, factors: Tensor) -> Tensor:
        """Latents `(batch, 7)` of factors in the units of `photographs`; hues from -180 to 180."""
        unchanged, lowest, highest = self._table(factors)
        columns = list(factors.unbind(dim=1))
        columns[_ZOOM] = columns[_ZOOM].log()
        columns[_HUE] = (columns[_HUE] + 180) % 360 - 180
        return (torch.stack(columns, dim=1) - unchanged) / _deviation(lowest, highest)

    @staticmethod
    def _table(like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Unchanged, lowest, highest."""
        table = torch.tensor((_UNCHANGED, _LOWEST, _HIGHEST), dtype=torch.float64).to(like)
        return table[0], table[1], table[2]


def _deviation(lowest: Tensor, highest: Tensor) -> Tensor:
    """Of a uniform distribution."""
    return (highest - lowest) / 12**0.5


def _check_size(size: int) -> None:
    if not 32 <= size <= 256:
        raise ValueError(f"`size` must be from 32 to 256. Got {size}. Use 64.")


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
    return _seen(_originals(size)[photograph], torch.stack(values, dim=1), size)


def _seen(originals: Tensor, values: Tensor, size: int) -> Tensor:
    """Each photograph as its row of factors says, `(n, 3, size, size)`; differentiable."""
    x, y, zoom, turn, hue, light, blur = values.unbind(dim=1)
    images = _placed(originals, x, y, zoom, turn.deg2rad(), size)
    images = _recoloured(images, hue.deg2rad()) * light[:, None, None, None]
    return _blurred(images, blur * size, math.ceil(3 * _BLURS[-1] * size)).clamp(0, 1)


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
    to = torch.tensor(_TO_YIQ).to(images)
    cos, sin, zero = hue.cos(), hue.sin(), torch.zeros_like(hue)
    rows = [zero + 1, zero, zero, zero, cos, -sin, zero, sin, cos]
    turned = torch.stack(rows, dim=1).view(-1, 3, 3)
    return torch.einsum("nij,njhw->nihw", torch.linalg.inv(to) @ turned @ to, images)


def _blurred(images: Tensor, deviation: Tensor, reach: int) -> Tensor:
    """Each picture behind a Gaussian of its own deviation, in pixels; 0 leaves it sharp.

    Weights end `reach` pixels from the middle. They are even in the deviation and smooth at 0.
    """
    offsets = torch.arange(-reach, reach + 1, device=images.device)
    variance = deviation.square().clamp_min(1e-6)[:, None]
    weights = (-offsets.square() / (2 * variance)).exp()
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
