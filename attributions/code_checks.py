"""Refusing a code that cannot be explained through, and saying why."""

from collections.abc import Callable

import torch
from torch import Tensor

from attributions.answers import repeats, stands_alone
from attributions.codes import Code, encode, encodes_by_search
from attributions.randomness import undisturbed


def check_code(code: Code, inputs: Tensor) -> None:
    """Raise an error unless a code answers in the right form, every time and for each input alone.

    It encodes and decodes a few times, on at most eight of the inputs; one that encodes by a
    search, which takes long, is not asked. The random generators are left as they were.

    Args:
        code: Anything with `encode` and `decode`.
        inputs: `(batch, *event)`, the first of them are asked.

    Raises:
        TypeError: Latents or decoded inputs are not of the inputs' dtype.
        ValueError: They have another shape or are not finite, change from call to call, or with
            the other examples of the batch.

    Examples:
        >>> from attributions.transforms import Fourier
        >>> check_code(Fourier((1, 8)), torch.randn(2, 1, 8))
    """
    if encodes_by_search(code):
        return
    few = inputs[:8].detach()
    with undisturbed(0, inputs.device), torch.no_grad():
        latents = encode(code, few).latents
        check_latents(latents, few)
        decoded = code.decode(latents.clone())
        check_decoded(decoded, few)
        _check_steady("encode", "latents", few, latents, lambda rows: encode(code, rows).latents)
        _check_steady("decode", "inputs", latents, decoded, lambda rows: code.decode(rows.clone()))


def check_latents(latents: Tensor, inputs: Tensor) -> None:
    """Raise an error unless latents of inputs can be explained.

    Args:
        latents: `(batch, latents)`, what the code's `encode` returned.
        inputs: `(batch, *event)`.
    """
    _check_dtype("encode", "latents", latents, inputs)
    if latents.shape[1] == 0:
        raise ValueError(
            "`code.encode` must return at least one latent for each input. Got latents of shape "
            f"{tuple(latents.shape)}. Make the code with more."
        )
    _check_finite("encode", "latents", latents)


def check_decoded(decoded: Tensor, inputs: Tensor) -> None:
    """Raise an error unless what was decoded are inputs again.

    Args:
        decoded: What the code's `decode` returned.
        inputs: `(batch, *event)`, as they were encoded.
    """
    if decoded.shape != inputs.shape:
        raise ValueError(
            f"`code.decode` must return inputs of shape {tuple(inputs.shape)}. Got "
            f"{tuple(decoded.shape)}. Reshape or resize in the decoder, or bring the inputs to its "
            "size."
        )
    _check_dtype("decode", "inputs", decoded, inputs)
    _check_finite("decode", "inputs", decoded)


def _check_dtype(verb: str, what: str, returned: Tensor, inputs: Tensor) -> None:
    if returned.dtype != inputs.dtype:
        raise TypeError(
            f"`code.{verb}` must return {what} in {inputs.dtype}, as the inputs are. Got "
            f"{returned.dtype}. Convert the code with .to(...), or what it returns."
        )


def _check_finite(verb: str, what: str, returned: Tensor) -> None:
    wrong = (~torch.isfinite(returned)).flatten(1).any(dim=1).nonzero()[:3, 0].tolist()
    if wrong:
        raise ValueError(
            f"`code.{verb}` must return finite {what}. Got NaN or infinity for the examples "
            f"{wrong}. Check its weights and the range of its inputs."
        )


def _check_steady(
    verb: str, what: str, asked: Tensor, answers: Tensor, ask: Callable[[Tensor], Tensor]
) -> None:
    if not repeats(answers, ask(asked)):
        raise ValueError(
            f"`code.{verb}` must not change from call to call. Got other {what} when it was asked "
            "the same twice. Return means (or a Normal), no draws, and use nn.Dropout as a module, "
            "so that eval() reaches it."
        )
    if not stands_alone(ask, asked):
        raise ValueError(
            f"`code.{verb}` must answer for each example alone. Got other {what} for the same "
            "examples when others were beside them. Take means and deviations over the training "
            "data, none over the batch."
        )
