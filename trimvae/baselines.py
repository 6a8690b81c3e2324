"""Where attributions start: named baselines in latent space."""

from typing import Literal, get_args

import torch
from torch import Tensor

from attributions.codes import Code, encode
from attributions.measures import decisions
from attributions.predictors import Function, predict_in_batches

NamedBaseline = Literal["prior_mean", "dataset_mean", "class_mean", "posterior"]

_MOST_DRAWS = 100


def baselines_named(
    name: NamedBaseline,
    code: Code,
    latents: Tensor,
    predicted: Tensor,
    *,
    predictor: Function,
    background: Tensor | None = None,
    preprocess: Function | None = None,
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
        predictor: Says the background's classes.
        background: `(n, *event)`; all but `"prior_mean"` need it.
        preprocess: Between input and predictor.
        distribution: Whether up to 100 rows are wanted to compare with, instead of one each.
        generator: Of the draws; torch's global one without it.

    Returns:
        `(1, latents)`, `(batch, latents)` or, as a distribution, `(n, latents)`.

    Raises:
        ValueError: The name is unknown, the background missing, or without a predicted class.
    """
    if name not in get_args(NamedBaseline):
        raise ValueError(
            f"`baselines` must be a tensor or one of {get_args(NamedBaseline)}. Got {name!r}. "
            "Start with 'prior_mean'."
        )
    if name == "prior_mean":
        own = getattr(code, "baseline", None)
        return torch.zeros_like(latents[:1]) if own is None else own(1).to(latents)
    if background is None or len(background) == 0:
        raise ValueError(
            f"`background` must hold inputs for baselines={name!r}. Got none. Pass inputs of "
            "the kind that the code was trained on."
        )
    with torch.no_grad():
        codes = encode(code, background)
    if name == "dataset_mean":
        return codes.latents.mean(dim=0, keepdim=True)
    if name == "posterior":
        count = _MOST_DRAWS if distribution else len(latents)
        rows = torch.randint(len(background), (count,), generator=generator, device=latents.device)
        noise = torch.randn(
            (count, latents.shape[1]),
            generator=generator,
            device=latents.device,
            dtype=latents.dtype,
        )
        return codes.latents[rows] + codes.deviations[rows] * noise
    classes = decisions(predict_in_batches(predictor, background, preprocess))
    starts = torch.empty_like(latents)
    for index in predicted.unique():
        members = codes.latents[classes == index]
        if len(members) == 0:
            raise ValueError(
                "`background` must hold examples of every predicted class for "
                f"baselines='class_mean'. Got none of class {int(index)}. Pass more inputs."
            )
        starts[predicted == index] = members.mean(dim=0)
    return starts
