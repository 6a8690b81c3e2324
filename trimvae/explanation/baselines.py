"""Where attributions start: named baselines in latent space."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.distributions import Normal

from attributions.codes import Code, baseline_of, encode
from attributions.outputs import decisions
from attributions.predictors import Function
from attributions.turned import TurnedNormal
from trimvae.explanation.asking import asked

NamedBaseline = Literal["prior_mean", "dataset_mean", "class_mean", "posterior"]

_DRAWS = 100


def baselines_named(
    name: NamedBaseline,
    code: Code,
    latents: Tensor,
    predicted: Tensor,
    *,
    predictor: Function,
    background: Tensor | None = None,
    distribution: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Rows where attributions of some examples start.

    Args:
        name: `"prior_mean"`, what the prior expects: the code's own `baseline()`, or a VAE's zero
            vector; `"dataset_mean"`, the mean code of the background; `"class_mean"`, the mean
            code of the background examples that are predicted as the example itself is ("what
            sets this one apart from its class"); `"posterior"`, a draw from the posterior of a
            random background example.
        code: Encodes the background.
        latents: `(batch, latents)`, the examples.
        predicted: `(batch,)`, their predicted classes.
        predictor: Says the classes of the background: a function, or a `Predictor`, which brings
            its preprocessing.
        background: `(n, *event)`; all but `"prior_mean"` need it.
        distribution: Whether 100 draws of the posterior are wanted to compare with, instead of
            one for each example.
        generator: Of the draws; default: torch's global one.

    Returns:
        `(1, latents)`, `(batch, latents)` or, as a distribution, `(n, latents)`.

    Raises:
        ValueError: The name is unknown, the background is missing, or no example in it is
            predicted as a class that `predicted` holds.
        RuntimeError: It is called under `torch.inference_mode`.
    """
    if name not in get_args(NamedBaseline):
        raise ValueError(
            f"`baselines` must be a tensor or one of {get_args(NamedBaseline)}. Got {name!r}. "
            "Start with 'prior_mean'."
        )
    frozen_code, frozen_predictor = asked(code, predictor, "baselines_named")
    if name == "prior_mean":
        return baseline_of(frozen_code.code, latents)
    if background is None or len(background) == 0:
        raise ValueError(
            f"`background` must hold inputs for baselines={name!r}. Got none. Pass inputs of "
            "the kind that the code was trained on."
        )
    with torch.no_grad():
        if name == "posterior":
            count = _DRAWS if distribution else len(latents)
            return _drawn(frozen_code.encode(background), count, generator)
        codes = encode(frozen_code, background)
    if name == "dataset_mean":
        return codes.latents.mean(dim=0, keepdim=True)
    classes = decisions(frozen_predictor.in_batches(background))
    return _class_means(codes.latents, classes, predicted)


def _drawn(posterior: Any, count: int, generator: torch.Generator | None) -> Tensor:
    """Draws from the posteriors of random examples, `(count, latents)`."""
    if isinstance(posterior, TurnedNormal):  # whose coordinates are not independent
        drawn: Tensor = posterior.axes(_drawn(posterior.base, count, generator))
        return drawn
    spread = isinstance(posterior, Normal)
    means: Tensor = posterior.mean if spread else posterior
    deviations: Tensor = posterior.stddev if spread else torch.zeros_like(means)
    rows = torch.randint(len(means), (count,), generator=generator, device=means.device)
    noise = torch.randn(
        (count, means.shape[1]), generator=generator, device=means.device, dtype=means.dtype
    )
    return means[rows] + deviations[rows] * noise


def _class_means(codes: Tensor, classes: Tensor, predicted: Tensor) -> Tensor:
    """Mean code of each example's predicted class, `(batch, latents)`."""
    starts = codes.new_empty((len(predicted), codes.shape[1]))
    for index in predicted.unique():
        members = codes[classes == index]
        if len(members) == 0:
            raise ValueError(
                "`background` must hold examples of every predicted class for "
                f"baselines='class_mean'. Got none of class {int(index)}. Pass more inputs."
            )
        starts[predicted == index] = members.mean(dim=0)
    return starts
