"""Sections of a report: one for each latent, one for each class."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from attributions.measures.attfind import Attribute, attribute_effects, find_attributes
from attributions.naming import isolated
from trimvae.explanation.probing import AttributePairs, Probing
from trimvae.explanation.traversals import Traversal
from trimvae.explanation.usage import LatentUse
from trimvae.figures.drawing import are_images, feature_names
from trimvae.figures.rows import amount, in_units
from trimvae.figures.strips import flips, moving_columns, saying
from trimvae.report.drawing import COLUMNS, picture, signed
from trimvae.report.overview import MOST_CLASSES

# Examples among which AttFind looks for what turns them into a class, and the classes that it is
# asked for.
_ATTFIND_EXAMPLES, _ATTFIND_CLASSES = 128, 12


class Frame(NamedTuple):
    """One step of a strip."""

    value: str
    said: str
    picture: str
    rows: list[tuple[str, str]]
    """Columns and their values, for a table."""


def latent_section(explanation: Probing, use: LatentUse, max_pixels: int) -> dict[str, Any]:
    """What a latent looks like: an average example on which it alone moves."""
    section: dict[str, Any] = {"use": use, "frames": [], "flips": []}
    if not explanation.can_be_asked:
        return section
    section["typical"] = typical = typical_example(explanation)
    traversal = explanation.traverse(typical, use.latent, n_steps=25)
    every = 4 if are_images(explanation) else 6  # columns of numbers take more room
    section["frames"] = _frames(explanation, traversal, range(0, 25, every), max_pixels)
    if explanation.task == "classification":
        section["flips"] = [
            (f"{value:+.1f}", explanation.class_names[winner]) for value, winner in flips(traversal)
        ]
    return section


def typical_example(explanation: Probing) -> int:
    """The example that is nearest to the mean latents."""
    centred = explanation.latents - explanation.latents.mean(dim=0)
    return int(centred.norm(dim=1).argmin())


def _frames(
    explanation: Probing, traversal: Traversal, steps: Sequence[int], max_pixels: int
) -> list[Frame]:
    images, names = are_images(explanation), feature_names(explanation)
    columns = [] if images else moving_columns(traversal.inputs, COLUMNS)
    frames = []
    for step in steps:
        flat = in_units(explanation, traversal.inputs[step])
        frames.append(
            Frame(
                f"{traversal.values[step]:+.1f}",
                saying(explanation, traversal.outputs[step], isolated),
                picture(traversal.inputs[step : step + 1], max_pixels) if images else "",
                [(names[column], amount(explanation, column, flat[column])) for column in columns],
            )
        )
    return frames


def class_sections(explanation: Probing, max_pixels: int) -> list[dict[str, Any]]:
    """For each predicted class: how many, how faithful, by which latents, and what makes it."""
    if not explanation.by_class:
        return []
    counts = torch.bincount(explanation.predicted, minlength=len(explanation.class_names))
    order = counts.argsort(descending=True, stable=True)[:MOST_CLASSES]
    few = explanation.select(range(min(len(explanation.inputs), _ATTFIND_EXAMPLES)))
    asked = (few.latents, *few.ranges)
    effects = attribute_effects(few.trim, *asked) if explanation.can_be_asked else None
    sections = []
    for place, index in enumerate(index for index in order.tolist() if counts[index]):
        of_class = explanation.for_class(index)
        found: list[Attribute] = []
        if explanation.can_be_asked and place < _ATTFIND_CLASSES:
            found = find_attributes(few.trim, *asked, index, k=3, effects=effects)
        sections.append(
            {
                "index": index,
                "name": explanation.class_names[index],
                "count": int(counts[index]),
                "agreement": of_class.metrics["agreement"],
                "effective": of_class.metrics["effective_latents"],
                "top": [use for use in of_class.top(3) if use.share >= 0.05],
                "attributes": [_attribute(few, one, index, max_pixels) for one in found],
            }
        )
    return sorted(sections, key=lambda section: section["index"])


def _attribute(
    explanation: Probing, attribute: Attribute, target: int, max_pixels: int
) -> dict[str, Any]:
    pair = explanation.attribute_pairs(attribute, target, 3)
    images = are_images(explanation)
    return {
        "name": explanation.latent_names[attribute.latent],
        "direction": ("low", "high")[attribute.direction],
        "effect": f"{attribute.effect:+.1f}",
        "flipped": f"{attribute.flipped:.0%}",
        "pairs": _pictures(explanation, pair, max_pixels) if images else [],
        "columns": [] if images else _changes(explanation, pair),
    }


def _pictures(
    explanation: Probing, pair: AttributePairs, max_pixels: int
) -> list[tuple[str, str, str, str]]:
    """Each example without and with the attribute, and what the predictor says of both."""
    return [
        (
            picture(pair.before[index : index + 1], max_pixels),
            saying(explanation, pair.outputs_before[index], isolated),
            picture(pair.after[index : index + 1], max_pixels),
            saying(explanation, pair.outputs_after[index], isolated),
        )
        for index in range(len(pair.before))
    ]


def _changes(explanation: Probing, pair: AttributePairs) -> list[tuple[str, str]]:
    """The columns that an attribute changes most, with their mean change."""
    if not len(pair.before):
        return []
    names = feature_names(explanation)
    change = (pair.after - pair.before).flatten(1).mean(dim=0)
    columns = change.abs().topk(min(COLUMNS, len(change))).indices.tolist()
    after, before = (in_units(explanation, side) for side in (pair.after, pair.before))
    shown = (after - before).mean(dim=0)
    return [(names[column], signed(shown[column])) for column in columns]
