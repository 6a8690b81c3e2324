"""What the autoencoders of others return, and where latents and inputs are in it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

# Under these names autoencoders of others give what we ask for; the first that is there counts.
_MEANS = ("latent_dist", "embedding", "mu", "mean", "latents", "latent")
_DEVIATIONS = ("std", "stddev")
_LOG_VARIANCES = ("logvar", "log_var", "log_variance", "log_covariance")
_DECODED = ("sample", "reconstruction", "recon_x")


def verbs_of(code: object) -> tuple[str, str]:
    """Under which names a code is asked to encode and to decode.

    Raises:
        TypeError: It has neither `encode` and `decode` nor `encoder` and `decoder`.
    """
    for verbs in (("encode", "decode"), ("encoder", "decoder")):
        if all(callable(getattr(code, verb, None)) for verb in verbs):
            return verbs
    raise TypeError(
        f"`code` must have the methods encode and decode. Got {type(code).__name__}. "
        "Pass a VAE or a transform; the predictor comes after it."
    )


def latents_in(returned: Any) -> Tensor | Normal:
    """Latents of any shape in what an autoencoder's `encode` returned; a `Normal` where it is sure.

    Raises:
        TypeError: There are none.

    Examples:
        >>> import torch
        >>> mean, log_variance = torch.zeros(2, 3), torch.zeros(2, 3)
        >>> latents_in((mean, log_variance)).stddev.unique().item()
        1.0
    """
    if isinstance(returned, Tensor | Normal):
        return returned
    if isinstance(returned, Independent):
        return latents_in(returned.base_dist)
    if isinstance(returned, Distribution):
        return Normal(returned.mean, returned.stddev, validate_args=False)
    named = _named(returned, _MEANS)
    if isinstance(returned, tuple) and named is None:
        if len(returned) == 1:
            return latents_in(returned[0])
        if len(returned) == 2 and all(isinstance(each, Tensor) for each in returned):
            return _normal(returned[0], returned[1])
    if isinstance(named, Tensor):
        deviation, log_variance = _named(returned, _DEVIATIONS), _named(returned, _LOG_VARIANCES)
        if isinstance(deviation, Tensor):
            return Normal(named, deviation, validate_args=False)
        return _normal(named, log_variance) if isinstance(log_variance, Tensor) else named
    if named is not None:
        return latents_in(named)
    raise TypeError(
        "`code.encode` must return latents, a distribution, a pair of mean and log-variance, or an "
        f"object with {', '.join(_MEANS)}. Got {_described(returned)}. Wrap it in a code whose "
        "encode returns one of these."
    )


def inputs_in(returned: Any) -> Tensor:
    """Inputs in what an autoencoder's `decode` returned.

    Raises:
        TypeError: There are none.
    """
    if isinstance(returned, Tensor):
        return returned
    if isinstance(returned, Distribution):
        return returned.mean
    named = _named(returned, _DECODED)
    if isinstance(named, Tensor):
        return named
    if isinstance(returned, tuple) and len(returned) == 1:
        return inputs_in(returned[0])
    raise TypeError(
        f"`code.decode` must return inputs, or an object with {', '.join(_DECODED)}. Got "
        f"{_described(returned)}. Wrap it in a code whose decode returns a tensor."
    )


def _normal(mean: Tensor, log_variance: Tensor) -> Normal:
    return Normal(mean, (0.5 * log_variance).exp(), validate_args=False)


def _named(returned: Any, names: tuple[str, ...]) -> Any:
    """What stands under the first of these names in an object or mapping; None for nothing."""
    for name in names:
        found = returned.get(name) if isinstance(returned, Mapping) else None
        found = getattr(returned, name, None) if found is None else found
        if isinstance(found, Tensor | Distribution):
            return found
        if name == "latent_dist" and found is not None:  # diffusers' own class, with a mean
            return found
    return None


def _described(returned: Any) -> str:
    if isinstance(returned, tuple):
        return f"a tuple of {', '.join(type(each).__name__ for each in returned)}"
    return type(returned).__name__
