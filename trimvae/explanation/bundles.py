"""What a latent draws in parts, which of them the predictor responds to, and the two in a word."""

from collections.abc import Iterable
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

# A part with less is not mentioned.
_LEAST_MENTIONED = 0.1


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
        return float(common_share(torch.tensor(self.drawn), torch.tensor(self.caused)))

    @property
    def responses(self) -> tuple[float, ...]:
        """`caused` without what works against the whole; adds up to 1."""
        kept = [max(share, 0.0) for share in self.caused]
        return tuple(share / sum(kept) for share in kept)

    @property
    def favoured(self) -> tuple[int, ...]:
        """Parts that the predictor responds to more than they are drawn."""
        pairs = enumerate(zip(self.drawn, self.responses, strict=True))
        return tuple(part for part, (drawn, response) in pairs if response > drawn)

    @property
    def is_small(self) -> bool:
        """Whether the predictor responds above all to a small part of the picture."""
        return self.common < LEAST_COMMON and self._drawn_in(self.favoured) <= MOST_DRAWN

    def sentence(self, name: str) -> str:
        """What a latent of this name draws, and what the predictor responds to."""
        named = _mentioned(self.responses)
        if self.is_small:
            named = [part for part in named if part in self.favoured]
        drawn = sorted({*_mentioned(self.drawn), *named}, key=lambda part: -self.drawn[part])
        said = (
            f"{name} draws {_listed(self.names, self.drawn, drawn)}; the predictor responds to its "
            f"{_listed(self.names, self.responses, named)}"
        )
        if self.is_small:
            which = "which is" if len(named) == 1 else "which together are"
            said += f", {which} {_percent(self._drawn_in(named))} of what it draws"
        return f"{said}."

    def _drawn_in(self, parts: Iterable[int]) -> float:
        return sum(self.drawn[part] for part in parts)


def _mentioned(shares: tuple[float, ...]) -> list[int]:
    """The largest parts, of a tenth or more; at least one."""
    order = sorted(range(len(shares)), key=lambda part: -shares[part])
    return [part for part in order if shares[part] >= _LEAST_MENTIONED] or order[:1]


def _listed(names: tuple[str, ...], shares: tuple[float, ...], parts: list[int]) -> str:
    """Such as "coarse shape (90%) and detail (10%)"."""
    each = [f"{names[part]} ({_percent(shares[part])})" for part in parts]
    return " and ".join(filter(None, (", ".join(each[:-1]), each[-1])))


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "under 1%"
