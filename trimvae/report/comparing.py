"""Two explanations of the same inputs side by side: two classifiers, or two codes of one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from attributions.naming import cut
from trimvae.explanation.comparison import Comparison, check_same_inputs, compare
from trimvae.explanation.evidence import Evidence
from trimvae.explanation.matching import correlations_of
from trimvae.explanation.probing import Probing
from trimvae.figures.drawing import are_images
from trimvae.figures.trust import Check, checks
from trimvae.report.details import LEAST_SHARE
from trimvae.report.drawing import each_alone
from trimvae.report.names import with_marked_names, with_shown_names
from trimvae.report.overview import MOST_CLASSES, MOST_LATENTS, Shown, heatmap, mean_attributions
from trimvae.report.parting import parted_card, parted_classes, parted_examples
from trimvae.report.sections import typical_example
from trimvae.report.sentences import headline
from trimvae.report.sureness import SAME
from trimvae.report.wording import percent

_MOST_PAIRS, _STRIPS, _FRAMES, _MOST_OF_A_NAME = 10, 3, 5, 40


class Relation(NamedTuple):
    """What two explanations share."""

    same_code: bool
    """Whether both see the inputs through the same latents."""
    same_predictor: bool
    """Whether both explain the same outputs."""

    def in_words(self) -> str:
        """What is compared, as a sentence."""
        return {
            (True, True): "One classifier and one code, explained twice.",
            (True, False): "Two classifiers, seen through the same code.",
            (False, True): "One classifier, explained through two codes.",
            (False, False): "Two classifiers, each explained through a code of its own.",
        }[self]


class Pair(NamedTuple):
    """A factor of the first explanation and the one of the other that corresponds to it."""

    name: str
    share: str
    other_name: str
    other_share: str
    correlation: str
    again: bool
    """Whether it is the same factor."""
    reversed: bool
    """Whether more of the one is less of the other."""
    strips: tuple[list[str], list[str]]
    """What both draw, from less to more of the first one; empty of a table."""


def check_against(explanation: Evidence, against: Evidence) -> None:
    """Refuse what cannot stand side by side.

    Args:
        explanation: An explanation.
        against: The one that is to stand beside it.

    Raises:
        ValueError: They are of other inputs, classes or outputs, or of fewer than two inputs.
    """
    check_same_inputs(explanation, against, "against")
    if explanation.class_names != against.class_names:
        few = [", ".join(side.class_names[:5]) for side in (against, explanation)]
        raise ValueError(
            f"`against` must explain the same classes. Got {cut(few[0], 100)} beside "
            f"{cut(few[1], 100)}. Pass the same class_names to both, if the classes are the same."
        )
    asked = [
        (side.task, side.settings["explained"], side.explained_names)
        for side in (against, explanation)
    ]
    if asked[0] != asked[1]:
        names = [cut(side.settings["explained_name"], 60) for side in (against, explanation)]
        raise ValueError(
            f"`against` must explain the same output. Got {names[0]} ({against.task}) beside "
            f"{names[1]} ({explanation.task}). Explain both with the same `explained`."
        )


def relation_of(one: Evidence, other: Evidence) -> Relation:
    """Whether two explanations of the same inputs have code and predictor in common."""

    def same(name: str) -> bool:
        ours, theirs = (getattr(side, name).cpu().double() for side in (one, other))
        return ours.shape == theirs.shape and torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)

    return Relation(same("latents") and same("reconstructions"), same("outputs"))


def comparison_section(
    explanation: Probing, against: Probing, called: Sequence[str], max_pixels: int
) -> dict[str, Any]:
    """Everything that is shown of two explanations side by side.

    Args:
        explanation: As the page shows it, its names marked.
        against: Of the same inputs and classes.
        called: What both are called.
        max_pixels: Longest side of a strip's pictures.
    """
    relation = relation_of(explanation, against)
    other = with_shown_names(against)
    if relation.same_code and len(other.latent_names) == len(explanation.latent_names):
        marked = with_marked_names(other)
        other = marked if marked.latent_names == explanation.latent_names else other
    comparison = compare(explanation, other)
    parts = _parts(explanation, other, comparison)
    cards = parted_examples(explanation, other, comparison)
    return {
        "called": [cut(name, _MOST_OF_A_NAME) for name in called],
        "relation": relation,
        "sentences": _sentences(relation, comparison, len(explanation.inputs)),
        "found": [
            headline(explanation, None if relation.same_code else comparison),
            headline(other, None if relation.same_code else _mirrored(comparison)),
        ],
        "warnings": [len(side.warnings) for side in (explanation, other)],
        "checks": _checks(explanation, other),
        "pairs": _pairs(explanation, other, comparison, max_pixels, relation),
        "heatmaps": [
            heatmap(side, part) for side, part in zip((explanation, other), parts, strict=True)
        ],
        "classes": parted_classes(explanation, other, comparison),
        "cards": [parted_card(explanation, other, example, max_pixels) for example in cards],
    }


def _sentences(relation: Relation, comparison: Comparison, count: int) -> list[str]:
    """What is compared, whether both decide alike, and whether they say the same."""
    said = [relation.in_words()]
    decided = comparison.same_decisions
    if not relation.same_predictor and decided == decided:
        alike = round(decided * count)
        said.append(f"Both decide {percent(decided)} of the inputs alike ({alike:,} of {count:,}).")
    said.append(comparison.verdict if relation.same_code else comparison.in_words)
    return said


def _mirrored(comparison: Comparison) -> Comparison:
    """The same comparison as the other explanation would make it."""
    back = torch.full((len(comparison.latent_names[1]),), -1)
    found = (comparison.matched >= 0).nonzero()[:, 0]
    back[comparison.matched[found]] = found
    correlation = torch.zeros(len(back), dtype=comparison.latent_correlation.dtype)
    correlation[comparison.matched[found]] = comparison.latent_correlation[found]
    first, second = comparison.latent_names
    return comparison._replace(
        matched=back, latent_correlation=correlation, latent_names=(second, first)
    )


def _checks(one: Probing, other: Probing) -> list[tuple[str, list[Check | None], str]]:
    """Every check of either: its name, what it says of both, and its meaning."""
    sides = [{check.name: check for check in checks(side)} for side in (one, other)]
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    return [
        (name, [side.get(name) for side in sides], (sides[0].get(name) or sides[1][name]).meaning)
        for name in names
    ]


def _parts(one: Probing, other: Probing, comparison: Comparison) -> tuple[Shown, Shown]:
    """The same classes of both, matched latents in the same order, and one scale of colours."""
    values = [mean_attributions(side) for side in (one, other)]
    strength = sum(np.nansum(np.abs(side), axis=1) for side in values)
    present = np.flatnonzero(~np.isnan(np.concatenate(values, axis=1)).all(axis=1))
    rows = np.sort(present[np.argsort(-strength[present])[:MOST_CLASSES]]).tolist()
    ours = one.shares.argsort(descending=True)[:MOST_LATENTS].sort().values.tolist()
    theirs = [latent for latent in comparison.matched[ours].tolist() if latent >= 0]
    used = other.shares.argsort(descending=True)[:MOST_LATENTS].tolist()
    theirs += [latent for latent in used if latent not in theirs]
    theirs = theirs[:MOST_LATENTS]
    limit = max(float(np.nanmax(np.abs(side[rows]), initial=0.0)) for side in values) or 1.0
    return Shown(rows, ours, limit), Shown(rows, theirs, limit)


def _pairs(
    one: Probing, other: Probing, comparison: Comparison, max_pixels: int, relation: Relation
) -> list[Pair]:
    """The factors that either uses, the most used first, each beside its counterpart."""
    correlation = correlations_of(one.latents, other.latents)
    ours, theirs = (side.shares.cpu().double() for side in (one, other))
    pairs = [
        (latent, match, float(ours[latent] + (theirs[match] if match >= 0 else 0)))
        for latent, match in enumerate(comparison.matched.tolist())
    ]
    alone = set(range(len(theirs))) - set(comparison.matched.tolist())
    pairs += [(-1, latent, float(theirs[latent])) for latent in alone]
    found: list[Pair] = []
    for latent, match, weight in sorted(pairs, key=lambda pair: -pair[2])[:_MOST_PAIRS]:
        if weight < LEAST_SHARE and found:
            break
        value = float(correlation[latent, match]) if min(latent, match) >= 0 else 0.0
        drawn = not relation.same_code and len(found) < _STRIPS and min(latent, match) >= 0
        found.append(
            Pair(
                one.latent_names[latent] if latent >= 0 else "",
                percent(float(ours[latent])) if latent >= 0 else "",
                other.latent_names[match] if match >= 0 else "",
                percent(float(theirs[match])) if match >= 0 else "",
                f"{abs(value):.2f}",
                abs(value) >= SAME,
                value < 0,
                _strips((one, latent), (other, match), value < 0, max_pixels)
                if drawn
                else ([], []),
            )
        )
    return found


def _strips(
    ours: tuple[Probing, int], theirs: tuple[Probing, int], reverse: bool, max_pixels: int
) -> tuple[list[str], list[str]]:
    """One example with either factor moved from end to end, the other's in the same direction."""
    if not (ours[0].can_be_asked and theirs[0].can_be_asked and are_images(ours[0])):
        return [], []
    example = typical_example(ours[0])
    strips = []
    for (side, latent), flip in ((ours, False), (theirs, reverse)):
        moved = side.traverse(example, latent, n_steps=_FRAMES).inputs
        moved = moved.flip(0) if flip else moved
        strips.append(each_alone(moved, max_pixels))
    return strips[0], strips[1]
