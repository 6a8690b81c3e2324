"""Sections of a report: one for each latent, one for each class."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attributions.measures.attfind import attribute_effects, find_attributes
from attributions.naming import isolated
from trimvae.explanation.counterfactuals import grid_between
from trimvae.explanation.pairs import AttributePairs
from trimvae.explanation.probing import Probing
from trimvae.explanation.searching import along_grid
from trimvae.explanation.usage import LatentUse
from trimvae.figures.drawing import are_images, feature_names
from trimvae.figures.rows import amount, in_units
from trimvae.figures.strips import flips, moving_columns, sayings
from trimvae.report.drawing import COLUMNS, each_alone, sheet_of, signed
from trimvae.report.moving import Seen, seen_at
from trimvae.report.overview import MOST_CLASSES

# Values of a latent that are asked for in its section; some of them are shown.
_STEPS = 25

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


def latent_sections(
    explanation: Probing, uses: Sequence[LatentUse], max_pixels: int
) -> list[dict[str, Any]]:
    """What each latent looks like: an average example on which it alone moves."""
    if not explanation.can_be_asked:
        return [{"use": use, "frames": [], "flips": []} for use in uses]
    typical = typical_example(explanation)
    grid = grid_between(*explanation.ranges, _STEPS)
    chosen = torch.tensor([use.latent for use in uses], device=grid.device)
    points = along_grid(explanation.latents[typical].expand(len(uses), -1), chosen, grid)
    seen = seen_at(explanation, points.flatten(0, 1), max_pixels)
    every = 4 if are_images(explanation) else 6  # columns of numbers take more room
    sections = []
    for place, (use, values) in enumerate(zip(uses, grid[chosen].cpu(), strict=True)):
        along = seen.at(slice(place * _STEPS, (place + 1) * _STEPS))
        flipped = []
        if explanation.task == "classification":
            flipped = [
                (f"{value:+.1f}", explanation.class_names[winner])
                for value, winner in flips(values, along.outputs)
            ]
        frames = _frames(explanation, values, along, every)
        sections.append({"use": use, "typical": typical, "frames": frames, "flips": flipped})
    return sections


def typical_example(explanation: Probing) -> int:
    """The example that is nearest to the mean latents."""
    centred = explanation.latents - explanation.latents.mean(dim=0)
    return int(centred.norm(dim=1).argmin())


def _frames(explanation: Probing, values: Tensor, along: Seen, every: int) -> list[Frame]:
    """Every so many-th step along a latent."""
    few = along.at(slice(None, None, every))
    said = sayings(explanation, few.outputs, isolated)
    shown = [f"{value:+.1f}" for value in values[::every].tolist()]
    if are_images(explanation):
        pictures = [sheet_of(one) for one in few.shown.split(1)]
        return [Frame(*each, []) for each in zip(shown, said, pictures, strict=True)]
    names, columns = feature_names(explanation), moving_columns(along.shown, COLUMNS)
    return [
        Frame(value, says, "", [(names[j], amount(explanation, j, flat[j])) for j in columns])
        for value, says, flat in zip(shown, said, in_units(explanation, few.shown), strict=True)
    ]


def class_sections(explanation: Probing, max_pixels: int) -> list[dict[str, Any]]:
    """For each predicted class: how many, how faithful, by which latents, and what makes it."""
    if not explanation.by_class:
        return []
    counts = torch.bincount(explanation.predicted, minlength=len(explanation.class_names))
    order = counts.argsort(descending=True, stable=True)[:MOST_CLASSES]
    few = explanation.select(range(min(len(explanation.inputs), _ATTFIND_EXAMPLES)))
    effects = attribute_effects(few.trim, few.latents, *few.ranges) if few.can_be_asked else None
    sections = []
    for place, index in enumerate(index for index in order.tolist() if counts[index]):
        of_class = explanation.for_class(index)
        found: list[dict[str, Any]] = []
        if effects is not None and place < _ATTFIND_CLASSES:
            found = _attributes(few, index, effects, max_pixels)
        sections.append(
            {
                "index": index,
                "name": explanation.class_names[index],
                "count": int(counts[index]),
                "agreement": of_class.metrics["agreement"],
                "effective": of_class.metrics["effective_latents"],
                "top": [use for use in of_class.top(3) if use.share >= 0.05],
                "attributes": found,
            }
        )
    return sorted(sections, key=lambda section: section["index"])


def _attributes(
    explanation: Probing, target: int, effects: Tensor, max_pixels: int
) -> list[dict[str, Any]]:
    """What turns examples of other classes into one."""
    trim, images = explanation.trim, are_images(explanation)
    outputs = trim.predictor.select(explanation.reencoded_outputs)
    found = find_attributes(
        trim,
        explanation.latents,
        *explanation.ranges,
        target,
        k=3,
        effects=effects,
        outputs=outputs,
    )
    shown = []
    for one in found:
        pair = explanation.attribute_pairs(one, target, 3, effects=effects)
        shown.append(
            {
                "name": explanation.latent_names[one.latent],
                "direction": ("low", "high")[one.direction],
                "effect": f"{one.effect:+.1f}",
                "flipped": f"{one.flipped:.0%}",
                "pairs": _pictures(explanation, pair, max_pixels) if images else [],
                "columns": [] if images else _changes(explanation, pair),
            }
        )
    return shown


def _pictures(
    explanation: Probing, pair: AttributePairs, max_pixels: int
) -> list[tuple[str, str, str, str]]:
    """Each example without and with the attribute, and what the predictor says of both."""
    before, after = (each_alone(side, max_pixels) for side in (pair.before, pair.after))
    said, said_after = (
        sayings(explanation, side, isolated) for side in (pair.outputs_before, pair.outputs_after)
    )
    return list(zip(before, said, after, said_after, strict=True))


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
