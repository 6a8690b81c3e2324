"""Numbers and pictures as a page holds them."""

import base64
import io
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# Columns of a table shown while a latent moves.
COLUMNS = 6

# A sheet of frames up to this size is kept without loss: noise of a lossy format would show.
_LOSSLESS_PIXELS = 40

# WebP's sides end here.
_WEBP_PIXELS = 16_383


def plain(value: Tensor | float) -> str:
    """Two decimals."""
    return f"{round(float(value), 2) + 0.0:.2f}"  # adding 0 turns -0 into 0


def signed(value: Tensor | float) -> str:
    """Two decimals and the sign; no sign before 0."""
    return f"{rounded:+.2f}" if (rounded := round(float(value), 2)) else "0.00"


def rounded_list(values: Tensor) -> list[Any]:
    """Three decimals, as nested lists."""
    found: list[Any] = np.round(values.cpu().double().numpy(), 3).tolist()
    return found


def reduced(images: Tensor, max_pixels: int) -> Tensor:
    """Images with no side longer than `max_pixels`, pixels averaged."""
    scale = max_pixels / max(images.shape[-2:])
    if scale >= 1:
        return images
    size = [max(1, round(side * scale)) for side in images.shape[-2:]]
    return F.interpolate(images, size=size, mode="area")


def drawn(images: Tensor, max_pixels: int) -> Tensor:
    """Images `(n, channels, height, width)` as bytes `(n, height, width[, 3])`, no larger."""
    small = reduced(images.detach().cpu().float(), max_pixels)
    small = small.permute(0, 2, 3, 1) if small.shape[1] == 3 else small.mean(dim=1)
    return small.clamp(0, 1).mul(255).round().to(torch.uint8)


def sheet_of(pictures: Tensor, *, columns: int = 1) -> str:
    """Pictures that are `drawn`, on one sheet, row by row, as a data URL.

    Small ones are kept without loss: greys as PNG, which of those that keep them small is written
    fastest, colours as WebP with the least effort. Of large ones WebP loses what is not seen.
    """
    from PIL import Image

    height, width, *channels = pictures.shape[1:]
    grid = pictures.unflatten(0, (-1, columns)).transpose(1, 2)
    sheet = grid.reshape(-1, columns * width, *channels).numpy()
    lossless = max(height, width) <= _LOSSLESS_PIXELS
    kind, stream = "webp", io.BytesIO()
    options: dict[str, Any] = {"method": 2, "quality": 80}
    if lossless:
        options = {"method": 0, "quality": 0, "lossless": True}
    if (lossless and not channels) or max(sheet.shape[:2]) > _WEBP_PIXELS:
        kind, options = "png", {}
    Image.fromarray(sheet).save(stream, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"


def each_alone(images: Tensor, max_pixels: int) -> list[str]:
    """Images `(n, channels, height, width)` as a data URL each."""
    return [sheet_of(one) for one in drawn(images, max_pixels).split(1)]


def picture(images: Tensor, max_pixels: int, *, columns: int = 1) -> str:
    """Images `(n, channels, height, width)` on one sheet, row by row, as a data URL."""
    return sheet_of(drawn(images, max_pixels), columns=columns)
