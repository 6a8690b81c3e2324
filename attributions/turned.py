"""A code seen along axes: its latents, its posterior, and everything else about it."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence, register_kl

from attributions.axes import Axes, Chain
from attributions.axes.grouping import check_groups
from attributions.codes import Block, Code, baseline_of


class TurnedNormal(Normal):
    r"""A diagonal normal over latents, seen along axes: $u = a(z)$ with $z \sim N(\mu, \sigma^2)$.

    Its coordinates are correlated, where the axes mix latents of different deviations. Samples are
    those of the latents, mapped. What is said of each coordinate (`stddev`, `variance`,
    `log_prob`, `cdf` and `entropy`) is said of its marginal. Along axes that bend, `mean` is where
    the mean is mapped to, and deviations and covariance are those of the axes made straight there.

    The KL divergence between two of them along the same axes is that between the normals that they
    are made of: `(batch, latents)`, whose sum over the latents is the KL. Its entries belong to the
    latents, not to the axes.

    Args:
        base: Over latents `(..., latents)`.
        axes: Of as many latents.

    Raises:
        ValueError: The axes are of another size.

    Examples:
        >>> from attributions.axes import Rotation
        >>> swap = Rotation(2, matrix=torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        >>> turned = TurnedNormal(Normal(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])), swap)
        >>> turned.mean.tolist(), turned.stddev.tolist()
        ([2.0, 1.0], [4.0, 3.0])
    """

    def __init__(self, base: Normal, axes: Axes) -> None:
        self.base: Normal = base
        self.axes: Axes = axes
        if isinstance(base, TurnedNormal):
            self.base, self.axes = base.base, Chain(base.axes, axes)
        self.loc = self.axes(self.base.mean)
        super(Normal, self).__init__(self.loc.shape, validate_args=False)

    @cached_property
    def scale(self) -> Tensor:  # type: ignore[override]
        """Deviation of each coordinate, `(..., latents)`: found when it is asked for."""
        jacobian, variance = self._local()
        deviations = (jacobian.square() @ variance.unsqueeze(-1)).squeeze(-1).sqrt()
        return deviations.to(self.base.stddev.dtype)

    @property
    def covariance_matrix(self) -> Tensor:
        r"""$J\, \mathrm{diag}(\sigma^2)\, J^\top$, `(..., latents, latents)`."""
        jacobian, variance = self._local()
        covariance = (jacobian * variance.unsqueeze(-2)) @ jacobian.mT
        return covariance.to(self.base.stddev.dtype)

    def _local(self) -> tuple[Tensor, Tensor]:
        """Jacobian of the axes at the mean, and the latents' variances, in double precision."""
        return self.axes.jacobian(self.base.mean.double()), self.base.stddev.double().square()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples of the latents, mapped: `(*sample_shape, ..., latents)`, without gradient."""
        with torch.no_grad():
            mapped: Tensor = self.axes(self.base.sample(torch.Size(sample_shape)))
            return mapped

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Reparametrised samples of the latents, mapped: `(*sample_shape, ..., latents)`."""
        mapped: Tensor = self.axes(self.base.rsample(torch.Size(sample_shape)))
        return mapped

    def expand(self, batch_shape: Any, _instance: Any = None) -> "TurnedNormal":
        """The same over more rows, `(*batch_shape)`."""
        return TurnedNormal(self.base.expand(batch_shape), self.axes)


@register_kl(TurnedNormal, TurnedNormal)  # type: ignore[untyped-decorator]
def _kl_along_axes(posterior: TurnedNormal, prior: TurnedNormal) -> Tensor:
    if not _are_same(posterior.axes, prior.axes):
        raise ValueError(
            "`prior` must be seen along the axes of the posterior. Got other axes. Use the prior "
            "of the code that made the posterior, or compare their `base`."
        )
    return kl_divergence(posterior.base, prior.base)


@register_kl(TurnedNormal, Normal)  # type: ignore[untyped-decorator]
@register_kl(Normal, TurnedNormal)  # type: ignore[untyped-decorator]
def _kl_across_axes(posterior: Normal, prior: Normal) -> Tensor:
    raise ValueError(
        "`prior` must be seen along the axes of the posterior. Got one of the two along axes, and "
        "the other not. Use the prior of the code that made the posterior."
    )


class AlongAxes(nn.Module):
    r"""A code seen along axes: $u = a(E(x))$, decoded by $D(a^{-1}(u))$.

    Reconstructions and decisions are those of the code; attributions are given to the axes. It
    works for every code with flat latents. Noise and categories stay what they are. A `VAE` has
    `with_axes` of its own, with which it stays a VAE.

    Args:
        code: Anything with `encode` and `decode`; along axes already, it gets further ones.
        axes: A layer of `attributions.axes`, of the code's size.

    Raises:
        TypeError: `axes` is no layer.
        ValueError: The axes are of another size than the code, or mix latents of two of its
            blocks, noise or categories.

    Examples:
        >>> from attributions.axes import Rotation
        >>> from attributions.transforms import Identity
        >>> swapped = AlongAxes(Identity((2,)), Rotation(2, matrix=torch.eye(2).flip(0)))
        >>> swapped.encode(torch.tensor([[3.0, 5.0]])).tolist()
        [[5.0, 3.0]]
        >>> swapped.decode(torch.tensor([[5.0, 3.0]])).tolist()
        [[3.0, 5.0]]
    """

    def __init__(self, code: Code, axes: Axes) -> None:
        super().__init__()
        check_axes(axes, code)
        self.code: Any = code
        self.axes: Axes = axes
        if isinstance(code, AlongAxes):
            self.code, self.axes = code.code, Chain(code.axes, axes)

    def encode(self, inputs: Tensor, *args: Any) -> Any:
        """Inputs `(batch, *event)` to coordinates `(batch, latents)`, or a `TurnedNormal` of them.

        Args:
            inputs: `(batch, *event)`.
            *args: What else the code's `encode` takes.
        """
        return along(self.code.encode(inputs, *args), self.axes)

    def decode(self, latents: Tensor) -> Tensor:
        """Coordinates `(batch, latents)` to inputs `(batch, *event)`."""
        decoded: Tensor = self.code.decode(self.axes.inverse(latents))
        return decoded

    def baseline(self, n: int = 1) -> Tensor:
        """Where attributions start, `(n, latents)`: where the code's own start is mapped to."""
        start: Tensor = self.axes(baseline_of(self.code, self.axes.origin()))
        return start.expand(n, -1)

    def with_axes(self, axes: Axes | None) -> Any:
        """Return the code along further axes of what is seen; None takes all axes off."""
        return self.code if axes is None else AlongAxes(self, axes)

    @property
    def latent_size(self) -> int:
        """Number of latents, and of axes."""
        return self.axes.size

    @property
    def latent_names(self) -> tuple[str, ...]:
        """`axis0`, `axis1` ... for what is mixed; a latent that passes through keeps its name."""
        return axis_names(self.axes, getattr(self.code, "latent_names", None))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The code's own: axes mix latents within a block alone."""
        return tuple(getattr(self.code, "blocks", None) or ())

    @property
    def trained_with(self) -> dict[str, Any] | None:
        """What `fit` was asked for, where the code says it."""
        return getattr(self.code, "trained_with", None)


def without_axes(code: Any) -> Any:
    """Return a code without the axes that it is seen along.

    Examples:
        >>> from attributions.axes import Rotation
        >>> from attributions.transforms import Identity
        >>> code = Identity((2,))
        >>> without_axes(AlongAxes(code, Rotation(2))) is code
        True
    """
    if isinstance(code, AlongAxes):
        return code.code
    return code.with_axes(None) if getattr(code, "axes", None) is not None else code


def seen_along(code: Any, axes: Axes) -> Any:
    """Return a code along axes: what its own `with_axes` returns, or an `AlongAxes`.

    Args:
        code: Anything with `encode` and `decode`.
        axes: A layer of `attributions.axes`, of the code's size.
    """
    return code.with_axes(axes) if hasattr(code, "with_axes") else AlongAxes(code, axes)


def along(posterior: Any, axes: Axes) -> Any:
    """Latents `(batch, latents)` or a `Normal` over them, seen along axes."""
    return TurnedNormal(posterior, axes) if isinstance(posterior, Normal) else axes(posterior)


def axis_names(axes: Axes, names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of what is seen along axes: a latent that passes through keeps its own.

    Args:
        axes: Along which a code is seen.
        names: The code's own `latent_names`; None for `z0`, `z1` ...

    Returns:
        One for each axis: `axis0`, `axis1` ... by their place, where latents are mixed.
    """
    own = names or [f"z{index}" for index in range(axes.size)]
    mixed = {index for group in axes.groups for index in group}
    return tuple(f"axis{index}" if index in mixed else name for index, name in enumerate(own))


def check_axes(axes: Axes, code: Code) -> None:
    """Refuse axes that a code cannot be seen along.

    Args:
        axes: To be checked.
        code: With `blocks` and `latent_size`, where it has them.

    Raises:
        TypeError: `axes` is no layer of `attributions.axes`.
        ValueError: They are of another size than the code, or mix latents of two of its blocks,
            noise or categories.
    """
    if not isinstance(axes, Axes):
        raise TypeError(
            "`axes` must be a layer of attributions.axes. Got "
            f"{type(axes).__name__}. Make one, e.g. Rotation(size, matrix=...)."
        )
    size = getattr(code, "latent_size", axes.size)
    if axes.size != size:
        raise ValueError(
            f"`axes` must be of the code's {size} latents. Got axes of {axes.size}. Make them for "
            f"{size}."
        )
    check_groups(axes.groups, code, size)


def _are_same(left: Axes, right: Axes) -> bool:
    if left is right:
        return True
    ours, theirs = left.state_dict(), right.state_dict()
    return left.description == right.description and all(
        torch.equal(tensor, theirs[name]) for name, tensor in ours.items()
    )
