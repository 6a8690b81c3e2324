"""Every lie and every control by name: those that bounds were set on, and those that check them."""

from collections.abc import Callable

from benchmarks.lies import codes, controls, marks, tables
from benchmarks.lies.case import Case

Construction = Callable[[int], Case]
"""From a seed to a case."""

DEVELOPMENT: dict[str, Construction] = {
    "texture by place": marks.texture,
    "leaked column": tables.leaked_column,
    "reads one, paints two": codes.reads_one_paints_two,
    "two copies": codes.two_copies,
    "collapsed": codes.collapsed,
    "fools one predictor": codes.fooling,
    "product, turned": codes.turned_product,
    "undrawn texture": marks.undrawn,
    "shortcut on 80 %": marks.shortcut,
    "latents are classes": codes.classes,
}
"""The lies that were asked for."""

CHECKS: dict[str, Construction] = {
    "texture by place, by hand": marks.painted_texture,
    "stripes by size": marks.stripes,
    "phase by height": marks.grating,
    "noise by place": marks.noise_level,
    "colour by size": marks.colour,
    "corner by place": marks.drawn_corner,
    "unread corner": marks.corner,
    "rare undrawn texture": marks.rare_undrawn,
    "collapsed to the majority": codes.collapsed_majority,
    "xor, turned": codes.turned_xor,
    "saturated decoder": codes.saturated,
    "latents are two classes": codes.two_classes,
    "the latent is the logit": codes.logit,
    "two leaked columns": tables.two_leaked_columns,
    "one class for all": codes.one_class,
    "false gradient": codes.false_gradient,
    "foreign code": codes.foreign,
}
"""Other kinds, to check what was set on those."""

CONTROLS: dict[str, Construction] = {
    "place": controls.place,
    "quarters": controls.quarters,
    "both coordinates": controls.both,
    "few of a class": controls.few,
    "correlated factors": controls.correlated,
    "texture of its own": controls.own_texture,
    "texture of its own, noisy": controls.noisy_texture,
    "place, noisy": controls.noisy_place,
    "cosines": controls.cosines,
    "linear factors": tables.linear_factors,
    "height, trained": controls.height,
    "place plus height, trained": controls.sum_of_two,
    "sprites, trained": controls.sprites,
    "quarters, trained": controls.four,
    "digits, trained": controls.digits,
    "breast cancer, trained": tables.tumours,
}
"""Honest explanations."""

KINDS = {"lie": DEVELOPMENT, "lie to check": CHECKS, "control": CONTROLS}
EVERY = DEVELOPMENT | CHECKS | CONTROLS


def kind_of(name: str) -> str:
    """Which of `KINDS` a case belongs to."""
    return next(kind for kind, cases in KINDS.items() if name in cases)
