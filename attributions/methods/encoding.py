"""From inputs to a latent: which pixels or columns of an input make it."""

from typing import Any

import torch
from captum.attr import IntegratedGradients
from captum.attr._utils.attribution import Attribution
from torch import Tensor

from attributions.checks import check_mode
from attributions.codes import Code, encode
from attributions.randomness import seed_of, undisturbed


def input_attributions(
    code: Code,
    inputs: Tensor,
    latent: int,
    *,
    baselines: Tensor | None = None,
    method: type[Attribution] = IntegratedGradients,
    generator: torch.Generator | None = None,
    **options: Any,
) -> Tensor:
    r"""Attributions of one latent to the input that it is encoded from, by a method of Captum.

    $$ \sum_p a_p = E_j(x) - E_j(x_0) $$

    for methods that are complete, with the encoder's (posterior mean's) latent $j$, inputs $x$ and
    baselines $x_0$.

    Args:
        code: Encodes inputs to latents, or to a `Normal` over them.
        inputs: `(batch, *event)`.
        latent: Index of the latent.
        baselines: `(1 or batch, *event)`, where attributions start, of methods that start
            somewhere; default: 0.
        method: A class of Captum.
        generator: Of methods that sample; default: one that is seeded with 0.
        **options: Of the method's `attribute`, such as `n_steps`.

    Returns:
        `(batch, *event)`.

    Raises:
        RuntimeError: It is called under `torch.inference_mode`.

    Examples:
        >>> from attributions.transforms import Fourier
        >>> code, inputs = Fourier((1, 8)), torch.randn(3, 1, 8)
        >>> scores = input_attributions(code, inputs, 2)
        >>> torch.allclose(scores.flatten(1).sum(dim=1), code.encode(inputs)[:, 2], atol=1e-4)
        True
    """
    check_mode("code")

    def value(points: Tensor) -> Tensor:
        return encode(code, points).latents[:, latent]

    instance = method(value)
    if baselines is not None:
        options["baselines"] = baselines.detach().to(inputs).expand_as(inputs)
    with undisturbed(seed_of(generator), inputs.device), torch.enable_grad():
        scores: Tensor = instance.attribute(inputs.detach().clone().requires_grad_(), **options)
    return scores.detach()
