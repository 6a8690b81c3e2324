"""What a code is: anything with the two verbs encode and decode."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from attributions.predictors import evaluating


class Code(Protocol):
    """A map from inputs to latents and back; a VAE, a transform of `attributions.transforms`."""

    def encode(self, inputs: Tensor, /) -> Any:
        """Inputs `(batch, *event)` to latents `(batch, latents)`, or to a `Normal` over them."""
        ...

    def decode(self, latents: Tensor, /) -> Tensor:
        """Latents `(batch, latents)` to inputs `(batch, *event)`."""
        ...


class Encoded(NamedTuple):
    """Where a code puts inputs, and how sure it is."""

    latents: Tensor
    """`(batch, latents)`, posterior means."""
    deviations: Tensor
    """`(batch, latents)`, posterior standard deviations; 0 for a deterministic code."""


def encode(code: Code, inputs: Tensor) -> Encoded:
    """Latents of inputs, whether the code returns a tensor or a `Normal`.

    Raises:
        ValueError: The code does not return one row of latents per input.
    """
    returned = code.encode(inputs)
    if isinstance(returned, Normal):
        encoded = Encoded(returned.mean, returned.stddev)
    else:
        encoded = Encoded(returned, torch.zeros_like(returned))
    if encoded.latents.ndim != 2 or len(encoded.latents) != len(inputs):
        raise ValueError(
            "`code.encode` must return latents of shape (batch, latents), or a Normal over them. "
            f"Got {tuple(encoded.latents.shape)} for {len(inputs)} inputs. Flatten the latents."
        )
    return encoded


def held_in_eval_mode(code: Code) -> AbstractContextManager[None]:
    """Eval mode for the length of a block, where the code is a module that has modes."""
    return evaluating(code) if isinstance(code, nn.Module) else nullcontext()


class Decoder(nn.Module):
    """A code's `decode` as a module, so that methods that hook modules (DeepLift) find it all."""

    def __init__(self, code: Code) -> None:
        super().__init__()
        self.code = code

    def forward(self, latents: Tensor) -> Tensor:
        """Latents `(batch, latents)` to inputs `(batch, *event)`."""
        return self.code.decode(latents)
