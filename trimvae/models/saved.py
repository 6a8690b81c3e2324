"""Codes that `fit` trains: how they are described, saved and read again."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from trimvae.models.checks import check_same_shapes
from trimvae.models.recipe import Recipe
from trimvae.storage import read_tensors, write_tensors


class TrainableCode(nn.Module, ABC):
    """A code with weights: a VAE, or a generator that learns by a game."""

    recipe: ClassVar[Recipe]
    """What suits it in training."""
    described_as: ClassVar[str]
    """Under which name a file keeps the description."""
    trained_with: dict[str, Any] | None = None
    """What `fit` was last asked for; saved with the weights."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Latents `(batch, latents)` to inputs `(batch, *event)`."""

    @abstractmethod
    def check_inputs(self, inputs: Tensor) -> None:
        """Raise an error unless the code can be trained on these inputs."""

    @property
    @abstractmethod
    def description(self) -> dict[str, Any] | None:
        """All that makes it again but the weights; None where it is made of modules of yours."""

    @classmethod
    @abstractmethod
    def _of(cls, description: dict[str, Any]) -> Self:
        """Make a code of its description."""

    def save(self, path: str | Path) -> None:
        """Write weights and description to one safetensors file, whole or not at all."""
        texts = {self.described_as: self.description, "trained_with": self.trained_with}
        write_tensors(path, self.state_dict(), type(self).__name__, texts)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a code that `save` wrote, in eval mode; no code of the file is executed.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated or not ours, or the code has an encoder and decoder
                of your own (then rebuild it and use `load_weights`).
        """
        tensors, texts = read_tensors(path, cls.__name__)
        description = texts[cls.described_as]
        if description is None:
            raise ValueError(
                f"`path` must hold a ready-made {cls.__name__}. Got {path}, with an encoder and "
                "decoder of your own. Build it again and call its load_weights(path)."
            )
        code = cls._of(description)
        code.load_state_dict(tensors)
        code.trained_with = texts.get("trained_with")
        return code.eval()

    def load_weights(self, path: str | Path) -> Self:
        """Read the weights that `save` wrote into this code, and return it.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated, not ours, or of another architecture.
        """
        tensors, texts = read_tensors(path, type(self).__name__)
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        check_same_shapes(self.shapes(), found, path, type(self).__name__)
        self.load_state_dict(tensors)
        self.trained_with = texts.get("trained_with")
        return self

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor that is saved."""
        return {name: tuple(tensor.shape) for name, tensor in self.state_dict().items()}
