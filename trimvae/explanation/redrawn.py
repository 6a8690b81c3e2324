"""Inputs and latents drawn and read again: figures of it, and what a reader must know."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attributions.codes import Code, encode, encodes_by_search
from attributions.measures.intervals import Estimate, Interval
from attributions.measures.one_way import changes_along, direction
from attributions.measures.redrawing import (
    drawn_variance,
    reread_share,
    strength_correlation,
    weakest_strength,
)
from attributions.outputs import decisions
from attributions.trim import Trim

# Bounds below which a reader is warned, if the whole interval is. Set on two seeds of
# benchmarks/lies. In comments: most of the lies that a figure is for, and least of honest codes.
LEAST_REREAD = 0.8  # .65 of decoders that draw something else; .91
LEAST_DRAWN_VARIANCE = 0.15  # below 0 of codes that draw one picture or wrong ones; .34, of noise
LEAST_STRENGTH = 0.65  # .28 of latents that are classes; .80
LEAST_WEAKEST_STRENGTH = 0.4  # 0 of a class that is drawn by one picture; .74
LEAST_DIRECTION = 0.4  # .08 of exclusive or; .81

# Latents with less of the evidence do not count as used.
_LEAST_SHARE = 0.1

# Fewer examples have quantiles and variances by chance.
_LEAST_EXAMPLES = 20

# Examples that are asked, and those of which latents move.
_MOST_ASKED, _MOST_MOVED = 256, 128


def redrawn_figures(
    code: Code,
    trim: Trim,
    inputs: Tensor,
    latents: Tensor,
    reconstructions: Tensor,
    outputs: Tensor,
    shares: Tensor,
    *,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Ask the first inputs what is left of them when they are drawn and read again.

    `reread` and `direction` are of the latents that carry a tenth of the evidence or more.

    Args:
        code: Frozen.
        trim: The predictor behind the code's decoder.
        inputs: `(n, *event)`.
        latents: `(n, latents)`.
        reconstructions: `(n, *event)`.
        outputs: `(n, classes)`, the predictor's at the inputs.
        shares: `(latents,)`, each latent's share of the evidence.
        seed: Of the intervals.

    Returns:
        By name; what does not apply is left out: all of fewer than 20 examples, `reread` of a code
        that encodes by a search, `strength_correlation` of evidence that has no strength,
        `weakest_strength` also of a regression.
    """
    if len(inputs) < _LEAST_EXAMPLES:
        return {}
    first = slice(_MOST_ASKED)
    inputs, latents, outputs = inputs[first], latents[first], outputs[first]
    reconstructions = reconstructions[first]
    again = trim.predictor.in_batches(reconstructions)
    regression = trim.predictor.task == "regression"
    told = torch.zeros_like(outputs[:, 0], dtype=torch.long) if regression else decisions(outputs)
    found = {"drawn_variance": drawn_variance(inputs, reconstructions, generator=_drawing(seed))}
    strengths = {"strength_correlation": strength_correlation}
    if not regression:
        strengths["weakest_strength"] = weakest_strength
    for name, measure in strengths.items():
        found[name] = measure(outputs, again, told, generator=_drawing(seed))
    used = (shares >= _LEAST_SHARE).nonzero()[:, 0].tolist()
    if used:
        changes = changes_along(trim, latents[:_MOST_MOVED], used)
        found["direction"] = direction(changes, generator=_drawing(seed))
        if not encodes_by_search(code):
            read = _read(code, reconstructions)[:, used]
            found["reread"] = reread_share(latents[:, used], read, generator=_drawing(seed))
    return {name: figure for name, figure in found.items() if abs(figure.value) < torch.inf}


def redrawn_in(found: Mapping[str, Sequence[Any]]) -> dict[str, Estimate]:
    """Figures of plain lists, as an explanation's settings hold them."""
    return {
        name: Estimate(value, None if ends is None else Interval(*ends))
        for name, (value, ends) in found.items()
    }


def of_redrawn(found: Mapping[str, Estimate], *, residual: bool = False) -> list[str]:
    """What a reader must know, in plain language.

    Args:
        found: Figures by name.
        residual: Whether what is not drawn was added back: then little need be drawn.

    Examples:
        >>> of_redrawn({"reread": Estimate(0.9, Interval(0.85, 0.95))})
        []
    """
    below = [
        name
        for name, (least, _) in _SAID.items()
        if name in found and _is_below(found[name], least)
    ]
    if residual and "drawn_variance" in below:
        below.remove("drawn_variance")
    if {"strength_correlation", "weakest_strength"} <= set(below):
        below.remove("weakest_strength")
    return [_SAID[name][1](found[name].value) for name in below]


def _is_below(figure: Estimate, least: float) -> bool:
    """Whether a figure is below its bound by more than chance."""
    return (figure.value if figure.interval is None else figure.interval.high) < least


def _of_reread(value: float) -> str:
    return (
        "The encoder does not read what the decoder draws: of a latent that is used, "
        f"{max(value, 0):.0%} of the variance is left when it is drawn and read again. Its "
        "pictures show something else than what it says of an input. Train longer, or with less "
        "weight on the prediction."
    )


def _of_drawn_variance(value: float) -> str:
    share = f"{value:.0%} of" if value > 0 else "nothing of"
    return (
        f"The code draws {share} what differs between inputs: its pictures are of an average, or "
        "of something else, and not of the inputs that are explained. Train with more latents, or "
        "with less weight on the prediction."
    )


def _of_strength(value: float) -> str:
    return (
        f"How strong the evidence is does not survive re-encoding (correlation {value:.2f}): the "
        "code does not draw what the predictor reads, and where decisions survive, it knows or "
        "guesses them from what goes with it. Train with a larger prediction_weight or more "
        "latents."
    )


def _of_weakest_strength(value: float) -> str:
    return (
        "Of one class, how strong the evidence is does not survive re-encoding (correlation "
        f"{value:.2f}): the code draws its examples without what the predictor reads in them. "
        "Explain the examples of each class alone to see which, and train with more examples of it."
    )


def _of_direction(value: float) -> str:
    return (
        "The latents act together (interaction): as one of them moves, the evidence goes up in "
        f"some examples and down in others (direction {value:.2f}). No latent speaks for a class "
        "alone. Read them together, and compare with a second training: a turned code makes an "
        "interaction of what may be a single factor."
    )


_SAID: dict[str, tuple[float, Callable[[float], str]]] = {
    "reread": (LEAST_REREAD, _of_reread),
    "drawn_variance": (LEAST_DRAWN_VARIANCE, _of_drawn_variance),
    "strength_correlation": (LEAST_STRENGTH, _of_strength),
    "weakest_strength": (LEAST_WEAKEST_STRENGTH, _of_weakest_strength),
    "direction": (LEAST_DIRECTION, _of_direction),
}


def _read(code: Code, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return encode(code, inputs).latents


def _drawing(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
