"""What a latent draws in parts, which of them the predictor responds to, and the two in a word."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from attributions.measures.bundles import common_share

# Below this the parts that the predictor responds to are not those that the latent draws. Set on
# codes of two seeds, checked on a third: 26 of the 27 strongest latents of codes whose classifier
# reads a faint texture have at most 0.23 (the other 0.45), all 71 of honest ones (discs, digits,
# clothes, sprites) at least 0.61.
LEAST_COMMON = 0.4

# A part with more of what is drawn is no small one.
MOST_DRAWN = 0.25

# Of more parts than these (columns of a table, places of a picture) no two lists of shares are
# alike. There the three that stand out are asked for: by how much the response to them is above
# what is drawn of them. Where one of 40 columns, two of them or a faint corner is read, that is .44
# to .97 and mostly less than .2 is drawn; of honest codes .24 at most where a quarter is drawn or
# less.
FEW_PARTS, _STANDING_OUT = 8, 3
MOST_EXCESS = 0.4

# A part with less is not mentioned, and how many are not where those that are have less than half.
_LEAST_MENTIONED, _MOSTLY = 0.1, 0.5


class Bundle(NamedTuple):
    """Parts of what a latent draws as it moves, and of what that makes the predictor say.

    Examples:
        >>> found = Bundle(3, ("coarse shape", "fine texture"), (0.96, 0.04), (0.03, 0.97))
        >>> found.is_small
        True
        >>> found.sentence("z3").partition("; ")[2]
        'the predictor responds to its fine texture (97%), which is 4% of what it draws.'
    """

    latent: int
    names: tuple[str, ...]
    """One per part."""
    drawn: tuple[float, ...]
    """Each part's share of the energy of what the latent draws."""
    caused: tuple[float, ...]
    """Each part's share of the change of the outputs, where it alone is changed."""

    @property
    def common(self) -> float:
        """What `drawn` and `caused` have in common: 1 where each part counts as it is drawn."""
        drawn, caused = (torch.tensor(part, device="cpu") for part in (self.drawn, self.caused))
        return float(common_share(drawn, caused))

    @property
    def responses(self) -> tuple[float, ...]:
        """`caused` without what works against the whole; adds up to 1."""
        kept = [max(share, 0.0) for share in self.caused]
        return tuple(share / sum(kept) for share in kept)

    @property
    def favoured(self) -> tuple[int, ...]:
        """Parts that the predictor responds to more than they are drawn, the most so first.

        Of more than eight parts, three.
        """
        above = [
            response - drawn for response, drawn in zip(self.responses, self.drawn, strict=True)
        ]
        order = sorted(range(len(above)), key=lambda part: -above[part])
        kept = tuple(part for part in order if above[part] > 0)
        return kept if len(self.names) <= FEW_PARTS else kept[:_STANDING_OUT]

    @property
    def excess(self) -> float:
        """How much more the predictor responds to `favoured` parts than they are drawn.

        1 less `common`, where there are few parts.
        """
        return sum(self.responses[part] - self.drawn[part] for part in self.favoured)

    @property
    def is_small(self) -> bool:
        """Whether the predictor responds above all to a small part of the picture."""
        most = 1 - LEAST_COMMON if len(self.names) <= FEW_PARTS else MOST_EXCESS
        return self.excess > most and self._drawn_in(self.favoured) <= MOST_DRAWN

    def sentence(self, name: str) -> str:
        """What a latent of this name draws, and what the predictor responds to."""
        named = _mentioned(self.responses)
        if self.is_small:
            named = [part for part in named if part in self.favoured]
        drawn = sorted({*_mentioned(self.drawn), *named}, key=lambda part: -self.drawn[part])
        others = len(self.names) - len(drawn) if self._drawn_in(drawn) < _MOSTLY else 0
        said = (
            f"{name} draws {_listed(self.names, self.drawn, drawn, others)}; the predictor "
            "responds to its "
            f"{_listed(self.names, self.responses, named)}"
        )
        if self.is_small:
            which = "which is" if len(named) == 1 else "which together are"
            said += f", {which} {_percent(self._drawn_in(named))} of what it draws"
        return f"{said}."

    def _drawn_in(self, parts: Iterable[int]) -> float:
        return sum(self.drawn[part] for part in parts)


def of_bundles(bundles: Iterable[Bundle], latent_names: Sequence[str]) -> list[str]:
    """What a reader must know where the predictor responds to a small part of what is drawn.

    Of each kind of parts the first latent is told of, and the others are named.
    """
    kinds: dict[tuple[str, ...], list[Bundle]] = {}
    for bundle in bundles:
        if bundle.is_small:
            kinds.setdefault(bundle.names, []).append(bundle)
    found = []
    for first, *others in kinds.values():
        name = latent_names[first.latent]
        text = (
            f"{first.sentence(name)} Read the evidence of {name} as evidence of that part alone, "
            "whatever else it draws."
        )
        if others:
            also = ", ".join(latent_names[other.latent] for other in others)
            text += f" Likewise of {also}, a small part of what is drawn is used."
        found.append(text)
    return found


def _mentioned(shares: tuple[float, ...]) -> list[int]:
    """The largest parts, of a tenth or more; at least one."""
    order = sorted(range(len(shares)), key=lambda part: -shares[part])
    return [part for part in order if shares[part] >= _LEAST_MENTIONED] or order[:1]


def _listed(
    names: tuple[str, ...], shares: tuple[float, ...], parts: list[int], others: int = 0
) -> str:
    """Such as "coarse shape (90%) and detail (10%)", or "x2 (13%) and 38 others"."""
    each = [f"{names[part]} ({_percent(shares[part])})" for part in parts]
    each += [f"{others} others"] if others else []
    return " and ".join(filter(None, (", ".join(each[:-1]), each[-1])))


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "under 1%"
