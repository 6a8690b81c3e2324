"""What sliders show: latents moved, decoded and asked about for several cards together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attributions.codes import at_once
from trimvae.explanation.counterfactuals import grid_between
from trimvae.explanation.probing import Probing
from trimvae.explanation.searching import along_grid
from trimvae.figures.drawing import are_images, feature_names
from trimvae.figures.rows import in_units
from trimvae.figures.strips import moving_columns
from trimvae.report.drawing import COLUMNS, drawn, rounded_list, sheet_of


class Seen(NamedTuple):
    """What points in latents look like, and what the predictor says there; on the CPU."""

    outputs: Tensor
    """`(points, outputs)`."""
    shown: Tensor
    """`(points, ...)`: images as bytes, as `drawn`, or decoded rows of a table."""

    def at(self, index: Tensor | slice) -> "Seen":
        """Those of an index, of whatever shape."""
        return Seen(self.outputs[index], self.shown[index])


class Moves(NamedTuple):
    """Latents of one example, each moved alone through its range."""

    example: int
    chosen: list[int]
    """Which latents."""
    values: Tensor
    """`(latents, steps)`, ascending; the example's own is among them."""
    own: list[int]
    """Its place."""
    outputs: Tensor
    """`(latents, steps, outputs)`, what the predictor says."""
    drawn: dict[str, Any]
    """The `sheet` of pictures, a row for each latent, with the `height` and `width` of one; or the
    `rows` of a table, of each latent the columns that move most."""


def seen_at(explanation: Probing, points: Tensor, max_pixels: int) -> Seen:
    """Decode latents and ask the predictor, as many at once as fit.

    Args:
        explanation: With code and predictor.
        points: `(points, latents)`.
        max_pixels: Longest side of a picture.
    """
    trim, parts = explanation.trim, list[Seen]()
    with torch.no_grad():
        for some in points.split(at_once(explanation.inputs)):
            inputs = trim.decode(some)
            parts.append(_shown(explanation, inputs, trim.predictor(inputs), max_pixels))
    return _joined(parts)


def _shown(explanation: Probing, inputs: Tensor, outputs: Tensor, max_pixels: int) -> Seen:
    shown = drawn(inputs, max_pixels) if are_images(explanation) else inputs.cpu()
    return Seen(outputs.cpu(), shown)


def _joined(parts: Sequence[Seen]) -> Seen:
    return Seen(*(torch.cat(held) for held in zip(*parts, strict=True)))


def moves_of(
    explanation: Probing, examples: Sequence[int], n_latents: int, frames: int, max_pixels: int
) -> list[Moves]:
    """Move the strongest latents of examples, of so many together as fit.

    Args:
        explanation: With code and predictor.
        examples: Of it.
        n_latents: Most latents of each.
        frames: Values of each latent, the example's own aside.
        max_pixels: Longest side of a picture.

    Returns:
        The moves of each example.
    """
    latents = min(n_latents, explanation.latents.shape[1])
    rows, found = latents * frames, list[Moves]()
    grid = grid_between(*explanation.ranges, frames)
    together = max(1, at_once(explanation.inputs) // rows)
    for first in range(0, len(examples), together):
        some = list(examples[first : first + together])
        chosen = [explanation.strongest(example, latents) for example in some]
        moved = torch.tensor(chosen, device=grid.device).flatten()
        points = along_grid(explanation.latents[some].repeat_interleave(latents, 0), moved, grid)
        seen = seen_at(explanation, points.flatten(0, 1), max_pixels)
        for place, example in enumerate(some):
            along = seen.at(slice(place * rows, (place + 1) * rows))
            found.append(_with_its_own(explanation, example, chosen[place], along, max_pixels))
    return found


def _with_its_own(
    explanation: Probing, example: int, chosen: list[int], along: Seen, max_pixels: int
) -> Moves:
    """Put the example's own values, of which all is known, in their places on the grid."""
    latents, frames = len(chosen), len(along.outputs) // len(chosen)
    grid = grid_between(*explanation.ranges, frames)[chosen].cpu()
    values = explanation.latents[example, chosen].cpu().unsqueeze(1)
    own = (grid < values).sum(dim=1, keepdim=True)
    steps = torch.arange(frames + 1, device="cpu")
    steps = (steps - (steps > own).long()).scatter(1, own, frames)  # the own one stands last
    rows = slice(example, example + 1)
    itself = _shown(
        explanation,
        explanation.reconstructions[rows],
        explanation.reencoded_outputs[rows],
        max_pixels,
    )
    places = torch.arange(latents, device="cpu").unsqueeze(1) * frames + steps
    places.scatter_(1, own, latents * frames)
    seen = _joined([along, itself]).at(places)
    return Moves(
        example,
        chosen,
        torch.cat([grid, values], dim=1).gather(1, steps),
        own[:, 0].tolist(),
        seen.outputs,
        _drawn_on_the_way(explanation, seen),
    )


def _drawn_on_the_way(explanation: Probing, seen: Seen) -> dict[str, Any]:
    """Pictures on one sheet, a row for each latent; of a table the columns that move most."""
    if are_images(explanation):
        steps, height, width = seen.shown.shape[1:4]
        sheet = sheet_of(seen.shown.flatten(0, 1), columns=steps)
        return {"rows": None, "height": height, "width": width, "sheet": sheet}
    names, rows = feature_names(explanation), []
    for inputs in seen.shown:
        columns = moving_columns(inputs, COLUMNS)
        moved = in_units(explanation, inputs)[:, columns]
        rows.append({"names": [names[column] for column in columns], "values": rounded_list(moved)})
    return {"rows": rows, "sheet": None}
