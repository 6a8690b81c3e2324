"""What a case is: something to explain, and what is true of it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from attributions.codes import Code, encode

MOST_BY_CHANCE, LEAST_PROVED = 0.1, 0.9


class Case(NamedTuple):
    """A code and a predictor, what they are shown, and the truth, which was measured."""

    code: Code
    predictor: nn.Module
    inputs: Tensor
    """`(n, *event)`, held out."""
    truth: str
    """What the predictor really does, and why the explanation cannot say so."""
    proof: Mapping[str, float]
    """Statements that the truth rests on, and the share of cases in which each holds."""
    labels: Tensor | None = None
    judges: tuple[nn.Module, ...] = ()
    """Other classifiers for the same labels."""
    shifted: Tensor | None = None
    """The first inputs with one factor changed, where the data never shows it alone."""
    used: str | None = None
    """The part of what a latent draws that the predictor answers to, where a split can name it."""


class ByHand(nn.Module):
    """A code from two functions: inputs to latents, and latents to inputs.

    Its posterior has a small deviation, as that of a trained code has: one without any counts as a
    transform, which may leave out nothing.

    Args:
        read: Inputs `(batch, *event)` to latents `(batch, latents)`.
        paint: Latents to inputs.
        deviation: Of the posterior.
    """

    def __init__(
        self,
        read: Callable[[Tensor], Tensor],
        paint: Callable[[Tensor], Tensor],
        deviation: float = 0.05,
    ) -> None:
        super().__init__()
        self.read, self.paint, self.deviation = read, paint, deviation

    def encode(self, inputs: Tensor) -> Normal:
        """Read the latents."""
        latents = self.read(inputs)
        return Normal(latents, torch.full_like(latents, self.deviation))

    def decode(self, latents: Tensor) -> Tensor:
        """Paint them."""
        return self.paint(latents)


class Module(nn.Module):
    """A function as a predictor."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        """Ask the function."""
        return self.function(inputs)


def decided(predictor: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Class of each input, `(n,)`."""
    with torch.no_grad():
        return torch.cat([predictor(part).argmax(dim=1) for part in inputs.split(500)])


def right(predictor: Callable[[Tensor], Tensor], inputs: Tensor, labels: Tensor) -> float:
    """Share of inputs whose label is predicted."""
    return float((decided(predictor, inputs) == labels).double().mean())


def changed(predictor: Callable[[Tensor], Tensor], before: Tensor, after: Tensor) -> float:
    """Share of inputs whose decision changes."""
    return float((decided(predictor, before) != decided(predictor, after)).double().mean())


def near(one: Tensor, other: Tensor, most: float) -> float:
    """Share of examples that differ by less everywhere."""
    return float((one - other).abs().flatten(1).amax(dim=1).lt(most).double().mean())


def again(code: Code, inputs: Tensor) -> Tensor:
    """Inputs as the code draws them again."""
    with torch.no_grad():
        return torch.cat([code.decode(encode(code, part).latents) for part in inputs.split(500)])


def kept(code: Code, predictor: Callable[[Tensor], Tensor], inputs: Tensor) -> float:
    """Share of decisions that survive encoding and decoding."""
    return 1 - changed(predictor, inputs, again(code, inputs))


def missed_by(case: Case) -> dict[str, float]:
    """Statements that hold in less than nine of ten cases: then the case is not what it says."""
    return {text: value for text, value in case.proof.items() if not value >= LEAST_PROVED}


def check(name: str, case: Case) -> Case:
    """Return a case whose truth holds.

    Raises:
        RuntimeError: A statement holds in less than nine of ten cases.
    """
    if missed := missed_by(case):
        said: Any = ", ".join(f"{text} ({value:.2f})" for text, value in missed.items())
        raise RuntimeError(f"{name!r} is not what it says: {said}.")
    return case
