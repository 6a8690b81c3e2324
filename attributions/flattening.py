"""Autoencoders as they are: whatever their verbs return, seen as one row of flat latents."""

import math
from numbers import Real
from typing import Any, Literal

from torch import Tensor, nn
from torch.distributions import Normal

from attributions.codes import Block
from attributions.returned import inputs_in, latents_in, verbs_of

Grouping = Literal["channels", "cells"]


class Flattened(nn.Module):
    r"""An autoencoder with latents of any shape, as a code with flat latents in blocks.

    `explain` and `evaluate` do this by themselves with what they are given. Make one yourself to
    choose the blocks, the range of the pixels, or to decode before anything was encoded.

    What `encode` may return: a tensor; a distribution; a pair of mean and log-variance; an object
    or mapping with `latent_dist` (diffusers), `embedding` (pythae), `mu`, `mean`, `latents` or
    `latent`, and with its deviation or log-variance beside it. What `decode` may return: a tensor,
    a distribution, or an object with `sample`, `reconstruction` or `recon_x`. An autoencoder
    without these verbs is asked by its modules `encoder` and `decoder`.

    A grid `(channels, *cells)` has a block for each channel, or for each cell; tokens
    `(tokens, width)` have one for each token, which is their cell, or for each of the width.
    Where the autoencoder has a `config.scaling_factor` $s$ (and `shift_factor` $t$), latents are
    $s (z - t)$, of a deviation near 1, as diffusion models see them.

    References:
        Rombach et al.: High-Resolution Image Synthesis with Latent Diffusion Models, 2022,
        https://arxiv.org/abs/2112.10752

    Args:
        autoencoder: With `encode` and `decode`, or `encoder` and `decoder`.
        latent_shape: Of one example's latents; default: that of the first that are encoded.
        group_by: `"channels"` or `"cells"`; default: channels of a grid, cells of tokens.
        value_range: Lowest and highest pixel that the autoencoder takes and draws, where its images
            are not in [0, 1]; `(-1, 1)` for most of diffusers. Inputs and reconstructions are then
            in [0, 1]. Default: they stay what they are.

    Raises:
        TypeError: The autoencoder has neither pair of names.
        ValueError: `group_by` is unknown, or `value_range` is empty.

    Examples:
        >>> import torch
        >>> class Halves(nn.Module):
        ...     def encode(self, inputs):
        ...         return inputs.unflatten(1, (2, 1, 2)), torch.zeros(len(inputs), 2, 1, 2)
        ...     def decode(self, latents):
        ...         return latents.flatten(1)
        >>> code, inputs = Flattened(Halves()), torch.randn(3, 4)
        >>> torch.equal(code.decode(code.encode(inputs).mean), inputs)
        True
        >>> [block.name for block in code.blocks]
        ['channel 0', 'channel 1']
    """

    def __init__(
        self,
        autoencoder: Any,
        latent_shape: tuple[int, ...] | None = None,
        *,
        group_by: Grouping | None = None,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self._verbs = verbs_of(autoencoder)
        if group_by not in (None, "channels", "cells"):
            raise ValueError(
                f"`group_by` must be 'channels' or 'cells'. Got {group_by!r}. Use 'channels'."
            )
        if value_range is not None and not value_range[0] < value_range[1]:
            raise ValueError(
                f"`value_range` must be lowest and highest value. Got {value_range}. Use (-1, 1)."
            )
        self.autoencoder = autoencoder
        self.latent_shape = None if latent_shape is None else tuple(latent_shape)
        self.group_by, self.value_range = group_by, value_range

    def encode(self, inputs: Tensor) -> Tensor | Normal:
        """Inputs `(batch, *event)` to latents `(batch, latents)`, or to a `Normal` over them.

        Raises:
            TypeError: The autoencoder returns nothing that latents can be found in.
        """
        if self.value_range is not None:
            low, high = self.value_range
            inputs = low + (high - low) * inputs
        found = latents_in(getattr(self.autoencoder, self._verbs[0])(inputs))
        means = found.mean if isinstance(found, Normal) else found
        factor, shift = _scale_of(self.autoencoder)
        if means.ndim < 2 or (means.ndim == 2 and (factor, shift) == (1.0, 0.0)):
            self.latent_shape = tuple(means.shape[1:])
            return found  # flat already, maybe a posterior with more to it
        self.latent_shape = tuple(means.shape[1:])
        means = self.flat(factor * (means - shift))
        if not isinstance(found, Normal):
            return means
        return Normal(means, self.flat(factor * found.stddev), validate_args=False)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(batch, latents)` to inputs `(batch, *event)`.

        Raises:
            TypeError: The autoencoder returns nothing that inputs can be found in.
        """
        factor, shift = _scale_of(self.autoencoder)
        points = self.in_shape(latents)
        if (factor, shift) != (1.0, 0.0):
            points = points / factor + shift
        decoded = inputs_in(getattr(self.autoencoder, self._verbs[1])(points))
        if self.value_range is None:
            return decoded
        low, high = self.value_range
        return (decoded - low) / (high - low)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The autoencoder's own; else one for each channel or cell, once the shape is known."""
        own = tuple(getattr(self.autoencoder, "blocks", None) or ())
        shape = self.latent_shape
        if own or shape is None or len(shape) < 2:
            return own
        name, count = self._groups(shape)
        width = math.prod(shape) // count
        names = (f"{name} {self._place(index, shape)}" for index in range(count))
        return tuple(Block(each, i * width, (i + 1) * width) for i, each in enumerate(names))

    @property
    def latent_names(self) -> tuple[str, ...] | None:
        """The autoencoder's own; else block and place, such as `channel 3 (0, 7)`."""
        own = getattr(self.autoencoder, "latent_names", None)
        shape = self.latent_shape
        if own is not None or shape is None or len(shape) < 2:
            return own
        cells, channels = self._cells(shape), shape[1] if len(shape) == 2 else shape[0]
        places = [self._cell(index, cells) for index in range(math.prod(cells))]
        if self._by_cell(shape):
            kind = self._groups(shape)[0]
            return tuple(f"{kind} {at} [{channel}]" for at in places for channel in range(channels))
        return tuple(f"channel {channel} {at}" for channel in range(channels) for at in places)

    def _by_cell(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 2 if self.group_by is None else self.group_by == "cells"

    def _cells(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of what is not the channel: tokens come first, of a grid the channels do."""
        return shape[:1] if len(shape) == 2 else shape[1:]

    def _groups(self, shape: tuple[int, ...]) -> tuple[str, int]:
        cells = math.prod(self._cells(shape))
        if self._by_cell(shape):
            return ("token" if len(shape) == 2 else "cell"), cells
        return "channel", math.prod(shape) // cells

    def _place(self, index: int, shape: tuple[int, ...]) -> str:
        return self._cell(index, self._cells(shape)) if self._by_cell(shape) else str(index)

    @staticmethod
    def _cell(index: int, cells: tuple[int, ...]) -> str:
        if len(cells) == 1:
            return str(index)
        places = []
        for size in reversed(cells):
            index, place = divmod(index, size)
            places.append(str(place))
        return f"({', '.join(reversed(places))})"

    def _turns(self, shape: tuple[int, ...]) -> bool:
        """Whether channel and cells change places, so that every block is one slice."""
        return len(shape) > 1 and self._by_cell(shape) != (len(shape) == 2)

    def flat(self, latents: Tensor) -> Tensor:
        """Latents in the autoencoder's own shape as rows `(batch, latents)`."""
        if self._turns(tuple(latents.shape[1:])):
            latents = latents.flatten(2).transpose(1, 2)
        return latents.flatten(1)

    def in_shape(self, latents: Tensor) -> Tensor:
        """Rows of latents `(batch, latents)` in the autoencoder's own shape."""
        shape = self.latent_shape
        if shape is None or len(shape) < 2:
            return latents
        if self._turns(shape):
            latents = latents.reshape(len(latents), -1, shape[0]).transpose(1, 2)
        return latents.reshape(-1, *shape)


def _scale_of(autoencoder: Any) -> tuple[float, float]:
    """By what latents are multiplied, after what is taken off."""
    config = getattr(autoencoder, "config", None)
    factor, shift = (getattr(config, name, None) for name in ("scaling_factor", "shift_factor"))
    return (
        float(factor) if isinstance(factor, Real) and factor else 1.0,
        float(shift) if isinstance(shift, Real) else 0.0,
    )
