"""A code that is only asked: frozen, and handed copies, so that nothing of the caller's changes."""

from typing import Any

import torch
from torch import Tensor, nn

from attributions.checks import check_mode
from attributions.codes import AT_ONCE, Block, Code, at_once
from attributions.flattening import Flattened
from attributions.predictors import Function, Predictor, as_predictor
from attributions.replicas import frozen
from attributions.returned import verbs_of


class FrozenCode(nn.Module):
    """A replica of a code in eval mode that never sees the caller's own tensors.

    Latents of any shape are flattened (`attributions.flattening.Flattened`).

    Encoder and decoder are given copies: one that works in place, or returns what it was given,
    reaches neither the caller's inputs nor the tensors of an explanation. Its weights are those
    of the moment, whoever trains the code later. Where no gradient is recorded, many latents are
    decoded in parts.

    Args:
        code: Anything with `encode` and `decode`; an autoencoder whose latents are a grid as well.

    Raises:
        TypeError: It lacks one of the two.

    Examples:
        >>> import torch
        >>> from attributions.transforms import Fourier
        >>> code, inputs = FrozenCode(Fourier((1, 8))), torch.randn(2, 1, 8)
        >>> torch.allclose(code.decode(code.encode(inputs)), inputs, atol=1e-5)
        True
    """

    def __init__(self, code: Code) -> None:
        super().__init__()
        verbs_of(code)
        # In a tuple: the caller's module is not a part of this one.
        self._original = (code,)
        self.code = frozen(code, apart=True)
        self._at_once = AT_ONCE  # of large inputs fewer, once one was encoded
        self._flat: Flattened = (
            self.code if isinstance(self.code, Flattened) else Flattened(self.code)
        )

    @property
    def original(self) -> Code:
        """The caller's own code."""
        return self._original[0]

    @property
    def at_once(self) -> int:
        """Latents that are decoded at once where no gradient is recorded."""
        return self._at_once

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Named slices of the latents; none, where these are flat and the code names none."""
        return self._flat.blocks

    @property
    def latent_names(self) -> tuple[str, ...] | None:
        """The code's own, or places in a grid; None where these are flat and have no names."""
        return self._flat.latent_names

    def encode(self, inputs: Tensor, /) -> Any:
        """Inputs `(batch, *event)` to latents `(batch, latents)`, or to a `Normal` over them."""
        self._at_once = at_once(inputs)
        return self._flat.encode(inputs.clone())

    def decode(self, latents: Tensor, /) -> Tensor:
        """Latents `(batch, latents)` to inputs `(batch, *event)`."""
        if torch.is_grad_enabled() or len(latents) <= self._at_once:
            return self._flat.decode(latents.clone())
        parts = [self._flat.decode(some.clone()) for some in latents.split(self._at_once)]
        return torch.cat(parts)


def as_frozen(code: Code, inputs: Tensor | None = None) -> FrozenCode:
    """Return a `FrozenCode` as it is, and any other code frozen into one.

    Args:
        code: Anything with `encode` and `decode`.
        inputs: One or more that it may encode first, where it is to decode before it has encoded
            and does not say how many latents it has: they may be a grid. Default: none.
    """
    if isinstance(code, FrozenCode):
        return code
    frozen_code = FrozenCode(code)
    if inputs is not None and not hasattr(code, "latent_size"):
        with torch.no_grad():
            frozen_code.encode(inputs)
    return frozen_code


def asked(code: Code, predictor: Function, verb: str) -> tuple[FrozenCode, Predictor]:
    """Freeze a code and a predictor for a question.

    Args:
        code: Anything with `encode` and `decode`.
        predictor: A function, or a `Predictor`, which is used as it is.
        verb: What is asked, for the error.

    Raises:
        RuntimeError: Gradients are switched off by `torch.inference_mode`.
    """
    check_mode(verb)
    return as_frozen(code), as_predictor(predictor)
