"""A code that is only asked: frozen, and handed copies, so that nothing of the caller's changes."""

from typing import Any

import torch
from torch import Tensor, nn

from attributions.checks import check_mode
from attributions.codes import AT_ONCE, Block, Code
from attributions.predictors import Function, Predictor, as_predictor
from attributions.replicas import frozen


class FrozenCode(nn.Module):
    """A replica of a code in eval mode that never sees the caller's own tensors.

    Encoder and decoder are given copies: one that works in place, or returns what it was given,
    reaches neither the caller's inputs nor the tensors of an explanation. Where no gradient is
    recorded, many latents are decoded in parts.

    Args:
        code: Anything with `encode` and `decode`.

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
        if not all(callable(getattr(code, verb, None)) for verb in ("encode", "decode")):
            raise TypeError(
                f"`code` must have the methods encode and decode. Got {type(code).__name__}. "
                "Pass a VAE or a transform; the predictor comes after it."
            )
        # In a tuple: the caller's module is not a part of this one.
        self._original = (code,)
        self.code = frozen(code)

    @property
    def original(self) -> Code:
        """The caller's own code."""
        return self._original[0]

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Named slices of the latents; none, where the code names none."""
        return tuple(getattr(self.code, "blocks", None) or ())

    def encode(self, inputs: Tensor, /) -> Any:
        """Inputs `(batch, *event)` to latents `(batch, latents)`, or to a `Normal` over them."""
        return self.code.encode(inputs.clone())

    def decode(self, latents: Tensor, /) -> Tensor:
        """Latents `(batch, latents)` to inputs `(batch, *event)`."""
        if torch.is_grad_enabled() or len(latents) <= AT_ONCE:
            return self.code.decode(latents.clone())
        return torch.cat([self.code.decode(some.clone()) for some in latents.split(AT_ONCE)])


def as_frozen(code: Code) -> FrozenCode:
    """Return a `FrozenCode` as it is, and any other code frozen into one."""
    return code if isinstance(code, FrozenCode) else FrozenCode(code)


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
