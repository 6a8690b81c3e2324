"""A latent without a predictor: what in an input makes it, and which inputs have most of it."""

from typing import Any, NamedTuple

import torch
from captum.attr import IntegratedGradients
from captum.attr._utils.attribution import Attribution
from torch import Tensor

from attributions.checks import check_counts, check_mode
from attributions.codes import Code, encode
from attributions.methods.encoding import input_attributions
from attributions.randomness import checked_seed
from trimvae.data.loading import Array, as_tensor
from trimvae.explanation.arguments import (
    as_inputs,
    check_index,
    check_inputs,
    feature_names_of,
)
from trimvae.explanation.asking import as_frozen


class LatentMaps(NamedTuple):
    """Which part of each input makes a latent."""

    latent: int
    inputs: Tensor
    """`(batch, *event)`, a copy."""
    attributions: Tensor
    """`(batch, *event)`, in units of the latent."""
    values: Tensor
    """`(batch,)`, the latent of each input."""
    at_baseline: Tensor
    """`(batch,)`, the latent where attributions start."""
    feature_names: tuple[str, ...] | None = None
    """Columns of a table."""


def explain_latent(
    code: Code,
    inputs: Array,
    latent: int,
    *,
    baselines: Array | None = None,
    method: type[Attribution] = IntegratedGradients,
    seed: int = 0,
    **options: Any,
) -> LatentMaps:
    """Explain one latent by the pixels or columns of the inputs that it is encoded from.

    Any class of Captum is asked through the encoder (its posterior mean). By integrated gradients
    the attributions of an input add up to its latent minus that of the baseline. Neither code,
    inputs nor random generators are changed. `trimvae.figures.plot_latent_maps` draws them.

    Args:
        code: Anything with `encode` and `decode`, such as a VAE; no predictor is asked.
        inputs: `(batch, *event)`, a tensor, a NumPy array or a DataFrame.
        latent: Index of the latent.
        baselines: `(1 or batch, *event)`, where attributions start; default: 0.
        method: A class of Captum.
        seed: Of methods that sample.
        **options: Of the method's `attribute`, such as `n_steps`.

    Returns:
        Attributions with the inputs, the latent's values, and its values at the baselines.

    Raises:
        TypeError: The inputs are not floating-point numbers, the code lacks a verb, or `latent` is
            no whole number.
        ValueError: There is no such latent, or inputs or baselines do not fit or are not finite.
        RuntimeError: It is called under `torch.inference_mode`.

    Examples:
        >>> from trimvae import VAE
        >>> found = explain_latent(VAE.dense((6,), latent_size=2), torch.randn(4, 6), 1)
        >>> change = found.values - found.at_baseline
        >>> torch.allclose(found.attributions.sum(dim=1), change, atol=1e-3)
        True
    """
    check_mode("explain_latent")
    seed = checked_seed(seed)
    frozen_code, points = _seen(code, inputs)
    starts = torch.zeros_like(points[:1])
    if baselines is not None:
        starts = as_tensor(baselines, "baselines").detach().to(points)
    if starts.shape not in (points[:1].shape, points.shape):
        raise ValueError(
            f"`baselines` must have shape {tuple(points[:1].shape)} or {tuple(points.shape)}. "
            f"Got {tuple(starts.shape)}. Pass one input, or one per example."
        )
    if not bool(torch.isfinite(starts).all()):
        raise ValueError("`baselines` must be finite. Got NaN or infinity. Clean them.")
    with torch.no_grad():
        latents, at_start = (encode(frozen_code, some).latents for some in (points, starts))
    _check_latent(latent, latents)
    own = baselines if baselines is None else starts
    generator = torch.Generator().manual_seed(seed)
    names = feature_names_of(inputs, None)
    return LatentMaps(
        latent,
        points,
        input_attributions(
            frozen_code,
            points,
            latent,
            baselines=own,
            method=method,
            generator=generator,
            **options,
        ),
        latents[:, latent],
        at_start[:, latent].expand(len(points)),
        None if names is None else tuple(names),
    )


class Most(NamedTuple):
    """The inputs with most of a latent, and those with least."""

    most: Tensor
    """`(count,)`, which inputs, the largest value first."""
    least: Tensor
    """`(count,)`, which inputs, the smallest value first."""
    values: Tensor
    """`(n,)`, the latent of every input."""


def most_of(code: Code, inputs: Array, latent: int, *, count: int = 8) -> Most:
    """Find the inputs that have most of a latent, and least.

    Args:
        code: Anything with `encode` and `decode`; no predictor is asked.
        inputs: `(n, *event)`.
        latent: Index of the latent.
        count: How many of each; all, where there are fewer.

    Returns:
        Their indices, and the values of all inputs.

    Raises:
        TypeError: The inputs are not floating-point numbers, the code lacks a verb, or `latent` is
            no whole number.
        ValueError: There is no such latent, `count` is below 1, or the inputs do not fit.

    Examples:
        >>> from attributions.transforms import Identity
        >>> found = most_of(Identity((2,)), torch.tensor([[0.0, 3.0], [1.0, 9.0]]), 1, count=1)
        >>> found.most.tolist(), found.least.tolist()
        ([1], [0])
    """
    check_counts(count=count)
    frozen_code, points = _seen(code, inputs)
    with torch.no_grad():
        latents = encode(frozen_code, points).latents
    _check_latent(latent, latents)
    values = latents[:, latent]
    order = values.argsort(descending=True, stable=True)
    return Most(order[:count], order.flip(0)[:count], values)


def _seen(code: Code, inputs: Array) -> tuple[Any, Tensor]:
    frozen_code = as_frozen(code)
    points = as_inputs(inputs, frozen_code.original)
    check_inputs(frozen_code.original, points)
    return frozen_code, points


def _check_latent(latent: int, latents: Tensor) -> None:
    check_index("latent", latent, latents.shape[1], "Choose an existing one.")
