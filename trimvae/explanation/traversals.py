"""Moving one latent, with what the predictor says on the way."""

from typing import NamedTuple

import torch
from torch import Tensor

from attributions.checks import check_counts
from attributions.codes import Code
from attributions.predictors import Function
from trimvae.data.loading import Array, as_tensor
from trimvae.explanation.asking import asked


class Traversal(NamedTuple):
    """One latent moved from end to end, the others held."""

    values: Tensor
    """`(n_steps,)`, what the latent is set to."""
    inputs: Tensor
    """`(n_steps, *event)`, decoded."""
    outputs: Tensor
    """`(n_steps, classes)`, the predictor's logits (or quantities) there."""


def traverse(
    code: Code,
    predictor: Function,
    latents: Array,
    latent: int,
    *,
    values: Array | None = None,
    n_steps: int = 9,
) -> Traversal:
    """Move one latent of one example and ask the predictor at every step.

    Neither code, predictor nor latents are changed.

    Args:
        code: A VAE, or anything else with `encode` and `decode`; here it decodes.
        predictor: Module or function, inputs `(batch, *event)` to outputs `(batch, classes)`, or
            an `attributions.Predictor`, which brings its preprocessing; asked at every decoded
            step, without residual.
        latents: `(latent_size,)`, the example.
        latent: Index of the latent that moves.
        values: `(n,)`, the values that it takes; default: `n_steps` from -2.5 to 2.5 (99 % of
            a normal prior).
        n_steps: How many values, where none are given.

    Returns:
        Values, decoded inputs and outputs.

    Raises:
        ValueError: `latents` is not one example, `latent` is out of range, or `n_steps` is below 1.
        RuntimeError: It is called under `torch.inference_mode`.

    Examples:
        >>> from attributions.transforms import Fourier
        >>> code, predictor = Fourier((1, 4)), torch.nn.Flatten()
        >>> moved = traverse(code, predictor, torch.zeros(6), 0, values=torch.tensor([0.0, 2.0]))
        >>> torch.allclose(moved.outputs[1], torch.ones(4))
        True
    """
    frozen_code, frozen_predictor = asked(code, predictor, "traverse")
    latents = as_tensor(latents, "latents").detach()
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
    check_counts(n_steps=n_steps)
    if values is None:
        values = torch.linspace(-2.5, 2.5, n_steps, device=latents.device)
    values = as_tensor(values, "values").detach().to(latents, copy=True)
    path = latents.repeat(len(values), 1)
    path[:, latent] = values
    with torch.no_grad():
        inputs = frozen_code.decode(path)
        outputs = frozen_predictor(inputs)
    return Traversal(values, inputs, outputs)
