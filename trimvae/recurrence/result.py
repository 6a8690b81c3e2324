"""Consensus: what several codes have in common, and the code that agrees best with the others."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from attributions.codes import Block, baseline_of
from trimvae.explanation.marks import Recurrence

_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

_MOST_LISTED = 10  # axes, the most used

_LEAST_SHARE = 0.05  # of the evidence: an axis with less is not said to be missing elsewhere


class Found(NamedTuple):
    """What was found of each axis of the reference in every code, on held-out examples."""

    matched: Tensor
    """`(axes, codes)`, which axis of a code belongs to each; -1 where it has too few."""
    correlation: Tensor
    """`(axes, codes)`, |correlation| of both over the examples."""
    likeness: Tensor
    """`(axes, codes)`, |cosine| of what both draw."""
    shares: Tensor
    """`(axes,)`, share of the evidence that each axis of the reference carries."""
    agreement: dict[str, Tensor]
    """By name `(codes,)`: whether each code explains as the reference does."""


class Consensus(nn.Module):
    """Several codes seen along their explanatory axes, and which axes recur; by `consensus`.

    It is itself a code: the reference, which agrees best with the others. `explain` says of each of
    its latents in how many codes it is found. All of it is frozen and apart from the codes that it
    was made of.

    Attributes:
        codes: All of them, each along its axes. Those that belong to an axis of the reference
            stand in the reference's order, as far as blocks allow, and have its sign.
        reference: Which of them is the reference.
        matched: `(axes, codes)`, which axis of each code belongs to each axis of the reference; -1
            where it has too few.
        correlation: `(axes, codes)`, |correlation| of matched axes over the examples, float64.
        likeness: `(axes, codes)`, how alike matched axes draw: the |cosine| of what the picture
            changes from one standard deviation below an example to one above, a mean over
            examples; float64.
        shares: `(axes,)`, share of the evidence that each axis of the reference carries.
        agreement: `same_strongest`, `attribution_cosine` and `within_class_correlation` between
            the reference and each code, `(codes,)` each: 1 for the reference itself.
        bounds: From which correlation and which likeness on an axis is found again.
    """

    def __init__(
        self, codes: Sequence[nn.Module], reference: int, found: Found, bounds: tuple[float, float]
    ) -> None:
        super().__init__()
        self.codes = nn.ModuleList(codes).requires_grad_(False).eval()
        self.reference = reference
        self.matched, self.correlation, self.likeness, self.shares, self.agreement = found
        self.bounds = bounds

    @property
    def code(self) -> Any:
        """The reference, along its axes: of a `VAE` again a `VAE`, which can be saved."""
        return self.codes[self.reference]

    @property
    def found(self) -> Tensor:
        """`(axes, codes)`, whether each axis of the reference is found in each code."""
        least_correlation, least_likeness = self.bounds
        found = (self.correlation >= least_correlation) & (self.likeness >= least_likeness)
        found[:, self.reference] = True
        return found

    @property
    def found_in(self) -> Tensor:
        """`(axes,)`, in how many codes each axis of the reference is found; its own counts."""
        return self.found.sum(dim=1)

    @property
    def recurrence(self) -> Recurrence:
        """The same as plain values, as `explain` reads them."""
        return Recurrence(tuple(self.found_in.tolist()), len(self.codes))

    @property
    def recurring(self) -> tuple[int, ...]:
        """Axes that are found in at least half of the codes, and not in the reference alone."""
        return self.recurrence.recurring

    def encode(self, inputs: Tensor, *args: Any) -> Any:
        """Inputs `(batch, *event)` to what the reference makes of them, along its axes.

        Args:
            inputs: `(batch, *event)`.
            *args: What else the reference's `encode` takes.
        """
        return self.code.encode(inputs, *args)

    def decode(self, latents: Tensor) -> Tensor:
        """Coordinates along the reference's axes `(batch, latents)` to inputs `(batch, *event)`."""
        decoded: Tensor = self.code.decode(latents)
        return decoded

    def baseline(self, n: int = 1) -> Tensor:
        """Where attributions start, `(n, latents)`: where those of the reference do."""
        return baseline_of(self.code, self.shares.float().unsqueeze(0)).expand(n, -1)

    @property
    def prior(self) -> Any:
        """What the reference expects of latents; None where it has no prior."""
        return getattr(self.code, "prior", None)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Named slices of the reference's latents; none where it names none."""
        return tuple(getattr(self.code, "blocks", None) or ())

    @property
    def latent_size(self) -> int:
        """Number of axes."""
        return len(self.shares)

    @property
    def latent_names(self) -> tuple[str, ...]:
        """`axis0`, `axis1` ... for what is mixed; a latent that passes through keeps its name."""
        names: tuple[str, ...] = self.code.latent_names
        return names

    @property
    def trained_with(self) -> dict[str, Any] | None:
        """What `fit` was asked for when the reference was trained, where it says so."""
        return getattr(self.code, "trained_with", None)

    @property
    def in_words(self) -> str:
        """Whether the codes agree, in a sentence.

        They do where every axis in use recurs, and in part where half of them do. An axis is in use
        that carries at least 5 % of the evidence, or, of many, half as much as the average.
        """
        least = min(_LEAST_SHARE, 0.5 / self.latent_size)
        used = [axis for axis, share in enumerate(self.shares.tolist()) if share >= least]
        count, codes = len(set(used) & set(self.recurring)), _spelled(len(self.codes))
        if not used:
            return f"The {codes} codes have nothing to agree on: the predictor uses no axis."
        verdict = "agree in part" if 2 * count >= len(used) else "disagree"
        verdict = "agree" if count == len(used) else verdict
        only = "only " if verdict == "disagree" else ""
        found = {0: "none", len(used): "all"}.get(count, f"{only}{count}")
        found += f" of {len(used)} axes in use {'is' if count == 1 else 'are'}"
        if len(used) == 1:
            found = f"the only axis in use is {'' if count else 'not '}"
        least_codes = f"at least {_spelled(self.recurrence.least)} of them"
        where = "both" if len(self.codes) == 2 else least_codes
        return f"The {codes} codes {verdict}: {found.strip()} found in {where}."

    def summary(self) -> str:
        """Whether the codes agree, in sentences, and where each axis is found."""
        others = [place for place in range(len(self.codes)) if place != self.reference]
        # A code that says nothing has nothing in common.
        means = {
            name: float(each[others].nan_to_num().mean()) for name, each in self.agreement.items()
        }
        lines = [
            self.in_words,
            "Beside the reference, the others name the same strongest axis for "
            f"{means['same_strongest']:.0%} of the examples; attributions have a cosine of "
            f"{means['attribution_cosine']:.2f}, and beyond the class they correlate "
            f"{means['within_class_correlation']:.2f}.",
        ]
        for axis in self.shares.argsort(descending=True).tolist()[:_MOST_LISTED]:
            lines.append(
                f"  {self.latent_names[axis]} ({self.shares[axis]:.0%}): "
                f"{self.recurrence.in_words(axis)}, correlation "
                f"{self.correlation[axis, others].mean():.2f}, likeness "
                f"{self.likeness[axis, others].mean():.2f}"
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Marks and figures: plain values, ready for JSON; None where a code says nothing."""
        figures = {
            name: getattr(self, name).tolist()
            for name in ("matched", "correlation", "likeness", "shares")
        }
        agreement = {
            name: [None if value.isnan() else float(value) for value in each]
            for name, each in self.agreement.items()
        }
        return {
            **self.recurrence._asdict(),
            "recurring": self.recurring,
            "reference": self.reference,
            "least_correlation": self.bounds[0],
            "least_likeness": self.bounds[1],
            **figures,
            **agreement,
            "in_words": self.in_words,
        }


def _spelled(number: int) -> str:
    return _NUMBERS[number - 2] if number <= 10 else str(number)
