"""A code over the latents of another: few latents, drawn by a large autoencoder."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from attributions.axes import Axes
from attributions.codes import Block, Code
from attributions.flattening import Flattened
from attributions.returned import verbs_of
from attributions.turned import AlongAxes


class Chained(nn.Module):
    r"""A code over the latents of an autoencoder: $E_i \circ E_o$, decoded by $D_o \circ D_i$.

    The outer autoencoder draws sharp pictures from a grid of thousands of numbers, which explain
    nothing one by one. The inner code, such as a small VAE, has a few latents for the whole grid.
    What is explained, turned and read are the inner code's latents; `trimvae.fit` trains the inner
    code alone, and the outer one stays as it is.

    The inner code sees the outer latents in their own shape, such as `(4, 32, 32)`, and scaled, as
    `Flattened` gives them.

    References:
        Rombach et al.: High-Resolution Image Synthesis with Latent Diffusion Models, 2022,
        https://arxiv.org/abs/2112.10752

    Args:
        outer: An autoencoder of the inputs; anything that `Flattened` takes, or a `Flattened`.
        inner: A code whose inputs are the outer latents, such as a `VAE` of their shape with
            `likelihood="gaussian"`.

    Raises:
        TypeError: One of the two has neither `encode` and `decode` nor `encoder` and `decoder`.

    Examples:
        >>> from attributions.transforms import Fourier, Identity
        >>> code, inputs = Chained(Fourier((1, 8)), Identity((10,))), torch.randn(3, 1, 8)
        >>> torch.allclose(code.decode(code.encode(inputs)), inputs, atol=1e-5)
        True
    """

    def __init__(self, outer: Any, inner: Code) -> None:
        super().__init__()
        verbs_of(inner)
        self.outer = outer if isinstance(outer, Flattened) else Flattened(outer)
        self.inner: Any = inner
        self._asked = inner if isinstance(inner, Flattened) else Flattened(inner)

    def outer_latents(self, inputs: Tensor) -> Tensor:
        """What the inner code sees of inputs `(batch, *event)`: `(batch, *latent shape)`."""
        found = self.outer.encode(inputs)
        return self.outer.in_shape(found if isinstance(found, Tensor) else found.mean)

    def encode(self, inputs: Tensor) -> Any:
        """Inputs `(batch, *event)` to latents `(batch, latents)`, or to a `Normal` over them."""
        return self._asked.encode(self.outer_latents(inputs))

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(batch, latents)` to inputs `(batch, *event)`."""
        return self.outer.decode(self.outer.flat(self._asked.decode(latents)))

    def baseline(self, n: int = 1) -> Tensor:
        """Where attributions start, `(n, latents)`: the inner code's own start, or 0."""
        own = getattr(self.inner, "baseline", None)
        start: Tensor = torch.zeros(n, self.latent_size) if own is None else own(n)
        return start

    def with_axes(self, axes: Axes | None) -> "Chained":
        """Return the chain with its inner code along (further) axes; None takes all axes off."""
        if hasattr(self.inner, "with_axes"):
            return Chained(self.outer, self.inner.with_axes(axes))
        return self if axes is None else Chained(self.outer, AlongAxes(self.inner, axes))

    @property
    def axes(self) -> Axes | None:
        """Along which the inner code is seen."""
        return getattr(self.inner, "axes", None)

    @property
    def latent_size(self) -> int:
        """Number of the inner code's latents.

        Raises:
            RuntimeError: It does not say, and nothing has been encoded yet.
        """
        size, shape = getattr(self.inner, "latent_size", None), self._asked.latent_shape
        if shape is not None:
            return math.prod(shape)
        if size is None:
            raise RuntimeError(
                "`latent_size` must be known first. Got an inner code that does not say it and has "
                "encoded nothing. Encode a batch."
            )
        return int(size)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The inner code's own."""
        return self._asked.blocks

    @property
    def latent_names(self) -> tuple[str, ...] | None:
        """The inner code's own."""
        return self._asked.latent_names

    @property
    def trained_with(self) -> dict[str, Any] | None:
        """What `fit` was asked for, where the inner code says it."""
        return getattr(self.inner, "trained_with", None)
