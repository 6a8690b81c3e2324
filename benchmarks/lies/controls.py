"""Honest explanations, of which none may be flagged."""

import torch
from torch import Tensor, nn

from attributions import explanatory_axes
from attributions.codes import Code
from attributions.independent import independent_axes
from attributions.transforms import Cosine
from benchmarks.lies.case import ByHand, Case, changed, kept, right
from benchmarks.lies.discs import (
    CHECKERS,
    N_TEST,
    N_TRAIN,
    RULES,
    discs,
    fitted,
    learned,
    lit,
    mark_of,
    plain,
    read,
    reader,
    scaled,
    unscaled,
)
from benchmarks.lies.marks import X, Y, coins, pattern, proof_of
from benchmarks.planted_rules.rules import DATA
from benchmarks.planted_rules.rules import FACTORS as SPRITE_FACTORS
from benchmarks.sizes import sized
from trimvae.data import digits as handwritten

N_SPRITES, N_DIGITS = sized((3_000, 4_000), (256, 256))
EPOCHS_OF_CONTROLS, N_FIT = sized((15, 2_000), (1, 128))


def seen(code: Code, network: nn.Module, inputs: Tensor) -> Code:
    """A trained code along axes, as the library advises: its own latents are mixtures.

    Those that the predictor tells apart, or, where it tells two classes, independent ones.
    """
    with torch.no_grad():
        classes = network(inputs[:1]).shape[1]
    if classes > 2:
        return explanatory_axes(code, network, inputs[:N_FIT])
    return independent_axes(code, inputs[:N_FIT])


def by_hand() -> ByHand:
    """A code that reads and draws place and size, each in a latent of its own."""
    return ByHand(lambda inputs: scaled(read(inputs)), lambda latents: discs(unscaled(latents)))


def _painted(rule: str, truth: str, seed: int) -> Case:
    _, _, test, inputs = plain(seed)
    code, network, labels = by_hand(), reader(rule, seed), RULES[rule](test)
    proof = _proof_of(code, network, inputs, labels)
    return Case(code, network, inputs, truth, proof, labels)


def _trained(rule: str, truth: str, seed: int) -> Case:
    _, pictures, test, inputs = plain(seed)
    network, labels = reader(rule, seed), RULES[rule](test)
    code = seen(fitted(network, pictures, seed, epochs=EPOCHS_OF_CONTROLS), network, pictures)
    return Case(code, network, inputs, truth, _proof_of(code, network, inputs, labels), labels)


def _proof_of(code: Code, network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """A rule is followed and nothing else is, and the code keeps it.

    Brightness is moved by twice as much as a deviation of the size moves it.
    """
    moved = (changed(network, inputs, inputs + by) for by in (-0.04, 0.04))
    return {
        "follows the rule": right(network, inputs, labels),
        "does not follow the brightness": 1 - max(moved),
        "the code keeps the decision": kept(code, network, inputs),
    }


def place(seed: int) -> Case:
    return _painted("right", "reads the place, which is a latent", seed)


def quarters(seed: int) -> Case:
    return _painted("quarters", "reads both coordinates, each a latent; four classes", seed)


def both(seed: int) -> Case:
    return _painted("both", "reads whether both coordinates are large, each a latent", seed)


def few(seed: int) -> Case:
    return _painted("far right", "reads the place, which is a latent; one picture in eight", seed)


def height(seed: int) -> Case:
    return _trained("high", "reads the height, through a trained VAE", seed)


def sum_of_two(seed: int) -> Case:
    return _trained("right and high", "reads place plus height, through a trained VAE", seed)


def four(seed: int) -> Case:
    return _trained("quarters", "reads both coordinates, through a trained VAE; four classes", seed)


def own_texture(seed: int) -> Case:
    truth = "reads a checkerboard, which is a latent and goes with nothing"
    return _own_texture(truth, seed, deviation=0.0)


def noisy_texture(seed: int) -> Case:
    truth = "reads a checkerboard, which is a latent; noise on every picture is not drawn"
    return _own_texture(truth, seed, deviation=0.03)


def noisy_place(seed: int) -> Case:
    """What decides is drawn; noise, which also moves the output a little, is not."""
    factors, pictures, test, test_pictures = plain(seed)
    network = learned(noisy(pictures, 0.05, seed), RULES["right"](factors), seed)
    inputs, labels = noisy(test_pictures, 0.05, seed + 1), RULES["right"](test)
    code = by_hand()
    proof = {
        "follows the rule": right(network, inputs, labels),
        "the code keeps the decision": kept(code, network, inputs),
    }
    truth = "reads the place, which is a latent; noise on every picture is not drawn"
    return Case(code, network, inputs, truth, proof, labels)


def _own_texture(truth: str, seed: int, deviation: float) -> Case:
    """The checkerboard has a latent of its own, which draws nothing else.

    It is read in any light: a network that has seen one brightness alone reads that as well.
    """
    _, trained_on, test, pictures = plain(seed)
    mark, marks, on = pattern(CHECKERS, 0.06), coins(N_TRAIN, seed), coins(len(test), seed + 1)
    network = learned(lit(mark(trained_on, marks), seed), marks.long(), seed)

    def paint(latents: Tensor) -> Tensor:
        return mark(discs(unscaled(latents[:, :3])), (1 + latents[:, 3]) / 2)

    def read_all(inputs: Tensor) -> Tensor:
        texture = 2 * mark_of(inputs, CHECKERS) / 0.06 - 1
        return torch.cat([scaled(read(inputs)), texture[:, None]], dim=1)

    code, inputs = ByHand(read_all, paint), noisy(mark(pictures, on), deviation, seed)
    proof = proof_of(network, mark, X, seed)
    proof["the code keeps the decision"] = kept(code, network, inputs)
    return Case(code, network, inputs, truth, proof, on.long())


def noisy(pictures: Tensor, deviation: float, seed: int) -> Tensor:
    """Pictures with noise that no code draws."""
    generator = torch.Generator().manual_seed(seed)
    return pictures + deviation * torch.randn(pictures.shape, generator=generator)


def correlated(seed: int) -> Case:
    """Place and height are correlated in the data; the code tells them apart, and one is read."""
    unit = scaled(plain(seed)[2])
    unit[:, Y] = 0.5 * unit[:, X] + 0.75 * unit[:, Y]
    code, network, inputs = by_hand(), reader("high", seed), discs(unscaled(unit))
    other = unit.clone()
    other[:, Y] = -unit[:, Y]
    clear = unit[:, Y].abs() > 0.2
    proof = {
        "follows the height": changed(network, inputs[clear], discs(unscaled(other))[clear]),
        "the code keeps the decision": kept(code, network, inputs),
    }
    truth = "reads the height, which is a latent; the place, another latent, goes with it"
    return Case(code, network, inputs, truth, proof, (unit[:, Y] > 0).long())


def cosines(seed: int) -> Case:
    """A fixed transform that loses nothing."""
    # Few: there are as many latents as pixels.
    test, inputs = plain(seed)[2][:128], plain(seed)[3][:128]
    network, labels = reader("right", seed), RULES["right"](test)
    code = Cosine((1, 28, 28), dims=2)
    proof = {"the code keeps the decision": kept(code, network, inputs)}
    return Case(code, network, inputs, "reads the place, through cosines", proof, labels)


def sprites(seed: int) -> Case:
    """Sprites of three shapes and many sizes, through a trained VAE: is it on the right?"""
    generator = torch.Generator().manual_seed(seed)
    column = DATA.factor_names.index("x")
    levels = DATA.draw(N_SPRITES + N_TEST, generator=generator)
    pictures, labels = DATA.sample(levels), (levels[:, column] > 15).long()
    network = learned(pictures[N_TEST:], labels[N_TEST:], seed, epochs=10)
    vae = fitted(network, pictures[N_TEST:], seed, latents=8, epochs=EPOCHS_OF_CONTROLS)
    code = seen(vae, network, pictures[N_TEST:])
    inputs, labels = pictures[:N_TEST], labels[:N_TEST]
    truth = f"reads the place of sprites of {len(SPRITE_FACTORS)} factors"
    return Case(code, network, inputs, truth, _proof_of(code, network, inputs, labels), labels)


def digits(seed: int) -> Case:
    """Handwritten digits, through a trained VAE."""
    data = handwritten()
    assert data.train_labels is not None  # digits have labels
    assert data.test_labels is not None  # likewise
    pictures, labels = data.train_inputs[:N_DIGITS], data.train_labels[:N_DIGITS]
    test, test_labels = data.test_inputs[:N_TEST], data.test_labels[:N_TEST]
    network = learned(pictures, labels, seed, epochs=8)
    vae = fitted(network, pictures, seed, latents=10, epochs=EPOCHS_OF_CONTROLS)
    code = seen(vae, network, pictures)
    proof = {
        "reads the digit": right(network, test, test_labels),
        "the code keeps the decision": kept(code, network, test),
    }
    truth = "reads handwritten digits, whatever the latents are"
    return Case(code, network, test, truth, proof, test_labels)
