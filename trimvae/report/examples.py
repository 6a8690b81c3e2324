"""Cards of a report: one for each example, with its sliders."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attributions.naming import isolated
from attributions.outputs import both_classes, decisions
from trimvae.explanation.probing import Probing
from trimvae.explanation.traversals import Traversal
from trimvae.figures.drawing import are_images, feature_names
from trimvae.figures.rows import cells, in_units
from trimvae.figures.strips import moving_columns, saying
from trimvae.figures.waterfall import contributions
from trimvae.report.drawing import COLUMNS, picture, plain, reduced, rounded_list, signed

# Classes whose probabilities stand beside the sliders.
_CLASSES = 5

_BARS = 8


def example_card(
    explanation: Probing, example: int, n_latents: int, frames: int, max_pixels: int
) -> dict[str, Any]:
    """Everything that is shown of one example; `moves` is what its sliders need."""
    card = {**_decided(explanation, example), **_bars(explanation, example, min(n_latents, _BARS))}
    card |= {"input": None, "columns": [], "moves": None}
    if are_images(explanation):
        card["input"] = picture(explanation.inputs[example : example + 1], 2 * max_pixels)
    else:
        held = cells(explanation, explanation.inputs[example])
        card["columns"] = [(isolated(name), isolated(value)) for name, value in held]
    if explanation.can_be_asked:
        chosen = explanation.strongest(example, n_latents)
        card["moves"] = moves = _moves(explanation, example, chosen, frames, max_pixels)
        # The sheet and the names stand in the page; the script needs the rest.
        card["moves_data"] = {
            name: value for name, value in moves.items() if name not in ("sheet", "latents")
        }
    return card


def _decided(explanation: Probing, example: int) -> dict[str, Any]:
    """What the predictor says of an example, and whether it is right and survives re-encoding."""
    predicted = int(explanation.predicted[example])
    label = None
    if explanation.labels is not None and explanation.task == "classification":
        label = int(explanation.labels[example])
    return {
        "example": example,
        "predicted": predicted,
        "said": saying(explanation, explanation.outputs[example], isolated),
        "label": None if label is None else explanation.class_names[label],
        "right": None if label is None else label == predicted,
        "disagrees": bool(explanation.disagrees[example]),
        "reencoded": saying(explanation, explanation.reencoded_outputs[example], isolated),
    }


def _bars(explanation: Probing, example: int, n_latents: int) -> dict[str, Any]:
    """The waterfall as a list of bars."""
    steps = contributions(explanation, example, n_latents=n_latents)
    largest = max(map(abs, steps.values), default=0.0) or 1.0
    return {
        "start": plain(steps.start),
        "end": plain(steps.end),
        "explained": steps.label,
        "bars": [
            (name, signed(value), round(100 * abs(value) / largest, 1), value > 0)
            for name, value in zip(steps.names, steps.values, strict=True)
        ],
    }


def _moves(
    explanation: Probing, example: int, chosen: Sequence[int], frames: int, max_pixels: int
) -> dict[str, Any]:
    """What the sliders of an example show: for each latent its values, pictures and outputs."""
    traversals, owns = [], []
    for latent in chosen:
        own = explanation.latents[example, latent].item()
        low, high = (end[latent].item() for end in explanation.ranges)
        values = sorted([*torch.linspace(low, high, frames, device="cpu").tolist(), own])
        traversals.append(
            explanation.traverse(example, latent, values=np.array(values, dtype=np.float32))
        )
        owns.append(values.index(own))
    outputs = torch.stack([traversal.outputs for traversal in traversals]).cpu()
    predicted = int(explanation.predicted[example])
    return {
        "latents": [explanation.latent_names[latent] for latent in chosen],
        "numbers": list(chosen),
        "values": [[round(value, 2) for value in t.values.tolist()] for t in traversals],
        "own": owns,
        "said": [[saying(explanation, step, isolated) for step in steps] for steps in outputs],
        **_said_on_the_way(explanation, outputs, predicted),
        **_drawn_on_the_way(explanation, traversals, max_pixels),
    }


def _said_on_the_way(explanation: Probing, outputs: Tensor, predicted: int) -> dict[str, Any]:
    """Of outputs `(latents, steps, outputs)` the likeliest classes, or the quantity itself."""
    if explanation.task == "regression":
        return {
            "classes": [],
            "chances": None,
            "winners": None,
        }
    flat = outputs.flatten(0, 1)
    chances = both_classes(flat).softmax(dim=1)
    kept = chances.amax(dim=0).argsort(descending=True)[:_CLASSES].tolist()
    kept = sorted({predicted, *kept[: _CLASSES - (predicted not in kept)]})
    winners = decisions(flat).unflatten(0, outputs.shape[:2]).tolist()
    return {
        "classes": [explanation.class_names[index] for index in kept],
        "chances": rounded_list(chances[:, kept].unflatten(0, outputs.shape[:2])),
        "winners": [[explanation.class_names[index] for index in row] for row in winners],
    }


def _drawn_on_the_way(
    explanation: Probing, traversals: Sequence[Traversal], max_pixels: int
) -> dict[str, Any]:
    """Pictures on one sheet, a row for each latent; of a table the columns that move most."""
    if are_images(explanation):
        inputs = torch.cat([traversal.inputs for traversal in traversals])
        height, width = reduced(inputs[:1], max_pixels).shape[-2:]
        sheet = picture(inputs, max_pixels, columns=len(traversals[0].values))
        return {"rows": None, "height": height, "width": width, "sheet": sheet}
    names, rows = feature_names(explanation), []
    for traversal in traversals:
        columns = moving_columns(traversal.inputs, COLUMNS)
        moved = in_units(explanation, traversal.inputs)[:, columns]
        rows.append({"names": [names[column] for column in columns], "values": rounded_list(moved)})
    return {"rows": rows, "sheet": None}
