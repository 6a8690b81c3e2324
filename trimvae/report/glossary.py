"""What each figure of a report means: one sentence for each, at the end of the page."""

import re
from typing import NamedTuple

from trimvae.explanation.trust import Weighed
from trimvae.figures.trust import checks


class Term(NamedTuple):
    """A word of the page with its meaning."""

    anchor: str
    """What links name, such as `meaning-latent-share`."""
    name: str
    meaning: str


_TERMS = {
    "factor": "A number from which the inputs are drawn; moving it changes one thing, or several "
    "things at once. Also called a latent.",
    "redrawn": "Turned into factors and drawn from them again, so that nothing is left of the "
    "input but what the factors draw.",
    "evidence": "How far a factor moves the score of an answer, on the way from a neutral input "
    "to this one; shares are of the sum, for the answer that was given.",
    "score": "What is explained: the {explained}, which the answer is made from, before it is "
    "turned into a probability.",
    "per unit": "How much evidence a factor gains as it is moved up by one, over all examples.",
    "effective latents": "How many factors carry the evidence for one answer: 1 where one carries "
    "all of it.",
    "residual": "What differs between an input and the redrawn one; no factor draws it.",
    "neutral": "Where the way to an input starts, also called the baseline: what the factors draw "
    "when they say nothing.",
    "check": "A figure with a bound, from which on the page can be relied on; ✓ where it is "
    "reached.",
    "flip": "A decision that becomes another one as a factor moves.",
    "likeness": "The cosine of what two explanations say of an input, factor by factor: 1 where "
    "both say the same, 0 where they have nothing in common; a mean over the inputs.",
    "found again": "The same factor was found by another code, trained apart on the same inputs.",
}


def meanings(explanation: Weighed, *, compared: bool = False) -> list[Term]:
    """The words that a report uses, in alphabetical order, and every trust figure among them.

    Args:
        explanation: Whose report it is; what is not in it is left out.
        compared: Whether another explanation stands beside it.

    Returns:
        One term for each.
    """
    explained = explanation.settings["explained_name"]
    found = {name: text.format(explained=explained) for name, text in _TERMS.items()}
    if not compared:
        del found["likeness"]
    if explanation.recurrence is None:
        del found["found again"]
    if explanation.task == "regression":
        del found["flip"]
        found["score"] = "What is explained: the output of the model."
    for check in checks(explanation):
        found[check.name] = f"{check.meaning[0].upper()}{check.meaning[1:]}."
    return [Term(anchor_of(name), name, found[name]) for name in sorted(found)]


def anchor_of(name: str) -> str:
    """The name under which a meaning is found.

    Examples:
        >>> anchor_of("latent share")
        'meaning-latent-share'
    """
    return "meaning-" + re.sub(r"[^a-z0-9]+", "-", name.lower())
