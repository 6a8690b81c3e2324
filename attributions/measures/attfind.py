"""AttFind: the few latents, each with a direction, that turn inputs into a class."""

from typing import NamedTuple

import torch
from torch import Tensor

from attributions.outputs import decisions
from attributions.predictors import Function


class Attribute(NamedTuple):
    """A latent and the end of its range that pushes images towards a class."""

    latent: int
    direction: int
    """0 for the low end, 1 for the high one."""
    effect: float
    """Mean rise of the class' output over the images that were left."""
    flipped: float
    """Share of all images predicted otherwise that are the class' once this and the earlier
    attributes have moved."""


def attribute_effects(function: Function, latents: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Change of every output when one latent moves to an end of its range.

    Args:
        function: Latents `(batch, latents)` to `(batch, classes)`; a `Trim`.
        latents: `(batch, latents)`.
        low: `(latents,)`.
        high: `(latents,)`.

    Returns:
        `(batch, 2, latents, classes)`.
    """
    size = latents.shape[1]
    columns = []
    with torch.no_grad():
        before = function(latents.clone())
        for end in (low, high):
            for latent in range(size):
                moved = latents.clone()
                moved[:, latent] = end[latent]
                columns.append(function(moved) - before)
    effects: Tensor = torch.stack(columns, dim=1).unflatten(1, (2, size))
    return effects


def find_attributes(
    function: Function,
    latents: Tensor,
    low: Tensor,
    high: Tensor,
    target: int,
    *,
    k: int = 5,
    explained_by: float = 1.0,
    effects: Tensor | None = None,
    outputs: Tensor | None = None,
) -> list[Attribute]:
    """The few latents, with direction, that turn images into a class: StylEx's AttFind.

    Over the images not predicted as the class, take the (latent, direction) of the largest mean
    positive effect; drop the images it moves by `explained_by`; repeat until `k` are found, no
    image is left or no effect is positive.

    References:
        Lang et al.: Explaining in Style (StylEx), 2021, https://arxiv.org/abs/2104.13369,
        algorithm 1.

    Args:
        function: Latents `(batch, latents)` to logits `(batch, classes)`; a `Trim`.
        latents: `(batch, latents)`.
        low: `(latents,)`.
        high: `(latents,)`.
        target: The class.
        k: Most attributes to find; each latent is used once.
        explained_by: Rise of the output that makes an image count as explained.
        effects: `(batch, 2, latents, classes)`, what `attribute_effects` returns for these latents,
            so that several classes share it; default: computed for the images of other classes.
        outputs: `(batch, classes)`, the function's at these latents, so that several classes share
            it; default: asked for.

    Returns:
        Attributes, the strongest first; none if every image is predicted as the class.

    Raises:
        ValueError: There is no such class, or `effects` or `outputs` are not those of these
            latents.
    """
    _check_known(latents, effects, outputs)
    with torch.no_grad():
        if outputs is None:
            outputs = function(latents.clone())
        classes = 2 if outputs.shape[1] == 1 else outputs.shape[1]
        if not 0 <= target < classes:
            raise ValueError(
                f"`target` must be a class from 0 to {classes - 1}. Got {target}. "
                "Choose one that the predictor has."
            )
        kept = decisions(outputs) != target
        others = latents[kept]
        if len(others) == 0:
            return []
        if effects is None:
            effects = attribute_effects(function, others, low, high)
        else:
            effects = effects[kept]
        one_moved, outputs = effects, outputs[kept]
        if outputs.shape[1] == 1:  # a binary logit speaks for class 1
            effects = (2 * target - 1) * effects[..., 0]
        else:
            effects = effects[..., target]
        left = torch.ones(len(others), dtype=torch.bool, device=others.device)
        free = torch.ones(latents.shape[1], dtype=torch.bool, device=others.device)
        point, found = others.clone(), list[Attribute]()
        while len(found) < k and bool(left.any()) and bool(free.any()):
            means = effects[left].mean(dim=0).masked_fill(~free, -torch.inf)
            direction, latent = divmod(int(means.argmax()), latents.shape[1])
            if means[direction, latent] <= 0:
                break
            point[:, latent] = (low, high)[direction][latent]
            # Of the first move, a single one, the effect says all.
            alone = outputs + one_moved[:, direction, latent]
            said = function(point.clone()) if found else alone
            flipped = (decisions(said) == target).double().mean().item()
            found.append(Attribute(latent, direction, means[direction, latent].item(), flipped))
            left &= effects[:, direction, latent] < explained_by
            free[latent] = False
    return found


def _check_known(latents: Tensor, effects: Tensor | None, outputs: Tensor | None) -> None:
    if effects is not None and effects.shape[:3] != (len(latents), 2, latents.shape[1]):
        raise ValueError(
            f"`effects` must have shape {(len(latents), 2, latents.shape[1])} before the classes. "
            f"Got {tuple(effects.shape)}. Pass attribute_effects of the same latents."
        )
    if outputs is not None and (outputs.ndim != 2 or len(outputs) != len(latents)):
        raise ValueError(
            f"`outputs` must have shape ({len(latents)}, classes). Got {tuple(outputs.shape)}. "
            "Pass what the function returns for the same latents."
        )
