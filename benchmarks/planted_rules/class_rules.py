"""Rules of several classes: each class is one part of every factor that the rule uses.

"three bits" has eight classes and three factors, so that an axis for each class and an axis for
each factor are different things. A rule says which factors tell two classes apart; what a trained
classifier uses of each factor, and between which classes, is measured by rendering again.

A rule is data, and a new one is a line:

    ClassRule((By("x", thresholds=(1 / 3, 2 / 3)), By("shape", values=(2,))))
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.planted_rules.rules import (
    COLUMNS,
    DATA,
    FACTORS,
    N_TRAIN,
    Planted,
    learned,
    new_classifier,
)
from benchmarks.sizes import sized
from trimvae.cli.demo_data import accuracy
from trimvae.storage import replacing

N_HELD_OUT = sized(900, 64)


@functools.cache
def _levels_of(factor: str) -> Tensor:
    return DATA.factors[:, DATA.factor_names.index(factor)].unique()


class By(NamedTuple):
    """How a rule sorts one factor into parts: by thresholds, or by single levels."""

    factor: str
    thresholds: tuple[float, ...] = ()
    """Of the factor scaled to [0, 1], rising: a part below the first, one between any two, one
    above the last."""
    values: tuple[int, ...] = ()
    """Levels: a part for each; all others, where there are any, are the last part."""

    def sort(self, levels: Tensor) -> Tensor:
        """Which part each row of levels `(n, data factors)` falls into, `(n,)`."""
        own, known = levels[:, DATA.factor_names.index(self.factor)], _levels_of(self.factor)
        if self.thresholds:
            unit = (own - known.min()) / (known.max() - known.min())
            return torch.bucketize(unit, torch.tensor(self.thresholds))
        same = own.unsqueeze(1) == torch.tensor(self.values)
        return torch.where(same.any(dim=1), same.long().argmax(dim=1), len(self.values))

    @property
    def n_parts(self) -> int:
        """How many parts."""
        if self.thresholds:
            return len(self.thresholds) + 1
        return len(self.values) + (not set(_levels_of(self.factor).tolist()) <= set(self.values))


@dataclass(frozen=True)
class ClassRule:
    """Classes that are the cells of a grid: one part of every factor that is used.

    Classes are numbered in the order of nested loops, the last factor fastest.

    Args:
        by: How each factor is sorted; every factor at most once.

    Raises:
        ValueError: A factor is unknown, named twice or not sorted in one way, or a class would be
            empty.
    """

    by: tuple[By, ...]

    def __post_init__(self) -> None:
        """Check that every class exists."""
        for one in self.by:
            if self.relevant.count(one.factor) > 1 or one.factor not in FACTORS:
                raise ValueError(
                    f"`by` must name factors of {FACTORS}, each at most once. Got "
                    f"{self.relevant}. Give one factor all its thresholds in one By."
                )
            if bool(one.thresholds) == bool(one.values):
                raise ValueError(
                    "`by` must sort each factor by thresholds or by values. Got "
                    f"{one}. Give one of the two."
                )
        if len(self.labels(DATA.factors).unique()) < self.n_classes:
            raise ValueError(
                "`by` must leave examples in every class. Got "
                f"{self.labels(DATA.factors).bincount(minlength=self.n_classes).tolist()} for "
                f"{self.by}. Use rising thresholds inside (0, 1) and levels that occur."
            )

    @property
    def relevant(self) -> tuple[str, ...]:
        """Names of the factors that it uses."""
        return tuple(one.factor for one in self.by)

    @property
    def n_classes(self) -> int:
        """How many classes."""
        return math.prod(one.n_parts for one in self.by)

    def labels(self, levels: Tensor) -> Tensor:
        """Class of each row of levels `(n, data factors)`, `(n,)`."""
        classes = torch.zeros(len(levels), dtype=torch.long)
        for one in self.by:
            classes = classes * one.n_parts + one.sort(levels)
        return classes

    def parts_of(self, index: int) -> tuple[int, ...]:
        """Part of each used factor that a class stands for."""
        parts: list[int] = []
        for one in reversed(self.by):
            parts.insert(0, index % one.n_parts)
            index //= one.n_parts
        return tuple(parts)

    def factors_between(self, one: int, other: int) -> tuple[str, ...]:
        """Names of the factors that tell two classes apart."""
        parts = zip(self.relevant, self.parts_of(one), self.parts_of(other), strict=True)
        return tuple(name for name, ours, theirs in parts if ours != theirs)

    @property
    def between(self) -> Tensor:
        """`(classes, classes, factors)`, whether a factor of `FACTORS` tells two classes apart."""
        parts = torch.tensor([self.parts_of(index) for index in range(self.n_classes)])
        between = torch.zeros(self.n_classes, self.n_classes, len(FACTORS), dtype=torch.bool)
        places = [FACTORS.index(name) for name in self.relevant]
        between[:, :, places] = parts.unsqueeze(1) != parts
        return between


CLASS_RULES = {
    "three bits": ClassRule(tuple(By(name, thresholds=(0.5,)) for name in ("scale", "x", "y"))),
    "shape by size": ClassRule((By("shape", values=(0, 1, 2)), By("scale", thresholds=(0.5,)))),
    "four levels": ClassRule((By("x", thresholds=(0.25, 0.5, 0.75)),)),
}


@functools.cache
def _shuffled() -> Tensor:
    return DATA.factors[torch.randperm(len(DATA), generator=torch.Generator().manual_seed(0))]


def held_out() -> Tensor:
    """Levels of sprites that neither classifiers nor codes have seen, `(n, data factors)`."""
    return _shuffled()[:N_HELD_OUT]


@functools.lru_cache(maxsize=2)
def training_data(seed: int) -> tuple[Tensor, Tensor]:
    """Levels drawn from all other sprites, and their images; the same for every rule."""
    generator = torch.Generator().manual_seed(seed)
    others = _shuffled()[N_HELD_OUT:]
    levels = others[torch.randint(len(others), (N_TRAIN,), generator=generator)]
    return levels, DATA.sample(levels)


@functools.lru_cache(maxsize=4)
def plant(rule: ClassRule, seed: int, kept: Path | None = None) -> Planted:
    """Train an ordinary classifier on a rule's classes.

    Args:
        rule: What it learns.
        seed: Of its weights and its training sprites.
        kept: File that it is read from where there is one, and written to where there is none.
    """
    levels, inputs = training_data(seed)
    if kept is None or not kept.exists():
        planted = learned(rule.labels, rule.n_classes, inputs, levels, held_out(), seed)
        if kept is not None:
            with replacing(kept) as new:
                save_file(planted.classifier.state_dict(), new)
        return planted
    classifier = new_classifier(rule.n_classes).eval()
    classifier.load_state_dict(load_file(kept))
    test_inputs = DATA.sample(held_out())
    reached = accuracy(classifier, test_inputs, rule.labels(held_out()))
    return Planted(inputs, held_out(), test_inputs, classifier, reached)


def class_effects(
    classifier: Callable[[Tensor], Tensor], rule: ClassRule, *, n: int = 200, seed: int = 0
) -> Tensor:
    """What a classifier uses of each factor between two classes, measured by rendering again.

    Sprites of class a are given one factor of sprites of class b; their other factors stay. The
    effect is the mean fall of the contrast, logit of a less logit of b: above 0 where the factor
    tells the two apart, 0 on average where it does not. (Where several factors do, one of them
    alone leads to a third class. There the contrast of a and b is what training happened to make
    of it.)

    Args:
        classifier: Images `(n, 1, 32, 32)` to logits `(n, classes)`.
        rule: Says which sprites are of which class.
        n: Sprites of each class.
        seed: Of the sprites.

    Returns:
        `(classes, classes, factors)`: a, b and the factors of `FACTORS`; 0 where a is b.
    """
    generator = torch.Generator().manual_seed(seed)
    classes = rule.labels(DATA.factors)
    members = []
    for index in range(rule.n_classes):
        own = DATA.factors[classes == index]
        members.append(own[torch.randint(len(own), (n,), generator=generator)])
    effects = torch.zeros(rule.n_classes, rule.n_classes, len(FACTORS))
    with torch.no_grad():
        for a, ours in enumerate(members):
            before = classifier(DATA.sample(ours))
            for b, theirs in enumerate(members):
                for place, column in enumerate(COLUMNS if a != b else ()):
                    changed = ours.clone()
                    changed[:, column] = theirs[:, column]
                    fall = before - classifier(DATA.sample(changed))
                    effects[a, b, place] = (fall[:, a] - fall[:, b]).mean()
    return effects


def used(effects: Tensor, least: float = 0.06) -> Tensor:
    """Which factors a classifier uses between two classes.

    Those with at least a share of the effects, seen from both classes. With five classifiers of
    each rule, the factors that tell classes apart have .11 or more, the others .034 or less; the
    factor between two neighbours, classes that one factor tells apart, has .95 or more.

    Args:
        effects: `(classes, classes, factors)`, from `class_effects`.
        least: Share of the absolute effects of all factors.

    Returns:
        `(classes, classes, factors)`, booleans; nothing is used between a class and itself.
    """
    mean = (effects + effects.transpose(0, 1)) / 2
    whole = mean.abs().sum(dim=2, keepdim=True)
    return (mean >= least * whole) & (whole > 0)
