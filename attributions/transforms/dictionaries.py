"""Sparse dictionaries: each row a sum of few of many directions."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from attributions.randomness import seed_of
from attributions.transforms.base import Transform, count

# A direction that no row took in so many batches is dead, and is taught what the others leave out.
_DEAD_AFTER, _AUXILIARY_WEIGHT = 20, 1 / 32


class _Weights(NamedTuple):
    """What a dictionary learns."""

    encoder: Tensor
    """`(latents, features)`."""
    threshold: Tensor
    """`(latents,)`, added before the largest are kept."""
    decoder: Tensor
    """`(latents, features)`, rows of length 1."""
    origin: Tensor
    """`(features,)`, taken off first and added last."""


class SparseDictionary(Transform):
    r"""Top-k autoencoder: a row is the origin plus at most `k` of many directions. Lossy.

    $$ u = \mathrm{ReLU}(\mathrm{top}_k(W (a - b) + c)), \qquad D(u) = b + u V $$

    with the origin $b$ and directions $V$ of length 1. Trained by Adam on the squared error, beside
    which directions that no row takes any more learn what the others leave out (the paper's AuxK).

    References:
        Gao et al.: Scaling and evaluating sparse autoencoders, 2024,
        https://arxiv.org/abs/2406.04093

    Args:
        inputs: `(n, *event)`, to fit on.
        latent_size: Directions; there may be more than features.
        k: Most directions that a row takes.
        n_steps: Batches that it is trained on.
        batch_size: Rows of each.
        learning_rate: Of Adam, at rows of mean square 1; it falls to 0 over the last fifth.
        generator: Seeds the fit; default: one that is seeded with 0.

    Raises:
        ValueError: `k` is below 1 or above `latent_size`.

    Examples:
        >>> rows = torch.randn(64, 8)
        >>> dictionary = SparseDictionary(rows, 16, k=3, n_steps=5)
        >>> bool(((dictionary.encode(rows) > 0).sum(dim=1) <= 3).all())
        True
    """

    encoder: Tensor
    threshold: Tensor
    decoder: Tensor
    origin: Tensor
    scale: Tensor

    def __init__(
        self,
        inputs: Tensor,
        latent_size: int,
        *,
        k: int = 4,
        n_steps: int = 1000,
        batch_size: int = 512,
        learning_rate: float = 3e-3,
        generator: torch.Generator | None = None,
    ) -> None:
        if not 1 <= k <= latent_size:
            raise ValueError(
                f"`k` must be from 1 to the number of directions, {latent_size}. Got {k}. "
                "Keep fewer, or learn more directions."
            )
        names = [f"direction{index}" for index in range(latent_size)]
        groups = torch.arange(latent_size)
        super().__init__(inputs.shape[1:], names, groups, names, exact=False)
        self.k = k
        flat = inputs.detach().flatten(1)
        scale = flat.square().mean().sqrt().clamp_min(1e-12)
        fitted = _fit(
            flat / scale,
            latent_size,
            k=k,
            n_steps=n_steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            generator=torch.Generator(flat.device).manual_seed(seed_of(generator)),
        )
        self.register_buffer("scale", scale)
        for name, values in fitted._asdict().items():
            self.register_buffer(name, values.detach())

    def encode(self, inputs: Tensor) -> Tensor:
        """The `k` largest responses that are above 0, in units of the directions' length."""
        self._check(inputs)
        flat = inputs.flatten(1) / self.scale
        kept = _largest(_responses(flat, self._weights), self.k)
        return kept * self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """Origin plus directions."""
        flat = self.origin * self.scale + latents @ self.decoder
        inputs: Tensor = flat.unflatten(1, self.event_shape)
        return inputs

    @property
    def _weights(self) -> _Weights:
        return _Weights(self.encoder, self.threshold, self.decoder, self.origin)


def _responses(flat: Tensor, weights: _Weights) -> Tensor:
    return (flat - weights.origin) @ weights.encoder.T + weights.threshold


def _largest(responses: Tensor, k: int) -> Tensor:
    """The `k` largest of each row, where they are above 0; the others 0."""
    found = responses.topk(k, dim=1)
    return torch.zeros_like(responses).scatter(1, found.indices, found.values.relu())


def _fit(
    rows: Tensor,
    latent_size: int,
    *,
    k: int,
    n_steps: int,
    batch_size: int,
    learning_rate: float,
    generator: torch.Generator,
) -> _Weights:
    weights = _initial(rows, latent_size, generator)
    optimizer = torch.optim.Adam(weights, learning_rate)
    silent = torch.zeros(latent_size, dtype=torch.long, device=rows.device)
    for step in range(n_steps):
        optimizer.param_groups[0]["lr"] = learning_rate * min(1, 5 * (1 - step / n_steps))
        chosen = torch.randint(len(rows), (batch_size,), generator=generator, device=rows.device)
        batch = rows[chosen]
        with torch.enable_grad():
            responses = _responses(batch, weights)
            latents = _largest(responses, k)
            left = batch - weights.origin - latents @ weights.decoder
            loss = left.square().mean()
            dead = silent > _DEAD_AFTER
            if bool(dead.any()):
                loss = loss + _AUXILIARY_WEIGHT * _auxiliary(responses, dead, left, weights)
            gradients = torch.autograd.grad(loss, weights)
        _step(optimizer, weights, gradients)
        silent = torch.where((latents > 0).any(dim=0), 0, silent + 1)
    return weights


def _initial(rows: Tensor, latent_size: int, generator: torch.Generator) -> _Weights:
    """The origin at the geometric median, directions at random, the encoder the decoder's twin."""
    options: dict[str, Any] = {"device": rows.device, "dtype": rows.dtype}
    shape = (latent_size, count(rows.shape[1:]))
    directions = F.normalize(torch.randn(*shape, generator=generator, **options), dim=1)
    return _Weights(
        encoder=directions.clone().requires_grad_(),
        threshold=torch.zeros(latent_size, **options).requires_grad_(),
        decoder=directions.requires_grad_(),
        origin=geometric_median(rows).requires_grad_(),
    )


def _auxiliary(responses: Tensor, dead: Tensor, left: Tensor, weights: _Weights) -> Tensor:
    """How badly the dead directions draw what the others leave out, in shares of its energy."""
    most = min(int(dead.sum()), max(1, left.shape[1] // 2))
    latents = _largest(responses.masked_fill(~dead, -torch.inf), most)
    missing = (left.detach() - latents @ weights.decoder).square().mean()
    return missing / left.detach().square().mean().clamp_min(1e-12)


def _step(
    optimizer: torch.optim.Optimizer, weights: _Weights, gradients: tuple[Tensor, ...]
) -> None:
    """One step, without what would only change the directions' length; then length 1 again."""
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient
    with torch.no_grad():
        decoder, along = weights.decoder, weights.decoder.grad
        assert along is not None  # set above
        along -= (along * decoder).sum(dim=1, keepdim=True) * decoder
        optimizer.step()
        decoder.copy_(F.normalize(decoder, dim=1))


def geometric_median(rows: Tensor, *, n_iterations: int = 50) -> Tensor:
    """The point of least mean distance to rows `(n, features)`, by Weiszfeld's iteration.

    Args:
        rows: `(n, features)`.
        n_iterations: Of the iteration.

    Returns:
        `(features,)`.

    Examples:
        >>> rows = torch.tensor([[0.0], [1.0], [100.0]])
        >>> torch.allclose(geometric_median(rows), torch.tensor([1.0]), atol=1e-2)
        True
    """
    median = rows.mean(dim=0)
    for _ in range(n_iterations):
        nearness = 1 / (rows - median).norm(dim=1, keepdim=True).clamp_min(1e-6)
        median = (nearness * rows).sum(dim=0) / nearness.sum()
    return median
