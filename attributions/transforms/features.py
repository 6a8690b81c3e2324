"""Concepts: the activations of a network's layer as sums of few directions, place by place."""

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn

from attributions.codes import AT_ONCE, Block
from attributions.transforms.base import Transform
from attributions.transforms.cutting import CutNetwork
from attributions.transforms.factorisations import NonNegativeParts


class Features(nn.Module):
    r"""A code of a layer's activations: at each place, how much there is of each concept.

    $$ u = E(a), \qquad r = a - D(u), \qquad g(D(u) + r) = f(x) $$

    with the activations $a$ of the layer at an input $x$, a basis $E, D$ of its channels, the
    network $f$ and its tail $g$ behind the layer. The residual $r$, what the basis leaves out, is
    held fixed. `Trim(features.tail, features.decode)` is exact for every network, and integrated
    gradients from $u = 0$ add up to $f(x) - g(D(0) + r)$.

    Latents are concepts times places, concept after concept; `blocks` names them.
    `attributions.transforms.Amounts` has one latent for each concept.

    References:
        Fel et al.: CRAFT: Concept Recursive Activation FacTorization for Explainability, 2023,
        https://arxiv.org/abs/2211.10154 (concepts by NMF of activations).

    Args:
        network: A trained module; it is explained through frozen replicas and never changed.
        layer: Name of one of its modules, or that module. It returns `(batch, channels, height,
            width)`, `(batch, tokens, channels)` or `(batch, channels)`.
        basis: A class of `attributions.transforms`, such as `NonNegativeParts`,
            `PrincipalComponents` or `SparseDictionary`, which is fitted to the activations of
            `inputs`; or a transform of rows `(n, channels)` that is fitted already.
        inputs: `(n, *event)`, what the basis is fitted to; the first also stands in where the
            tail needs an input's shape.
        latent_size: Concepts, where a class is given.
        channel_dim: Which dimension of the layer's output counts channels; default: 1 of four
            dimensions, else the last.
        batch_size: Inputs that pass through the network at once; bounds the memory.
        **options: Of the class, such as `k` or `generator`.

    Raises:
        TypeError: The network is no module, its layer returns no tensor, or options come with a
            basis that is fitted already.
        ValueError: There is no such layer, it does not run exactly once, something passes around
            it, it is negative where NMF is asked for, or the basis is of another size.

    Examples:
        >>> from attributions import Trim
        >>> from attributions.transforms import PrincipalComponents
        >>> network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(54, 3))
        >>> pictures = torch.randn(20, 1, 5, 5)
        >>> features = Features(network, "1", PrincipalComponents, pictures, latent_size=2)
        >>> trim, activations = Trim(features.tail, features.decode), features.activations(pictures)
        >>> latents = features.encode(activations)
        >>> outputs = trim(latents, trim.residual(activations, latents))
        >>> torch.allclose(outputs, network(pictures), atol=1e-5)
        True
    """

    def __init__(
        self,
        network: nn.Module,
        layer: str | nn.Module,
        basis: type[Transform] | Transform,
        inputs: Tensor,
        *,
        latent_size: int | None = None,
        channel_dim: int | None = None,
        batch_size: int = AT_ONCE,
        **options: Any,
    ) -> None:
        super().__init__()
        self.tail = CutNetwork(network, layer, inputs)
        """From activations to the network's outputs: the predictor that this code is for."""
        self.batch_size = batch_size
        shape = self.tail.shape
        default = 1 if len(shape) == 3 else len(shape)
        self._channel_dim = (default if channel_dim is None else channel_dim) % (len(shape) + 1)
        if not self._channel_dim:
            raise ValueError(
                "`channel_dim` must count channels. Got 0, the examples. Choose 1 or -1."
            )
        self.grid = tuple(size for dim, size in enumerate(shape, 1) if dim != self._channel_dim)
        """Shape of a map of places: `(height, width)`, `(tokens,)` or `()`."""
        if isinstance(basis, Transform):
            if latent_size is not None or options:
                raise TypeError(
                    "`basis` must be a class where `latent_size` or options are given. Got "
                    f"a {type(basis).__name__} that is fitted already. Leave them out."
                )
            self.basis = basis
        else:
            self.basis = self._fitted(basis, inputs, latent_size or 10, options)
        channels = shape[self._channel_dim - 1]
        if self.basis.event_shape != (channels,):
            raise ValueError(
                f"`basis` must be one of rows ({channels},), the channels of {self.tail.layer!r}. "
                f"Got {self.basis.event_shape}. Fit it to features.rows of that layer."
            )
        self.concept_names = tuple(f"concept {i}" for i in range(self.basis.latent_size))
        super().train(False)

    def train(self, mode: bool = True) -> "Features":
        """Stay in eval mode."""
        return self

    @property
    def places(self) -> int:
        """How many places a map has."""
        return math.prod(self.grid)

    @property
    def latent_size(self) -> int:
        """Concepts times places."""
        return len(self.concept_names) * self.places

    @property
    def latent_names(self) -> tuple[str, ...]:
        """Concept and place of each latent."""
        places = itertools.product(*map(range, self.grid))
        ends = [" at " + ", ".join(map(str, place)) if place else "" for place in places]
        return tuple(f"{name}{end}" for name in self.concept_names for end in ends)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The places of each concept."""
        size = self.places
        return tuple(
            Block(name, index * size, (index + 1) * size)
            for index, name in enumerate(self.concept_names)
        )

    def activations(self, inputs: Tensor) -> Tensor:
        """Activations of the layer at inputs `(batch, *event)`, without a graph."""
        with torch.no_grad():
            parts = [self.tail.head(some) for some in inputs.split(self.batch_size)]
        return torch.cat(parts)

    def encode(self, activations: Tensor) -> Tensor:
        """Activations of the layer to latents `(batch, concepts * places)`."""
        return self.coefficients(activations).flatten(1)

    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(batch, concepts * places)` to activations of the layer."""
        return self.drawn(latents.unflatten(1, (len(self.concept_names), -1)))

    def maps(self, inputs: Tensor) -> Tensor:
        """How much of each concept is where in inputs `(batch, *event)`.

        Returns:
            `(batch, concepts, *grid)`.
        """
        return self.on_grid(self.encode(self.activations(inputs)))

    def on_grid(self, latents: Tensor) -> Tensor:
        """Latents, or attributions, as maps: `(..., latents)` to `(..., concepts, *grid)`."""
        maps: Tensor = latents.unflatten(-1, (len(self.concept_names), *self.grid))
        return maps

    def rows(self, activations: Tensor) -> Tensor:
        """Channels at each place of activations: `(batch, places, channels)`."""
        last = activations.movedim(self._channel_dim, -1)
        return last.reshape(len(last), -1, last.shape[-1])

    def coefficients(self, activations: Tensor) -> Tensor:
        """How much of each concept is at each place: `(batch, concepts, places)`."""
        rows = self.rows(activations)
        encoded: Tensor = self.basis.encode(rows.flatten(0, 1))
        coefficients: Tensor = encoded.unflatten(0, rows.shape[:2])
        return coefficients.transpose(1, 2)

    def drawn(self, coefficients: Tensor) -> Tensor:
        """Activations of coefficients `(batch, concepts, places)`."""
        rows = self.basis.decode(coefficients.transpose(1, 2).flatten(0, 1))
        return self.shaped(rows.unflatten(0, (len(coefficients), -1)))

    def shaped(self, rows: Tensor) -> Tensor:
        """Rows `(batch, places, channels)` in the shape of the layer's activations."""
        last = rows.reshape(len(rows), *self.grid, rows.shape[-1])
        return last.movedim(-1, self._channel_dim)

    def _fitted(
        self, basis: type[Transform], inputs: Tensor, size: int, options: dict[str, Any]
    ) -> Transform:
        rows = self.rows(self.activations(inputs)).flatten(0, 1)
        least = float(rows.min())
        if issubclass(basis, NonNegativeParts) and least < 0:
            raise ValueError(
                "`layer` must not be negative for NMF. Got a minimum of "
                f"{least:.3g} at {self.tail.layer!r}. Choose a layer behind a ReLU, or "
                "PrincipalComponents or SparseDictionary."
            )
        fit: Any = basis
        fitted: Transform = fit(rows, size, **options)
        return fitted
