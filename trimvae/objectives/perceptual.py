"""A learned reconstruction error: distance in the features of a frozen network."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from attributions.replicas import frozen
from trimvae.objectives.base import Loss, Objective, Pass, Weight, check_weights, weight_at
from trimvae.objectives.family import BetaVAE


def features(network: nn.Module, layers: Sequence[str], inputs: Tensor) -> list[Tensor]:
    """What named submodules of the frozen network return for the inputs.

    Args:
        network: Any module; a frozen replica of it, in eval mode, is called and hooked.
        layers: Names of submodules, as in `network.named_modules()`.
        inputs: `(batch, *event)`.

    Returns:
        One tensor per layer.

    Raises:
        ValueError: A name is no submodule, or a submodule was not called or returns no tensor.

    Examples:
        >>> network = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
        >>> [feature.shape for feature in features(network, ["0"], torch.randn(2, 4))]
        [torch.Size([2, 3])]
    """
    network = frozen(network)
    modules = dict(network.named_modules())
    found: dict[str, Any] = {}
    for name in layers:
        if name not in modules:
            known = ", ".join(list(modules)[1:9])
            remedy = f"Use some of {known}" if known else "This one has none: pass a whole network"
            raise ValueError(
                f"`layers` must name submodules of the network. Got {name!r}. {remedy}."
            )
        modules[name].register_forward_hook(
            lambda module, arguments, output, name=name: found.__setitem__(name, output)
        )
    network(inputs.clone())
    for name in layers:
        if not isinstance(found.get(name), Tensor):
            raise ValueError(
                f"`layers` must name submodules that return a tensor. Got {name!r}, which "
                f"returned {type(found.get(name)).__name__}. Use a convolution or activation."
            )
    return [found[name] for name in layers]


class Perceptual:
    r"""An objective plus the relative error of the reconstruction's features.

    $$ \text{objective} + w \sum_l \frac{\mathbb{E}\, \lVert \phi_l(x) - \phi_l(\hat x) \rVert^2}
    {\mathbb{E}\, \lVert \phi_l(x) \rVert^2} $$

    Features $\phi_l$ are those of a frozen network, the explained predictor for example: pixels
    that it cannot see need no reconstruction. The relative error has no unit, so the weight does
    not depend on the network's size: $w$ is what a code that keeps nothing pays per layer, in
    nats.

    References:
        Hou et al.: Deep Feature Consistent Variational Autoencoder, 2017,
        https://arxiv.org/abs/1610.00291

    Args:
        network: Takes the inputs, maybe behind `preprocess`. It is not moved: have it where the
            VAE is trained.
        layers: Names of submodules.
        weight: $w$, a number or a `Ramp`: at the start of training, where reconstructions are far
            from any image, features may be farther still.
        objective: Any other; default: `BetaVAE()`, the plain VAE.
        preprocess: Applied to inputs and reconstructions first.

    Raises:
        ValueError: `weight` is negative or no layer is named.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str],
        *,
        weight: Weight = 100.0,
        objective: Objective | None = None,
        preprocess: Any = None,
    ) -> None:
        check_weights(weight=weight)
        if not layers:
            raise ValueError(
                "`layers` must name a submodule. Got none. Use names of network.named_modules()."
            )
        self.network, self.layers, self.weight = network, tuple(layers), weight
        self.objective: Objective = BetaVAE() if objective is None else objective
        self.preprocess = preprocess

    def __call__(self, batch: Pass) -> Loss:
        """Total, the objective's terms and `perceptual`."""
        total, terms = self.objective(batch)
        with torch.no_grad():
            wanted = self._features(batch.inputs)
        found = self._features(batch.observation.mean)
        distance = torch.stack(
            [
                (got - want).square().sum() / want.square().sum().clamp_min(1e-12)
                for got, want in zip(found, wanted, strict=True)
            ]
        ).sum()
        weight = weight_at(self.weight, batch.step)
        return Loss(total + weight * distance, {**terms, "perceptual": distance})

    def __repr__(self) -> str:
        """As one would write it."""
        return f"Perceptual({list(self.layers)}, weight={self.weight}, objective={self.objective})"

    def _features(self, inputs: Tensor) -> list[Tensor]:
        if self.preprocess is not None:
            inputs = frozen(self.preprocess)(inputs.clone())
        return features(self.network, self.layers, inputs)
