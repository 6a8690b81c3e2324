"""Numbers and pictures as a page holds them."""

import base64
import io
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from trimvae.figures.drawing import image_array

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


def picture(images: Tensor, max_pixels: int, *, columns: int = 1) -> str:
    """Images `(n, channels, height, width)` on one sheet, row by row, as a data URL."""
    from PIL import Image

    small = reduced(images.detach().cpu().float(), max_pixels)
    arrays = np.stack([image_array(image) for image in small])
    grid = arrays.reshape(-1, columns, *arrays.shape[1:])
    rows = [np.concatenate(list(row), axis=1) for row in grid]
    sheet = (np.concatenate(rows, axis=0) * 255).round().astype(np.uint8)
    stream = io.BytesIO()
    lossless = max(small.shape[-2:]) <= _LOSSLESS_PIXELS
    kind = "webp" if max(sheet.shape[:2]) <= _WEBP_PIXELS else "png"
    options: dict[str, Any] = {"lossless": lossless, "quality": 80} if kind == "webp" else {}
    Image.fromarray(sheet).save(stream, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
