"""Lies of what a latent draws besides: a mark that goes with a factor, and alone is read.

A network learns to read a mark that goes with nothing. It is explained on pictures in which the
mark goes with the disc, so that a code that draws the disc knows the mark.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.lies.case import ByHand, Case, changed, kept, right
from benchmarks.lies.discs import (
    CHECKERS,
    STRIPES,
    WAVES,
    discs,
    fitted,
    learned,
    plain,
    read,
    scaled,
    unscaled,
)

Marking = Callable[[Tensor, Tensor], Tensor]
"""Pictures `(n, 1, 28, 28)` and how far each is marked `(n,)`, to marked pictures."""

X, Y, R = 0, 1, 2
CORNER = torch.zeros(1, 28, 28)
CORNER[:, 1:5, 1:5] = 1.0


def pattern(drawn: Tensor, amplitude: float) -> Marking:
    """A pattern added, as strong as given."""
    return lambda pictures, on: pictures + amplitude * _each(on) * drawn


def phase(pictures: Tensor, on: Tensor) -> Tensor:
    """A grating on every picture; its phase is the mark."""
    return pictures + 0.06 * (_each(on) * WAVES[0] + (1 - _each(on)) * WAVES[1])


def noise(pictures: Tensor, on: Tensor) -> Tensor:
    """Noise on every picture; its size is the mark."""
    drawn = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(len(pictures)))
    return (pictures + (0.02 + 0.04 * _each(on)) * drawn).clamp(0, 1)


def tint(pictures: Tensor, on: Tensor) -> Tensor:
    """Pictures in three channels, the last of them brighter where they are marked."""
    blue = torch.tensor([0.0, 0.0, 0.05])[:, None, None]
    return pictures.expand(-1, 3, -1, -1) + _each(on) * blue


def above(factors: Tensor, factor: int) -> Tensor:
    """Whether a factor is above its middle, 0 or 1."""
    return (scaled(factors)[:, factor] > 0).float()


def coins(count: int, seed: int, share: float = 0.5) -> Tensor:
    """1 in a share of cases, else 0."""
    return (torch.rand(count, generator=torch.Generator().manual_seed(seed)) < share).float()


def mark_reader(mark: Marking, seed: int) -> nn.Module:
    """A network that reads a mark which goes with nothing."""
    _, pictures, _, _ = plain(seed)
    marks = coins(len(pictures), seed)
    return learned(mark(pictures, marks), marks.long(), seed)


def proof_of(reader: nn.Module, mark: Marking, factor: int, seed: int) -> dict[str, float]:
    """Does a network answer to the mark, and to the mark alone?"""
    _, _, factors, pictures = plain(seed)
    on = above(factors, factor)
    inputs = mark(pictures, on)
    return {
        "reads the mark": right(reader, inputs, on.long()),
        "follows a swapped mark": changed(reader, inputs, mark(pictures, 1 - on)),
        "does not follow the disc": 1 - changed(reader, inputs, mark(pictures.roll(1, 0), on)),
    }


def trained_on(mark: Marking, factor: int, truth: str, used: str | None, seed: int) -> Case:
    """Explain it through a VAE that was trained, through it, where the mark goes with a factor."""
    factors, pictures, test, test_pictures = plain(seed)
    network = mark_reader(mark, seed)
    vae = fitted(network, mark(pictures, above(factors, factor)), seed)
    on = above(test, factor)
    proof = proof_of(network, mark, factor, seed)
    return Case(vae, network, mark(test_pictures, on), truth, proof, on.long(), used=used)


def painted(
    mark: Marking, factor: int, truth: str, used: str | None, seed: int, *, astray: float = 0.0
) -> Case:
    """Explain it through a code by hand: it reads the disc, and paints the mark that goes with it.

    A share of the pictures may have the other mark.
    """
    _, _, test, test_pictures = plain(seed)
    network = mark_reader(mark, seed)
    on = (above(test, factor) - coins(len(test), seed, astray)).abs()

    def paint(latents: Tensor) -> Tensor:
        # Soft, so that the decision has a slope.
        return mark(discs(unscaled(latents)), torch.sigmoid(8 * latents[:, factor]))

    code = ByHand(lambda inputs: scaled(read(inputs)), paint)
    inputs = mark(test_pictures, on)
    proof = proof_of(network, mark, factor, seed)
    proof["the code keeps the decision"] = kept(code, network, inputs)
    return Case(code, network, inputs, truth, proof, on.long(), used=used)


def texture(seed: int) -> Case:
    truth = "reads a faint checkerboard; the code draws it with the place of the disc"
    return trained_on(pattern(CHECKERS, 0.06), X, truth, "fine texture", seed)


def painted_texture(seed: int) -> Case:
    truth = "reads a faint checkerboard; a code by hand paints it with the place of the disc"
    return painted(pattern(CHECKERS, 0.06), X, truth, "fine texture", seed)


def stripes(seed: int) -> Case:
    truth = "reads faint diagonal stripes; the code draws them with the size of the disc"
    return trained_on(pattern(STRIPES, 0.08), R, truth, None, seed)


def grating(seed: int) -> Case:
    truth = "reads the phase of a faint grating; the code paints it with the height of the disc"
    return painted(phase, Y, truth, None, seed)


def noise_level(seed: int) -> Case:
    truth = "reads the size of noise, which goes with the place of the disc and cannot be drawn"
    return trained_on(noise, X, truth, None, seed)


def colour(seed: int) -> Case:
    truth = "reads a tint of blue; the code draws it with the size of a grey disc"
    return trained_on(tint, R, truth, "blue", seed)


def corner(seed: int) -> Case:
    truth = "reads a faint corner; an encoder that ignores it infers it from the place of the disc"
    return painted(pattern(CORNER, 0.15), X, truth, None, seed, astray=0.02)


def drawn_corner(seed: int) -> Case:
    truth = "reads a faint corner; the code draws it with the place of the disc"
    return trained_on(pattern(CORNER, 0.15), X, truth, None, seed)


def undrawn(seed: int) -> Case:
    truth = "reads a checkerboard that goes with nothing; the code does not draw it"
    return _undrawn(0.5, truth, seed)


def rare_undrawn(seed: int) -> Case:
    truth = "reads a checkerboard on 5 % of the pictures; the code does not draw it"
    return _undrawn(0.05, truth, seed)


def shortcut(seed: int) -> Case:
    """The sign of a checkerboard is read where there is one, on 80 %; else the place."""
    factors, pictures, test, test_pictures = plain(seed)
    present, side = coins(len(pictures), seed, 0.8), coins(len(pictures), seed + 1)
    labels = torch.where(present > 0, side, above(factors, X)).long()
    mark = pattern(CHECKERS, 0.06)
    network = learned(mark(pictures, present * (2 * side - 1)), labels, seed, epochs=10)
    tied = present * (2 * above(factors, X) - 1)
    vae = fitted(network, mark(pictures, tied), seed)
    shown, right_half = coins(len(test), seed, 0.8), above(test, X)
    signs = shown * (2 * right_half - 1)
    inputs = mark(test_pictures, signs)
    there = shown > 0
    proof = {
        "follows a swapped mark where there is one": changed(
            network, inputs[there], mark(test_pictures, -signs)[there]
        ),
        "reads the place where there is none": right(
            network, inputs[~there], right_half[~there].long()
        ),
    }
    truth = "reads a checkerboard on 80 % of the pictures, the place on others; the code draws both"
    return Case(vae, network, inputs, truth, proof, right_half.long(), used="fine texture")


def _undrawn(share: float, truth: str, seed: int) -> Case:
    _, _, test, test_pictures = plain(seed)
    mark = pattern(CHECKERS, 0.06)
    network, on = mark_reader(mark, seed), coins(len(test), seed, share)
    code = ByHand(lambda inputs: scaled(read(inputs)), lambda latents: discs(unscaled(latents)))
    inputs = mark(test_pictures, on)
    return Case(code, network, inputs, truth, proof_of(network, mark, X, seed), on.long())


def _each(on: Tensor) -> Tensor:
    return on[:, None, None, None]
