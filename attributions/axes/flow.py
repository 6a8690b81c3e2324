"""A layer that bends: a coupling flow, which starts as the identity."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.func import functional_call

from attributions.axes.turning import TurningAxes
from attributions.checks import check_counts

LEAST_STRETCH = math.exp(-1)  # of a coupling; the most is its inverse. Keeps the way back exact.


class Flow(TurningAxes):
    r"""Axes that bend: a coupling flow of each group of latents, then a rotation; trainable.

    Each coupling holds every other latent, $z_a$, and moves the rest,
    $z_b\, e^{s(z_a)} + t(z_a)$ with $|s| < 1$, which is undone in closed form. It starts as the
    identity, since its networks end in zeros. For a factor that runs along a bent line through the
    latents.

    What is said of an axis as a whole (`scale`, the posterior's deviations along it) holds near a
    point only. Needs zuko: `pip install 'trimvae[flow]'`.

    References:
        Dinh, Sohl-Dickstein, Bengio: Density estimation using Real NVP, 2017,
        https://arxiv.org/abs/1605.08803; zuko, https://zuko.readthedocs.io

    Args:
        size: Number of latents.
        groups: Indices of latents that are bent together, a tuple for each group; default: all
            latents, as one group. A group of one latent stays what it is.
        hidden: Widths of the networks' hidden layers.
        transforms: Couplings, each of which moves every other latent.
        matrix: The rotation to start from, `(size, size)`, orthogonal; default: the identity.

    Raises:
        ModuleNotFoundError: zuko is not installed.
        ValueError: `size` or another count is below 1, an index stands twice or is none of a
            latent, or `matrix` is not orthogonal, of another size, or turns latents of different
            groups.

    Examples:
        >>> import torch
        >>> axes = Flow(4)
        >>> latents = torch.randn(3, 4)
        >>> torch.equal(axes(latents), latents)
        True
    """

    kind: ClassVar[str] = "flow"

    def __init__(
        self,
        size: int,
        groups: Sequence[Sequence[int]] | None = None,
        hidden: Sequence[int] = (32, 32),
        transforms: int = 4,
        matrix: Tensor | None = None,
    ) -> None:
        super().__init__(size, groups, matrix)
        check_counts(transforms=transforms)
        for width in hidden:
            check_counts(hidden=width)
        self.hidden, self.transforms = tuple(hidden), int(transforms)
        self.couplings = nn.ModuleList(
            _Couplings(each, self.hidden, self.transforms) if each > 1 else _Untouched()
            for each in self._sizes
        )
        self.to(self.start.device)

    @property
    def description(self) -> dict[str, Any]:
        """All that makes a layer of the same shape again, ready for JSON."""
        shape = {"hidden": list(self.hidden), "transforms": self.transforms}
        return super().description | shape

    def _charted(self, parts: list[Tensor]) -> list[Tensor]:
        return self._through(parts, backwards=False)

    def _uncharted(self, parts: list[Tensor]) -> list[Tensor]:
        return self._through(parts, backwards=True)

    def _through(self, parts: list[Tensor], *, backwards: bool) -> list[Tensor]:
        pairs = zip(self.couplings, parts, strict=True)
        return [
            functional_call(network, _wide(network), (part, backwards)) for network, part in pairs
        ]


class _Couplings(nn.Module):
    """Couplings of one group, forwards and backwards."""

    def __init__(self, size: int, hidden: Sequence[int], transforms: int) -> None:
        super().__init__()
        try:
            from zuko.flows import NICE
            from zuko.transforms import MonotonicAffineTransform
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "`Flow` must find the package zuko. Got none. Run pip install 'trimvae[flow]', or "
                "use Rotation or Linear."
            ) from error
        flow = NICE(
            size,
            transforms=transforms,
            univariate=partial(MonotonicAffineTransform, slope=LEAST_STRETCH),
            hidden_features=hidden,
            activation=nn.SiLU,  # penalties on attributions need second derivatives
        )
        self.layers = flow.transform
        for layer in self.layers.transforms:
            nn.init.zeros_(layer.hyper[-1].weight)
            nn.init.zeros_(layer.hyper[-1].bias)

    def forward(self, values: Tensor, backwards: bool) -> Tensor:
        transform = self.layers()
        result: Tensor = transform.inv(values) if backwards else transform(values)
        return result


class _Untouched(nn.Module):
    """A group of one latent, which no other can move."""

    def forward(self, values: Tensor, backwards: bool) -> Tensor:
        return values


def _wide(network: nn.Module) -> dict[str, Tensor]:
    """Parameters in double precision, whatever they are kept in."""
    return {name: weight.double() for name, weight in network.named_parameters()}
