"""What concepts of a layer look like, and where in a picture they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from attributions.checks import check_counts
from attributions.heatmaps import new_figure
from attributions.transforms import Features
from trimvae.figures.drawing import draw_image, short
from trimvae.figures.pixels import draw_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_concepts(
    features: Features,
    inputs: Tensor,
    *,
    concepts: Sequence[int] | None = None,
    crops: int = 6,
    cells: float = 3,
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw the crops of pictures that hold most of each concept, at most one of each picture.

    Over each crop how much of the concept its place holds, as a share of the largest.

    Args:
        features: Concepts of a layer whose maps have height and width.
        inputs: `(n, channels, height, width)`, pictures.
        concepts: Which; default: all.
        crops: How many for each concept.
        cells: Side of a crop, in places of the layer.
        fig: Where to draw; default: a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: There is no such concept, a count is below 1, or the layer has no map.
    """
    _check_grid(features)
    check_counts(crops=crops)
    chosen = _checked(features, concepts)
    maps = features.maps(inputs)
    crops = min(crops, len(inputs))
    figure = fig or new_figure(1.05 * crops + 1.2, 1.2 * len(chosen) + 0.5)
    grid = figure.subplots(len(chosen), crops, squeeze=False)
    for panels, concept in zip(grid, chosen, strict=True):
        found = maps[:, concept].flatten(1).max(dim=1)
        order = found.values.argsort(descending=True)[:crops].tolist()
        largest = float(found.values[order[0]]) or 1.0
        for axes, example in zip(panels, order, strict=True):
            place = int(found.indices[example])
            draw_image(axes, _crop(inputs[example], place, features.grid, cells))
            axes.set_title(f"{float(found.values[example]) / largest:.2f}", fontsize=7, pad=2)
        panels[0].set_ylabel(
            short(features.concept_names[concept], 14),
            fontsize=8,
            rotation=0,
            ha="right",
            va="center",
        )
    figure.suptitle(
        "Where there is most of each concept; numbers: share of the largest amount",
        fontsize=8.5,
        x=0.01,
        ha="left",
    )
    return figure


def plot_concept_maps(
    features: Features,
    picture: Tensor,
    maps: Tensor,
    *,
    n_concepts: int = 4,
    name: str = "the class",
    fig: "Figure | None" = None,
) -> "Figure":
    """Draw one picture, and over it where its strongest concepts speak for a class or against.

    All maps have one scale of colours, so that a concept that does little looks so.

    Args:
        features: Concepts of a layer whose maps have height and width.
        picture: `(channels, height, width)`.
        maps: `(concepts, height, width)`, of one input from `concept_maps`.
        n_concepts: How many: those of largest absolute attribution.
        name: Of the class.
        fig: Where to draw; default: a new figure.

    Returns:
        The figure.

    Raises:
        ValueError: The maps do not fit the concepts, `n_concepts` is below 1, or the layer has
            no map.
    """
    _check_grid(features)
    check_counts(n_concepts=n_concepts)
    expected = (len(features.concept_names), *features.grid)
    if tuple(maps.shape) != expected:
        raise ValueError(
            f"`maps` must have shape {expected}. Got {tuple(maps.shape)}. Pass those of one input, "
            "such as concept_maps(features, inputs)[0]."
        )
    sums = maps.flatten(1).sum(dim=1)
    chosen = sums.abs().argsort(descending=True)[:n_concepts].tolist()
    figure = fig or new_figure(1.75 * (len(chosen) + 1), 2.4)
    panels = figure.subplots(1, len(chosen) + 1, squeeze=False)[0]
    draw_image(panels[0], picture)
    panels[0].set_title("the picture", fontsize=8)
    wide = F.interpolate(maps[None], size=tuple(picture.shape[-2:]), mode="bilinear")[0]
    limit = float(maps[chosen].abs().max())
    for axes, concept in zip(panels[1:], chosen, strict=True):
        draw_map(axes, picture, wide[[concept]], True, 0, limit=limit)
        label = short(features.concept_names[concept], 14)
        axes.set_title(f"{label} ({sums[concept]:+.2f})", fontsize=8)
    figure.suptitle(
        f"Where each concept acts: red speaks for {short(name)}, blue against. "
        "In brackets: attribution, the sum of the map.",
        fontsize=9,
        x=0.01,
        ha="left",
    )
    return figure


def _check_grid(features: Features) -> None:
    if len(features.grid) != 2:
        raise ValueError(
            "`features` must have a map of height and width to be drawn. Got places of shape "
            f"{features.grid}. Choose a layer of a convolutional network."
        )


def _checked(features: Features, concepts: Sequence[int] | None) -> list[int]:
    size = len(features.concept_names)
    chosen = list(range(size) if concepts is None else concepts)
    wrong = [concept for concept in chosen if not 0 <= concept < size]
    if wrong:
        raise ValueError(
            f"`concepts` must be from 0 to {size - 1}. Got {wrong[0]}. Choose existing ones."
        )
    return chosen


def _crop(picture: Tensor, place: int, grid: tuple[int, ...], cells: float) -> Tensor:
    """A square around a place, moved inside where it would leave the picture."""
    row, column = divmod(place, grid[1])
    slices: list[Any] = [slice(None)]
    for index, count, size in zip((row, column), grid, picture.shape[-2:], strict=True):
        side = min(size, max(1, round(cells * size / count)))
        start = round((index + 0.5) * size / count - side / 2)
        start = int(torch.tensor(start).clamp(0, size - side))
        slices.append(slice(start, start + side))
    return picture[tuple(slices)]
