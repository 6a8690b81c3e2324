"""Generators that learn by a game: what they share, and what their training asks of them."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from attributions.codes import Block
from attributions.replicas import frozen
from trimvae.models.checks import check_finite_floats
from trimvae.models.recipe import Recipe
from trimvae.models.saved import TrainableCode

Terms = dict[str, Tensor]


class Update(NamedTuple):
    """One optimiser's step on a batch."""

    name: str
    modules: tuple[nn.Module, ...]
    """Whose parameters move."""
    loss: Callable[[Tensor, torch.Generator], tuple[Tensor, Terms]]
    """Real inputs and a source of randomness to a scalar and what to log."""
    learning_rate: float
    betas: tuple[float, float] = (0.5, 0.99)
    every: int = 1
    """Batches between two steps: lazy regularisers."""
    explains: bool = False
    """Whether prediction loss and penalties are added: a step of the generator, and of the encoder
    where there is one."""
    shares: str | None = None
    """An earlier update whose Adam this one uses as well: regularisers of the same weights."""


class GenerativeCode(TrainableCode):
    """A code that learns by a game: `encode` and `decode` like any other, and how it is trained.

    Args:
        image_shape: `(channels, height, width)`.
        latent_size: Length of the flat latents.
    """

    blocks: tuple[Block, ...]
    configuration: dict[str, Any]
    """What the constructor was given, for `save`."""
    recipe: ClassVar[Recipe] = Recipe(1.0, 64, None, "constant", 1)
    described_as: ClassVar[str] = "configuration"
    batches: Tensor
    """Batches seen: lazy updates and resumed runs go on where they were."""

    def __init__(self, image_shape: Sequence[int], latent_size: int) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.latent_size = latent_size
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))

    @abstractmethod
    def encode(self, inputs: Tensor) -> Tensor:
        """Inputs `(batch, *image_shape)` to latents `(batch, latent_size)`."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(batch, latent_size)` to images `(batch, *image_shape)`, without randomness."""

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Latents `(n, latent_size)` as the prior has them, with the graph of what makes them."""

    @abstractmethod
    def baseline(self, n: int = 1) -> Tensor:
        """Latents `(n, latent_size)` where attributions start."""

    @abstractmethod
    def updates(self) -> Sequence[Update]:
        """The optimisers' steps on a batch, in order."""

    def inferred(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Latents of inputs, with a graph, for prediction loss and penalties."""
        raise NotImplementedError

    def after_batch(self) -> None:
        """Keep averages, where a model has some."""

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Images `(n, *image_shape)` of latents drawn from the prior."""
        model = frozen(self)
        with torch.no_grad():
            return model.decode(model.draw(n, generator))

    @property
    def device_of(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def description(self) -> dict[str, Any] | None:
        """What the constructor was given."""
        return self.configuration

    @classmethod
    def _of(cls, description: dict[str, Any]) -> Self:
        return cls(**description)

    def check_inputs(self, inputs: Tensor) -> None:
        """Raise an error unless inputs are finite floating-point images of the model's shape.

        Raises:
            TypeError: Not floating-point.
            ValueError: Another shape, NaN or infinity.
        """
        if tuple(inputs.shape[1:]) != self.image_shape:
            raise ValueError(
                f"`data` must hold images of shape {self.image_shape}. Got "
                f"{tuple(inputs.shape[1:])}. Resize them, or make a model of their shape."
            )
        check_finite_floats(inputs)


def can_infer(model: GenerativeCode) -> bool:
    """Whether a model has latents of inputs in training, not only by a search."""
    return type(model).inferred is not GenerativeCode.inferred


def nonsaturating(real: Tensor | None, fake: Tensor) -> Tensor:
    r"""Mean of $\mathrm{softplus}(-D(\text{real})) + \mathrm{softplus}(D(\text{fake}))$.

    Without real scores the generator's side, $\mathrm{softplus}(-D(\text{fake}))$.

    References:
        Goodfellow et al.: Generative Adversarial Nets, 2014, https://arxiv.org/abs/1406.2661
    """
    if real is None:
        return nn.functional.softplus(-fake).mean()
    return nn.functional.softplus(-real).mean() + nn.functional.softplus(fake).mean()


def gradient_penalty(scores: Tensor, inputs: Tensor) -> Tensor:
    r"""R1: $\tfrac12 E \lVert \nabla_x D(x) \rVert^2$ at real inputs, with a graph.

    References:
        Mescheder, Geiger, Nowozin: Which Training Methods for GANs do actually Converge?, 2018,
        https://arxiv.org/abs/1801.04406
    """
    (gradient,) = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
    return 0.5 * gradient.pow(2).flatten(1).sum(dim=1).mean()
