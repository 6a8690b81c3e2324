"""What a code is: anything with the two verbs encode and decode."""

from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal


class Code(Protocol):
    """A map from inputs to latents and back; a VAE, a transform of `attributions.transforms`."""

    def encode(self, inputs: Tensor, /) -> Any:
        """Inputs `(batch, *event)` to latents `(batch, latents)`, or to a `Normal` over them."""
        ...

    def decode(self, latents: Tensor, /) -> Tensor:
        """Latents `(batch, latents)` to inputs `(batch, *event)`."""
        ...


AT_ONCE = 256
"""Examples that are encoded or decoded at once where no gradient is recorded: bounds the memory."""

# What inputs may hold that pass at once: bounds the memory. On a CPU a batch is best no larger than
# what its caches hold: 64 pictures of 64 pixels decode in two thirds of the time of 256.
_NUMBERS_AT_ONCE, _CACHED, _FEW = 8 * 3 * 256**2, 64 * 64**2, 16


def at_once(inputs: Tensor) -> int:
    """How many examples like these pass at once: 256, or fewer large ones, which bounds the memory.

    Args:
        inputs: `(batch, *event)`.

    Returns:
        As many as hold 1.6 million numbers: 8 colour pictures of 256 pixels, 32 of 128. On a CPU
        16, or as many as hold 260 thousand numbers, where that is less: 64 grey ones of 64.
    """
    size = max(1, inputs[:1].numel())
    most = _NUMBERS_AT_ONCE // size
    if inputs.device.type == "cpu":
        most = min(most, max(_FEW, _CACHED // size))
    return max(1, min(AT_ONCE, most))


Inputs: TypeAlias = "Tensor | np.ndarray[Any, Any]"
"""What a code encodes: a tensor, or an array of numbers."""


def inputs_for(code: Code, inputs: Inputs) -> Tensor:
    """Return a tensor as it is; an array of numbers goes to the device and dtype of the code.

    Raises:
        TypeError: It is neither.

    Examples:
        >>> inputs_for(nn.Linear(2, 1), np.array([[1, 2]]))
        tensor([[1., 2.]])
    """
    if isinstance(inputs, Tensor):
        return inputs
    numbers = isinstance(inputs, np.ndarray) and inputs.dtype.kind in "biuf"
    if not numbers or isinstance(inputs, np.ma.MaskedArray):
        raise TypeError(
            "`inputs` must be a tensor or an array of numbers. Got "
            f"{type(inputs).__name__}. Pass one with all examples: of a data set torch.stack, of a "
            "table to_numpy(), or what the code's schema encodes."
        )
    found = torch.tensor(np.array(inputs, dtype=np.float64))
    parameter = next(code.parameters(), None) if isinstance(code, nn.Module) else None
    return found.to(torch.get_default_dtype()) if parameter is None else found.to(parameter)


class Block(NamedTuple):
    """A named slice of the flat latents: InfoGAN's category, one layer's style.

    A code that has an attribute `blocks` is explained block by block as well; noise is decoded
    and, unless asked for, not explained.
    """

    name: str
    start: int
    stop: int
    kind: Literal["real", "categorical", "noise"] = "real"
    level: int | None = None
    """Resolution in pixels at which the block acts, where it acts at one."""


def blocks_of(code: Code, size: int) -> tuple[Block, ...]:
    """The blocks of a code of `size` latents; one of real numbers where it names none.

    Raises:
        ValueError: The blocks do not cover the latents, each once and in order.
    """
    blocks = tuple(Block(*block) for block in getattr(code, "blocks", None) or ())
    if not blocks:
        return (Block("latents", 0, size),)
    ends = [0, *(block.stop for block in blocks)]
    if [block.start for block in blocks] != ends[:-1] or ends[-1] != size:
        raise ValueError(
            f"`blocks` must cover {size} latents, each once and in order. Got "
            f"{[(block.name, block.start, block.stop) for block in blocks]}. Let each start where "
            "the one before stops."
        )
    return blocks


def with_noise_of(code: Code, starts: Tensor, latents: Tensor) -> Tensor:
    """Baselines with each example's own noise: what is noise does not move along the path.

    Args:
        code: Says by its `blocks` what is noise.
        starts: `(1 or batch, latents)`.
        latents: `(batch, latents)`.

    Returns:
        `(batch, latents)`, or `starts` itself where nothing is noise.
    """
    noise = [block for block in blocks_of(code, latents.shape[1]) if block.kind == "noise"]
    if not noise:
        return starts
    starts = starts.expand_as(latents).clone()
    for block in noise:
        starts[:, block.start : block.stop] = latents[:, block.start : block.stop]
    return starts


class Encoded(NamedTuple):
    """Where a code puts inputs, and how sure it is."""

    latents: Tensor
    """`(batch, latents)`, posterior means."""
    deviations: Tensor
    """`(batch, latents)`, posterior standard deviations; 0 for a deterministic code."""


def encode(code: Code, inputs: Tensor) -> Encoded:
    """Latents of inputs, whether the code returns a tensor or a `Normal`.

    Where no gradient is recorded, many inputs are encoded in parts.

    Raises:
        ValueError: The code does not return one row of latents per input.
    """
    if len(inputs) > at_once(inputs) and not torch.is_grad_enabled():
        parts = [encode(code, some) for some in inputs.split(at_once(inputs))]
        return Encoded(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
    returned = code.encode(inputs.clone())  # an encoder may work in place
    latents = returned.mean if isinstance(returned, Normal) else returned
    if not isinstance(latents, Tensor) or latents.ndim != 2 or len(latents) != len(inputs):
        got = tuple(latents.shape) if isinstance(latents, Tensor) else type(latents).__name__
        raise ValueError(
            "`code.encode` must return latents of shape (batch, latents), or a Normal over them. "
            f"Got {got} for {len(inputs)} inputs. Wrap the code in "
            "attributions.flattening.Flattened."
        )
    if isinstance(returned, Normal):
        return Encoded(latents, returned.stddev)
    return Encoded(latents, torch.zeros_like(latents))


def encodes_by_search(code: Code) -> bool:
    """Whether a code finds latents by a search, which takes long (its `inversion_steps`)."""
    original = getattr(code, "original", code)
    return bool(getattr(original, "inversion_steps", 0)) and not getattr(original, "inverter", None)


def baseline_of(code: Code, latents: Tensor) -> Tensor:
    """Where attributions start by default: what the code's prior expects, `(1, latents)`.

    The code's own `baseline(1)`, where it has that method, and else 0, a normal prior's mean.
    """
    own = getattr(code, "baseline", None)
    return torch.zeros_like(latents[:1]) if own is None else own(1).detach().to(latents)


class Decoder(nn.Module):
    """A code's `decode` as a module, so that methods that hook modules (DeepLift) find it all."""

    def __init__(self, code: Code) -> None:
        super().__init__()
        self.code = code

    def forward(self, latents: Tensor) -> Tensor:
        """Latents `(batch, latents)` to inputs `(batch, *event)`."""
        return self.code.decode(latents)
