"""What every picture needs: images as arrays, names that fit, tables as columns."""

from typing import Any

import numpy as np
from torch import Tensor

from attributions.naming import drawable
from trimvae.explanation.evidence import Evidence


def image_array(image: Tensor) -> Any:
    """Image `(channels, height, width)` for matplotlib: `(height, width[, 3])` in [0, 1]."""
    image = image.detach().cpu().float()
    if image.shape[0] == 3:
        return image.clamp(0, 1).permute(1, 2, 0).numpy()
    return image.mean(dim=0).clamp(0, 1).numpy()


def draw_image(axes: Any, image: Tensor) -> None:
    """Draw one image without ticks, greys from black 0 to white 1."""
    axes.imshow(image_array(image), cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])


def draw_montage(axes: Any, images: Tensor, edges: tuple[float, float]) -> None:
    """Draw images side by side, spread over `edges` of the horizontal axis, a gap between."""
    arrays = [image_array(image) for image in images]
    gap = np.ones((arrays[0].shape[0], max(1, arrays[0].shape[1] // 14), *arrays[0].shape[2:]))
    parts = [part for array in arrays for part in (array, gap)][:-1]
    axes.imshow(
        np.concatenate(parts, axis=1),
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=(*edges, 0, 1),
        aspect="auto",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def short(name: str, length: int = 22) -> str:
    """A name that fits beside an axis, drawn letter by letter."""
    return drawable(name, length)


def feature_names(explanation: Evidence) -> list[str]:
    """Names of a table's columns; `x0`, `x1` ... where none were given."""
    names = explanation.settings.get("feature_names")
    size = explanation.inputs[0].numel()
    return list(names) if names and len(names) == size else [f"x{index}" for index in range(size)]


def are_images(explanation: Evidence) -> bool:
    """Whether the inputs are images `(batch, 1 or 3, height, width)`."""
    return explanation.inputs.ndim == 4
