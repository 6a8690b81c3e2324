"""Cards of a report: one for each example, with its sliders."""

from typing import Any

from torch import Tensor

from attributions.naming import isolated
from attributions.outputs import both_classes, decisions
from trimvae.explanation.probing import Probing
from trimvae.figures.drawing import are_images
from trimvae.figures.rows import cells
from trimvae.figures.strips import saying, sayings
from trimvae.figures.waterfall import contributions
from trimvae.report.drawing import picture, plain, rounded_list, signed
from trimvae.report.moving import Moves

# Classes whose probabilities stand beside the sliders.
_CLASSES = 5

_BARS = 8


def example_card(
    explanation: Probing, example: int, n_latents: int, max_pixels: int, moves: Moves | None
) -> dict[str, Any]:
    """Everything that is shown of one example; `moves` is what its sliders need.

    Args:
        explanation: An explanation.
        example: Of it.
        n_latents: Most latents with a bar.
        max_pixels: Longest side of a slider's pictures.
        moves: Its latents, moved; None without code and predictor.
    """
    card = {**_decided(explanation, example), **_bars(explanation, example, min(n_latents, _BARS))}
    card |= {"input": None, "columns": [], "moves": None}
    if are_images(explanation):
        card["input"] = picture(explanation.inputs[example : example + 1], 2 * max_pixels)
    else:
        held = cells(explanation, explanation.inputs[example])
        card["columns"] = [(isolated(name), isolated(value)) for name, value in held]
    if moves is not None:
        card["moves"] = shown = _sliders(explanation, moves)
        # The sheet and the names stand in the page; the script needs the rest.
        card["moves_data"] = {
            name: value for name, value in shown.items() if name not in ("sheet", "latents")
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


def _sliders(explanation: Probing, moves: Moves) -> dict[str, Any]:
    """What the sliders of an example show: for each latent its values, pictures and outputs."""
    outputs, steps = moves.outputs, moves.values.shape[1]
    said = sayings(explanation, outputs.flatten(0, 1), isolated)
    return {
        "latents": [explanation.latent_names[latent] for latent in moves.chosen],
        "numbers": moves.chosen,
        "values": [[round(value, 2) for value in row] for row in moves.values.tolist()],
        "own": moves.own,
        "said": [said[first : first + steps] for first in range(0, len(said), steps)],
        **_said_on_the_way(explanation, outputs, int(explanation.predicted[moves.example])),
        **moves.drawn,
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
