"""How latents draw: few pixels each, without interaction, near the data."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.func import jvp

from attributions.penalties.protocol import Penalty, Step
from attributions.predictors import Function


def jacobian_l1(decode: Function, latents: Tensor) -> Tensor:
    r"""Mean over examples of $\sum_{p, i} |\partial D_p / \partial z_i|$, a **size** penalty.

    Shrunk by stretching the latents, which only the KL term resists: `jacobian_l1_over_l2` is
    free of that. Forward mode, once per latent.

    References:
        Singh et al., local-vae, https://github.com/csinva/local-vae

    Args:
        decode: Latents `(batch, latents)` to inputs `(batch, *event)`.
        latents: `(batch, latents)`.

    Returns:
        Scalar.
    """
    return _decoder_columns(decode, latents).abs().sum(dim=(1, 2)).mean()


def jacobian_l1_over_l2(decode: Function, latents: Tensor) -> Tensor:
    r"""Mean over examples and latents of $\lVert J_i \rVert_1 / \lVert J_i \rVert_2$.

    $J_i = \partial D / \partial z_i$ is what the latent moves in the input: few pixels score
    low, however strongly they move. Between 1 and the square root of the number of pixels.

    Args:
        decode: Latents `(batch, latents)` to inputs `(batch, *event)`.
        latents: `(batch, latents)`.

    Returns:
        Scalar.
    """
    columns = _decoder_columns(decode, latents)
    length = (columns.pow(2).sum(dim=2) + 1e-12).sqrt()
    return (columns.abs().sum(dim=2) / length).mean()


def _decoder_columns(decode: Function, latents: Tensor) -> Tensor:
    """`(batch, latents, pixels)`."""
    columns = []
    for direction in torch.eye(latents.shape[1], device=latents.device, dtype=latents.dtype):
        tangent = direction.expand_as(latents).contiguous()
        columns.append(jvp(decode, (latents,), (tangent,))[1].flatten(1))
    return torch.stack(columns, dim=1)


def hessian_variance(
    decode: Function,
    latents: Tensor,
    *,
    k: int = 2,
    epsilon: float = 0.1,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Hessian penalty: how much latents interact in what they draw.

    $$ \max_p \operatorname{Var}_v \frac{D_p(z + \epsilon v) - 2 D_p(z) + D_p(z - \epsilon v)}
    {\epsilon^2} $$

    over $k$ Rademacher directions $v$: the variance of the second difference is twice the sum of
    squared off-diagonal entries of each pixel's Hessian, 0 if latents do not interact.

    References:
        Peebles et al.: The Hessian Penalty, 2020, https://arxiv.org/abs/2008.10599

    Args:
        decode: Latents `(batch, latents)` to inputs `(batch, *event)`.
        latents: `(batch, latents)`.
        k: Directions, at least 2.
        epsilon: Length of the step along each latent.
        generator: Of the directions.

    Returns:
        Scalar, mean over the batch.

    Raises:
        ValueError: `k` is below 2.
    """
    if k < 2:
        raise ValueError(f"`k` must be at least 2. Got {k}. A variance needs two directions.")
    centre = decode(latents)
    second = []
    for _ in range(k):
        bits = torch.randint(2, latents.shape, generator=generator, device=latents.device)
        step = epsilon * (2 * bits - 1).to(latents)
        second.append((decode(latents + step) - 2 * centre + decode(latents - step)) / epsilon**2)
    return torch.stack(second).var(dim=0).flatten(1).amax(dim=1).mean()


def neighbour_distance(
    decode: Function,
    latents: Tensor,
    inputs: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mean squared distance from a moved latent's picture to the nearest input of the batch.

    In each example one random latent is replaced by a prior draw: what traversals show should
    stay close to data. Sum over the event, minimum over the batch, mean over examples.

    References:
        After Singh et al., local-vae, https://github.com/csinva/local-vae

    Args:
        decode: Latents `(batch, latents)` to inputs `(batch, *event)`.
        latents: `(batch, latents)`.
        inputs: `(n, *event)`, the data to stay close to.
        generator: Of which latent moves and where to.

    Returns:
        Scalar.
    """
    batch, size = latents.shape
    options: dict[str, Any] = {"generator": generator, "device": latents.device}
    chosen = torch.randint(size, (batch, 1), **options)
    value = torch.randn((batch, 1), dtype=latents.dtype, **options)
    moved = decode(latents.scatter(1, chosen, value)).flatten(1)
    data = inputs.flatten(1)
    # Differences of the nearest pair alone stay in the graph.
    with torch.no_grad():
        nearest = torch.cdist(moved, data).argmin(dim=1)
    distances: Tensor = (moved - data[nearest]).pow(2).sum(dim=1)
    return distances.mean()


@dataclass(frozen=True, kw_only=True)
class JacobianSparsity(Penalty):
    """Each latent moves few pixels; see `jacobian_l1_over_l2`.

    Args:
        weight: Factor in the loss.
        form: `"l1_over_l2"` or the literature's `"l1"`.
        examples: How many of the step's examples to look at.

    Raises:
        ValueError: The weight is negative or the form unknown.
    """

    form: str = "l1_over_l2"
    examples: int = 8
    name: ClassVar[str] = "jacobian_sparsity"
    forms: ClassVar = {"l1_over_l2": jacobian_l1_over_l2, "l1": jacobian_l1}

    def __post_init__(self) -> None:
        """Check the arguments."""
        super().__post_init__()
        if self.form not in self.forms:
            raise ValueError(
                f"`form` must be one of {list(self.forms)}. Got {self.form!r}. "
                "Start with the default."
            )

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return self.forms[self.form](step.trim.decode, step.latents[: self.examples])


@dataclass(frozen=True, kw_only=True)
class Hessian(Penalty):
    """Latents do not interact in what they draw; see `hessian_variance`.

    Args:
        weight: Factor in the loss.
        k: Random directions.
        epsilon: Step along each latent.
    """

    k: int = 2
    epsilon: float = 0.1
    name: ClassVar[str] = "hessian"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return hessian_variance(
            step.trim.decode,
            step.latents,
            k=self.k,
            epsilon=self.epsilon,
            generator=step.generator,
        )


@dataclass(frozen=True, kw_only=True)
class NearestNeighbour(Penalty):
    """What a moved latent draws stays close to data; see `neighbour_distance`.

    Args:
        weight: Factor in the loss.
    """

    name: ClassVar[str] = "nearest_neighbour"

    def __call__(self, step: Step) -> Tensor:
        """Unweighted penalty."""
        return neighbour_distance(
            step.trim.decode, step.latents, step.inputs, generator=step.generator
        )
