"""A run's folder: configuration, metrics, figures, weights and held-out examples, each whole."""

import importlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from trimvae.explanation import Explanation
from trimvae.files import read_tensors, write_tensors
from trimvae.vae import VAE

CONFIGURATION = "configuration.json"
CODE = "code.safetensors"


def create(out: str | Path, *, overwrite: bool = False, resume: bool = False) -> Path:
    """Make a run's folder.

    Args:
        out: The folder.
        overwrite: Delete an earlier run there first; nothing but a run is ever deleted.
        resume: Go on with the run there.

    Raises:
        FileExistsError: The folder exists and neither applies, or it holds something else.
    """
    folder = Path(out)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        ours = (folder / CONFIGURATION).is_file()
        if not ours or not (overwrite or resume):
            what = "holds an earlier run" if ours else "is not a run of ours"
            remedy = "Pass --overwrite or --resume, or choose" if ours else "Choose"
            raise FileExistsError(
                f"`out` must be a new or empty folder. Got {folder}, which {what}. "
                f"{remedy} another folder."
            )
        if overwrite and not resume:
            shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def open_run(folder: str | Path) -> tuple[Path, dict[str, Any]]:
    """Return an existing run's folder and its configuration.

    Raises:
        FileNotFoundError: There is no run.
    """
    folder = Path(folder)
    path = folder / CONFIGURATION
    if not path.is_file():
        raise FileNotFoundError(
            f"`run` must be the folder of a run. Got {folder}, without {CONFIGURATION}. "
            "Make one with trimvae train."
        )
    return folder, json.loads(path.read_text())


def save_examples(folder: Path, inputs: Tensor, labels: Tensor | None) -> None:
    """Keep held-out examples beside the weights, so that the folder explains itself."""
    tensors = {"inputs": inputs} if labels is None else {"inputs": inputs, "labels": labels}
    write_tensors(folder / "examples.safetensors", tensors, "examples", {})


def load_examples(folder: Path) -> tuple[Tensor, Tensor | None]:
    """Inputs and labels (if any) that `save_examples` kept."""
    tensors, _ = read_tensors(folder / "examples.safetensors", "examples")
    return tensors["inputs"], tensors.get("labels")


def load_code(folder: Path, kind: Any = VAE) -> Any:
    """Return the trained code of a run.

    Args:
        folder: Of the run.
        kind: A class with `load`, such as `VAE`.

    Raises:
        FileNotFoundError: Training has not ended yet.
    """
    path = folder / CODE
    if not path.is_file():
        raise FileNotFoundError(
            f"`run` must be a finished run. Got {folder}, without {CODE}. "
            "Finish it with trimvae train --resume."
        )
    return kind.load(path)


def load_function(spec: str) -> Callable[..., Any]:
    """Find `module:function` or `path/to/file.py:function`.

    Raises:
        ValueError: `spec` has no colon, or what it names is not callable.
        FileNotFoundError: There is no such file.
        AttributeError: The module has no such function.
    """
    source, colon, name = spec.rpartition(":")
    if not colon or not source or not name:
        raise ValueError(
            f"`classifier` must have the form FILE.py:FUNCTION or MODULE:FUNCTION. Got {spec!r}. "
            "Write for example my_model.py:load."
        )
    if source.endswith(".py"):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(
                f"`classifier` must name an existing file. Got {path}. Check the path."
            )
        sys.path.insert(0, str(path.parent.resolve()))
        try:
            found = importlib.util.spec_from_file_location(path.stem, path)
            if found is None or found.loader is None:  # never for a path that ends in .py
                raise ImportError(f"cannot load {path}")
            module = importlib.util.module_from_spec(found)
            found.loader.exec_module(module)
        finally:
            sys.path.pop(0)
    else:
        module = importlib.import_module(source)
    function = getattr(module, name, None)
    if function is None:
        raise AttributeError(
            f"`classifier` must name a function of {source}. Got {name!r}, which it does not have."
        )
    if not callable(function):
        raise ValueError(
            f"`classifier` must name a function that returns the model. Got {name!r}, a "
            f"{type(function).__name__}. Write a function that builds and returns it."
        )
    return function


def save_explanation(folder: Path, explanation: Explanation, *, n_examples: int = 3) -> list[Path]:
    """Write an explanation with its figures and its table; return what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [
        folder / name for name in ("explanation.safetensors", "heatmap.png", "attributions.csv")
    ]
    explanation.save(written[0])
    explanation.plot().savefig(written[1], dpi=150)
    explanation.to_frame().to_csv(written[2], index=False)
    for example in range(min(n_examples, len(explanation.inputs))):
        path = folder / f"traversals_{example}.png"
        explanation.plot_traversals(example).savefig(path, dpi=110)
        written.append(path)
    return written
