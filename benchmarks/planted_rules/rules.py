"""Classifiers whose rule is known: labels are functions of a sprite's factors.

32x32 sprites with four factors: shape, scale, and the middle half of x and y; upright. (Over the
whole range of positions small networks need far more steps than two cores allow before size has a
latent of its own.) What a trained classifier really uses is measured by rendering images again with
one factor changed.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.sizes import sized
from trimvae.cli.demo_data import accuracy, train_classifier
from trimvae.data import sprites

DATA = sprites(size=32).only(orientation=[0], x=range(8, 24), y=range(8, 24))
FACTORS = ("shape", "scale", "x", "y")
COLUMNS = [DATA.factor_names.index(name) for name in FACTORS]
N_TRAIN, N_TEST, EPOCHS = sized((16_000, 1_000, 8), (256, 24, 1))


class Rule(NamedTuple):
    """A label, which factors it depends on, and how the data is drawn."""

    relevant: tuple[str, ...]
    label: Callable[[dict[str, Tensor]], Tensor]
    correlated: dict[tuple[str, str], float] | None = None


FIRST_RULES = {
    "one factor": Rule(("scale",), lambda unit: unit["scale"] > 0.5),
    "two, additive": Rule(("scale", "x"), lambda unit: unit["scale"] + unit["x"] > 1),
    "conjunction": Rule(("x", "y"), lambda unit: (unit["x"] > 0.3) & (unit["y"] > 0.3)),
    "correlated": Rule(("scale",), lambda unit: unit["scale"] > 0.5, {("scale", "x"): 0.4}),
}
# Of other kinds, chosen before anything was run on them.
OTHER_RULES = {
    "interaction": Rule(("x", "y"), lambda unit: (unit["x"] > 0.5) ^ (unit["y"] > 0.5)),
    "product": Rule(("scale", "x"), lambda unit: unit["scale"] * unit["x"] > 0.25),
    "one shape only": Rule(("shape", "x"), lambda unit: (unit["shape"] == 0.5) & (unit["x"] > 0.5)),
    "periodic": Rule(("x",), lambda unit: torch.sin(4 * torch.pi * unit["x"]) > 0),
}
RULES = FIRST_RULES | OTHER_RULES
SETS = {"first": FIRST_RULES, "other": OTHER_RULES, "all": RULES}


class Planted(NamedTuple):
    """Data of a rule, and a classifier that has learned it."""

    inputs: Tensor
    test_factors: Tensor
    test_inputs: Tensor
    classifier: nn.Module
    accuracy: float


def new_classifier(classes: int = 2) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 64, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def labels(rule: Rule, factors: Tensor) -> Tensor:
    levels = DATA.factors
    unit = {}
    for name, column in zip(FACTORS, COLUMNS, strict=True):
        low, high = levels[:, column].aminmax()
        unit[name] = (factors[:, column] - low) / (high - low)
    return rule.label(unit).long()


@functools.lru_cache(maxsize=len(RULES))
def plant(name: str, seed: int) -> Planted:
    """Draw images and train an ordinary classifier on the rule's labels."""
    rule = RULES[name]
    generator = torch.Generator().manual_seed(seed)
    train, test = (
        DATA.draw(n, correlated=rule.correlated, generator=generator) for n in (N_TRAIN, N_TEST)
    )
    return learned(lambda levels: labels(rule, levels), 2, DATA.sample(train), train, test, seed)


def learned(
    label: Callable[[Tensor], Tensor],
    classes: int,
    inputs: Tensor,
    train: Tensor,
    test: Tensor,
    seed: int,
) -> Planted:
    """Train an ordinary classifier on labels of sprites: rows of levels to train on and to test."""
    test_inputs = DATA.sample(test)
    torch.manual_seed(seed)
    classifier = train_classifier(new_classifier(classes), inputs, label(train), epochs=EPOCHS)
    return Planted(
        inputs, test, test_inputs, classifier, accuracy(classifier, test_inputs, label(test))
    )


def interventional_effect(classifier: nn.Module, factors: Tensor) -> Tensor:
    """Mean change of the probability when one factor is drawn anew, `(n_factors,)`."""
    generator = torch.Generator().manual_seed(0)
    return _changes(
        lambda images: classifier(images).softmax(dim=1)[:, 1], Tensor.abs, factors, 8, generator
    )


def sensitivity(encode: Callable[[Tensor], Tensor], *, n: int = 1000) -> np.ndarray:
    """How much of each latent's variance each factor takes part in, `(latents, n_factors)`.

    Sobol's total-effect indices, scaled to sum to 1 for each latent: half the mean squared change
    of the latent when the image is rendered again with one factor drawn anew.
    """
    generator = torch.Generator().manual_seed(0)
    factors = DATA.draw(n, generator=generator)
    indices = _changes(encode, Tensor.square, factors, 2, generator).T.numpy()
    return indices / indices.sum(axis=1, keepdims=True).clip(1e-12)


def _changes(
    function: Callable[[Tensor], Tensor],
    size: Callable[[Tensor], Tensor],
    factors: Tensor,
    repeats: int,
    generator: torch.Generator,
) -> Tensor:
    """Mean size of a function's change when one factor is drawn anew, `(n_factors, *outputs)`."""
    changes = []
    with torch.no_grad():
        before = function(DATA.sample(factors))
        for column in COLUMNS:
            of_column = []
            for _ in range(repeats):
                changed = factors.clone()
                changed[:, column] = DATA.draw(len(factors), generator=generator)[:, column]
                of_column.append(size(function(DATA.sample(changed)) - before).mean(dim=0))
            changes.append(torch.stack(of_column).mean(dim=0))
    return torch.stack(changes)
