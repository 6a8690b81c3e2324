"""Cues at odds: real inputs are changed; does the code follow what the predictor reads?"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attributions.codes import Code, encode, encodes_by_search
from attributions.measures.changes import Changed, changed_inputs, exchange_residuals
from attributions.measures.following import Following, followed_decisions
from attributions.measures.intervals import share_interval
from attributions.outputs import decisions
from attributions.predictors import Predictor

# Changed decisions from which a share is worth reading, and which share of the inputs they must be
# for the predictor to be said to read what the change exchanges.
LEAST_CHANGED, LEAST_CHANGED_SHARE = 20, 0.25

# Examples that every explanation mixes, and how many are asked at once.
_MOST_MIXED = _AT_ONCE = 256


class Cue(NamedTuple):
    """What one kind of change does to decisions, and to re-encoded ones.

    Examples:
        >>> found = Cue("hybrid at 0.2", True, Following(0.12, 0.88, 0.47, 240, 256))
        >>> found.is_lost
        True
        >>> found.sentence.partition(": ")[2]
        'decisions change (94%), and re-encoded ones follow in 12%, and stay in 88%.'
    """

    kind: str
    mixed: bool
    """Whether its cues may be at odds: each input took something of another real one, or is the
    caller's own shift."""
    found: Following

    @property
    def counts(self) -> bool:
        """Whether enough decisions changed to read the share."""
        return self.found.changed >= LEAST_CHANGED

    @property
    def is_lost(self) -> bool:
        """Whether the predictor reads one cue and the code draws another.

        Where cues of two real inputs are mixed, a quarter of the decisions or more go with what was
        taken, and more of the re-encoded ones stay with what was kept than follow, by more than
        chance (Wilson's 95 % interval). Codes of digits, sprites and tables that are right follow
        at least as often as they stay; a code that draws a texture with the shape stays in two
        thirds or more.
        """
        share, stayed, _, changed, asked = self.found
        if share is None or stayed is None or not (self.mixed and self.counts):
            return False
        told = share + stayed
        if changed < LEAST_CHANGED_SHARE * asked or not told:
            return False
        return share_interval(share / told, round(told * changed)).high < 0.5

    @property
    def sentence(self) -> str:
        """What became of the decisions, in words."""
        share, stayed, _, changed, asked = self.found
        if share is None or stayed is None:
            return f"{self.kind.capitalize()}: no decision changes."
        return (
            f"{self.kind.capitalize()}: decisions change ({changed / asked:.0%}), and re-encoded "
            f"ones follow in {share:.0%}, and stay in {stayed:.0%}."
        )


def cues_in(found: Iterable[Sequence[Any]]) -> tuple[Cue, ...]:
    """Cues of plain lists, as an explanation's settings hold them."""
    return tuple(Cue(one[0], one[1], Following(*one[2:])) for one in found)


def of_cues(cues: Iterable[Cue]) -> str:
    """What a reader must know where the predictor reads another cue than the code draws."""
    lost = [cue for cue in cues if cue.is_lost]
    if not lost:
        return ""
    worst = min(lost, key=lambda cue: cue.found.share or 0.0)
    share, stayed, _, changed, asked = worst.found
    return (
        "The predictor reads what the code does not follow. Where real inputs are changed "
        f"({worst.kind}), {changed / asked:.0%} of the decisions change, and the re-encoded "
        f"decision follows in {share:.0%} of these and stays in {stayed:.0%}: what the latents "
        "draw goes with what the predictor reads, and is not it. Train with more latents, on "
        "inputs in which the two part."
    )


class Asked(NamedTuple):
    """Decisions at inputs and at changed ones, kind by kind."""

    kinds: tuple[str, ...]
    mixed: tuple[bool, ...]
    before: Tensor
    """`(n,)`."""
    after: Tensor
    """`(kinds, n)`; -1 where an input has no changed one of that kind."""
    reencoded: Tensor
    """`(kinds, n)`, likewise."""

    def cues(self) -> list[Cue]:
        """What each kind of change does."""
        found = []
        for place, (kind, mixed) in enumerate(zip(self.kinds, self.mixed, strict=True)):
            there = self.after[place] >= 0
            sides = (self.before, self.after[place], self.reencoded[place])
            found.append(Cue(kind, mixed, followed_decisions(*(side[there] for side in sides))))
        return found


def mixed_cues(
    code: Code, predictor: Predictor, inputs: Tensor, reconstructions: Tensor, outputs: Tensor
) -> list[Cue]:
    """What re-encoded decisions do where the first of some inputs are mixed.

    Of a classification alone, and of a code that encodes at once, not by a search.

    Args:
        code: Frozen.
        predictor: Frozen.
        inputs: `(n, *event)`.
        reconstructions: Same shape.
        outputs: `(n, classes)`, the predictor's at the inputs.
    """
    if predictor.task == "regression" or encodes_by_search(code):
        return []
    asked = asked_of_changes(
        code,
        predictor,
        inputs[:_MOST_MIXED],
        reconstructions[:_MOST_MIXED],
        decisions(outputs[:_MOST_MIXED]),
        generator=torch.Generator(device=inputs.device).manual_seed(0),
        mixed_only=True,
    )
    return [] if asked is None else asked.cues()


def asked_of_changes(
    code: Code,
    predictor: Predictor,
    inputs: Tensor,
    reconstructions: Tensor,
    decided: Tensor,
    *,
    generator: torch.Generator,
    shifted: Tensor | None = None,
    mixed_only: bool = False,
) -> Asked | None:
    """Change real inputs, and ask predictor and code again.

    Args:
        code: Frozen.
        predictor: Frozen.
        inputs: `(n, *event)`.
        reconstructions: Same shape.
        decided: `(n,)`, the predictor's decisions at the inputs.
        generator: Of the changes, where the inputs are.
        shifted: Other versions of the first inputs, `(m, *event)`; default: none.
        mixed_only: Whether only changes that mix two real inputs are asked.

    Returns:
        Decisions; None of a single input, or of inputs that no change fits.
    """
    changes: list[Changed] = []
    if len(inputs) > 1 and inputs.ndim in (2, 3, 4):
        changes = changed_inputs(inputs, generator=generator)
        changes.append(exchange_residuals(inputs, reconstructions, generator=generator))
    if mixed_only:
        changes = [change for change in changes if change.mixed]
    if shifted is not None:
        changes.append(Changed("shifted", shifted.to(inputs), mixed=True))
    if not changes:
        return None
    rows = [_decisions(code, predictor, change.inputs, len(decided)) for change in changes]
    return Asked(
        tuple(change.kind for change in changes),
        tuple(change.mixed for change in changes),
        decided,
        torch.stack([after for after, _ in rows]),
        torch.stack([reencoded for _, reencoded in rows]),
    )


def _decisions(code: Code, predictor: Predictor, inputs: Tensor, count: int) -> Sequence[Tensor]:
    """Decisions at inputs and at their reconstructions, filled up with -1: `(count,)` each."""
    found = torch.full((2, count), -1, dtype=torch.long, device=inputs.device)
    for start in range(0, len(inputs), _AT_ONCE):
        part = inputs[start : start + _AT_ONCE]
        with torch.no_grad():
            again = code.decode(encode(code, part).latents)
        rows = slice(start, start + len(part))
        found[0, rows] = decisions(predictor.in_batches(part))
        found[1, rows] = decisions(predictor.in_batches(again))
    return found[0], found[1]
