"""Moving one latent, with what the predictor says on the way."""

from typing import NamedTuple

import torch
from torch import Tensor

from attributions.codes import Code
from attributions.predictors import Function, predict


class Traversal(NamedTuple):
    """One latent moved from end to end, the others held."""

    values: Tensor
    """`(steps,)`, what the latent is set to."""
    inputs: Tensor
    """`(steps, *event)`, decoded."""
    outputs: Tensor
    """`(steps, classes)`, the predictor's logits (or quantities) there."""


def traverse(
    code: Code,
    predictor: Function,
    latents: Tensor,
    latent: int,
    *,
    values: Tensor | None = None,
    preprocess: Function | None = None,
) -> Traversal:
    """Move one latent of one example and ask the predictor at every step.

    Args:
        code: Decodes.
        predictor: Asked at every decoded step, without residual.
        latents: `(latent_size,)`, the example.
        latent: Index of the latent that moves.
        values: `(steps,)`, its values; nine from -2.5 to 2.5 (99 % of the prior) without it.
        preprocess: See `attributions.Trim`.

    Returns:
        Values, decoded inputs and outputs.

    Raises:
        ValueError: `latents` is not one example, or `latent` is out of range.
    """
    size = getattr(code, "latent_size", len(latents) if latents.ndim == 1 else 0)
    if latents.shape != (size,):
        raise ValueError(
            f"`latents` must have shape ({size or 'latents'},). Got {tuple(latents.shape)}. "
            "Traverse one example at a time."
        )
    if not 0 <= latent < size:
        raise ValueError(
            f"`latent` must be from 0 to {size - 1}. Got {latent}. Choose an existing one."
        )
    if values is None:
        values = torch.linspace(-2.5, 2.5, 9)
    values = values.to(latents)
    path = latents.detach().repeat(len(values), 1)
    path[:, latent] = values
    with torch.no_grad():
        inputs = code.decode(path)
        outputs = predict(predictor, inputs, preprocess)
    return Traversal(values, inputs, outputs)
