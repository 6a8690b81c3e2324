"""Codes that `fit` trains: how they are described, saved and read again."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from trimvae.models.checks import check_finite_weights, check_same_shapes
from trimvae.models.recipe import Recipe
from trimvae.storage import read_tensors, write_json, write_tensors

_WEIGHTS, _CONFIG = "model.safetensors", "config.json"


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
        """Read a code that `save` wrote, in eval mode and its own precision.

        No code of the file is executed, and torch's random state stays as it is.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated, changed or not ours, holds NaN or infinity, or the
                code has an encoder and decoder of your own (then rebuild it and use
                `load_weights`).
        """
        tensors, texts = read_tensors(path, cls.__name__)
        check_finite_weights(tensors, path)
        description = texts.get(cls.described_as)
        if description is None:
            raise ValueError(
                f"`path` must hold a ready-made {cls.__name__}. Got {path}, with an encoder and "
                "decoder of your own. Build it again and call its load_weights(path)."
            )
        with torch.random.fork_rng():
            code = cls._made_again(description, tensors, path)
        for name, own in code.state_dict(keep_vars=True).items():
            own.data = own.data.to(tensors[name].dtype)
        code.load_state_dict(tensors)
        code.trained_with = texts.get("trained_with")
        return code.eval()

    @classmethod
    def _made_again(cls, description: Any, tensors: Mapping[str, Tensor], path: str | Path) -> Self:
        """Make the code of a file's description, after comparing it with the file's weights.

        Comparing takes no memory, whatever sizes a damaged description asks for.
        """
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        try:
            rest = {name: value for name, value in description.items() if name != "axes"}
            with torch.device("meta"):
                shapes = cls._of(rest).shapes()
            check_same_shapes(
                shapes,
                {n: s for n, s in found.items() if not n.startswith("axes.")},
                path,
                cls.__name__,
            )
            _check_sizes(description.get("axes"), rest.get("latent_size"), tensors)
            code = cls._of(description)
            check_same_shapes(code.shapes(), found, path, cls.__name__)
            return code
        except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
            raise ValueError(
                f"`path` must hold a {cls.__name__} that save wrote. Got {path}, whose description "
                f"does not fit ({error}). Read it with the version of trimvae that saved it, or "
                "save it again."
            ) from error

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder as Hugging Face's libraries do: `model.safetensors` and `config.json`.

        The first is what `save` writes and all that `from_pretrained` needs; the second says to
        people, and to a hub's search, what it is. To share it, give the folder to
        `huggingface_hub.upload_folder`.

        Args:
            folder: Made where it does not exist; other files in it stay.

        Raises:
            ValueError: The code has an encoder and decoder of your own, which no description
                makes again (then use `save` and `load_weights`).
        """
        if self.description is None:
            raise ValueError(
                f"`{type(self).__name__}` must be ready-made to be made again from a folder. Got "
                "an encoder and decoder of your own. Use save and load_weights."
            )
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "library_name": "trimvae",
            "model_type": type(self).__name__,
            self.described_as: self.description,
            "trained_with": self.trained_with,
        }
        self.save(folder / _WEIGHTS)
        write_json(folder / _CONFIG, config)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Read a code from a folder that `save_pretrained` wrote, in eval mode.

        A folder on this machine; of a hub, pass what `huggingface_hub.snapshot_download` returns.
        As with `load`, no code of the folder is executed.

        Args:
            folder: Holds `model.safetensors`; a `config.json` beside it is not needed.

        Raises:
            FileNotFoundError: There is no such folder, or no weights in it.
            ValueError: As `load`.
        """
        path = Path(folder) / _WEIGHTS
        if not path.is_file():
            raise FileNotFoundError(
                f"`folder` must hold {_WEIGHTS}. Got {str(folder)!r}. Name a folder that "
                "save_pretrained wrote; of a hub, download it first: "
                "huggingface_hub.snapshot_download(name)."
            )
        return cls.load(path)

    def load_weights(self, path: str | Path) -> Self:
        """Read the weights that `save` wrote into this code, in its precision, and return it.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is truncated, changed, not ours, or of another architecture, or
                holds NaN or infinity.
        """
        tensors, texts = read_tensors(path, type(self).__name__)
        check_finite_weights(tensors, path)
        found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        check_same_shapes(self.shapes(), found, path, type(self).__name__)
        self.load_state_dict(tensors)
        self.trained_with = texts.get("trained_with")
        return self

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor that is saved."""
        return {name: tuple(tensor.shape) for name, tensor in self.state_dict().items()}


def _check_sizes(axes: Any, latents: int | None, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a description of axes that asks for more than the file's weights can be of."""
    if isinstance(axes, Mapping):
        if axes.get("size", latents) != latents:
            raise ValueError(f"axes of {axes['size']} latents, a code of {latents}")
        axes = list(axes.values())
    if isinstance(axes, list):
        for value in axes:
            _check_sizes(value, latents, tensors)
    if isinstance(axes, int) and axes > sum(tensor.numel() for tensor in tensors.values()):
        raise ValueError(f"axes of {axes}, more than the file has weights")
