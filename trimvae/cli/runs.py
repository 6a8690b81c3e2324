"""A run's folder: what makes it ours, and what it keeps."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimvae.storage import read_json, read_tensors, replacing, write_tensors

if TYPE_CHECKING:  # torch is slow to import, and folders need none
    from matplotlib.figure import Figure
    from torch import Tensor

    from trimvae.evaluation.result import Evaluation
    from trimvae.explanation.explanation import Explanation
    from trimvae.explanation.marks import Recurrence

CONFIGURATION = "configuration.json"

CODE = "code.safetensors"

CHECKPOINT = "last.ckpt"

HISTORY = "history.json"

CONSENSUS = "consensus.json"

EVALUATION = "evaluation.json"

_FIGURES_OF_0_1 = {"metrics", "by_class", "by_latent", "settings"}

_MOST_CODES = 10_000

KEPT = 256
"""Held-out examples that a folder keeps."""

TRAVERSED = 3
"""Examples whose traversals are drawn into a folder."""

# In every configuration, so that a run is told from a folder that merely holds a file of its name.
MARK: dict[str, Any] = {"format": "trimvae run", "format_version": 1}


def make_folder(folder: Path, argument: str) -> None:
    """Make a folder and those above it.

    Raises:
        NotADirectoryError: It, or one above it, is a file.
        PermissionError: It cannot be made there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(must_be_a_folder(argument, folder)) from error
    except PermissionError as error:
        raise PermissionError(must_be_writable(argument, folder)) from error


def open_run(folder: str | Path) -> tuple[Path, dict[str, Any]]:
    """Return an existing run's folder and its configuration.

    Raises:
        FileNotFoundError: There is no run.
        ValueError: A newer version has written it.
    """
    folder = Path(folder)
    configuration = configuration_of(folder)
    if not configuration or not is_readable(configuration):
        what = f"without {CONFIGURATION}" if configuration is None else "not written by trimvae"
        raise FileNotFoundError(
            f"`run` must be the folder of a run. Got {folder}, {what}. Make one with trimvae train."
        )
    if configuration.get("format_version", 0) > MARK["format_version"]:
        raise ValueError(
            f"`run` must be of this version of trimvae. Got {folder}, of a newer one. "
            "Run pip install --upgrade trimvae."
        )
    return folder, configuration


def save_examples(folder: Path, inputs: "Tensor", labels: "Tensor | None") -> None:
    """Keep a few held-out examples beside the weights, so that the folder explains itself."""
    tensors = {"inputs": inputs[:KEPT]}
    if labels is not None:
        tensors["labels"] = labels[:KEPT]
    write_tensors(folder / "examples.safetensors", tensors, "examples", {})


def load_examples(folder: Path) -> "tuple[Tensor, Tensor | None]":
    """Inputs and labels (if any) that `save_examples` kept.

    Raises:
        FileNotFoundError: There are none.
        ValueError: The file is damaged.
    """
    path = folder / "examples.safetensors"
    tensors, _ = read_tensors(path, "examples")
    inputs, labels = tensors.get("inputs"), tensors.get("labels")
    if inputs is None or inputs.ndim == 0 or (labels is not None and len(labels) != len(inputs)):
        raise ValueError(_must_be_written("examples", path))
    return inputs, labels


def load_code(folder: Path, kind: Any) -> Any:
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


def code_of(place: int) -> str:
    """Name of a code's file: of the one that explains, and of those that are compared with it."""
    return CODE if place == 0 else f"code_{place}.safetensors"


def folder_of(seed: int) -> str:
    """Name of the subfolder in which a seed after the first keeps checkpoint and history."""
    return f"seed_{seed}"


def along_axes_of(epochs: int | None = None) -> str:
    """Name of the subfolder with the checkpoint of training along axes, after so many epochs.

    Args:
        epochs: Of the training before; default: a pattern that fits any.
    """
    return f"axes_after_{'[0-9]*' if epochs is None else epochs}"


def load_recurrence(folder: Path, code: Any) -> "Recurrence | None":
    """In how many codes of the run each latent is found; None for a run of one code.

    Args:
        folder: Of the run.
        code: The one that explains.

    Raises:
        ValueError: The file is damaged, or of another code.
    """
    from trimvae.explanation.marks import Recurrence

    path = folder / CONSENSUS
    if configured_codes(configuration_of(folder)) < 2 or not path.is_file():
        return None
    found = read_json(path)
    if not isinstance(found, dict) or not _are_marks(found, code.latent_size):
        raise ValueError(_must_be_written("consensus", path))
    return Recurrence(tuple(found["found_in"]), found["codes"])


def load_evaluation(folder: Path) -> "Evaluation | None":
    """What `trimvae evaluate` wrote into a run's folder; None before it was run.

    Raises:
        ValueError: The file is damaged.
    """
    from trimvae.evaluation.result import Evaluation

    path = folder / EVALUATION
    if not path.is_file():
        return None
    found = read_json(path)
    names = {item.name for item in fields(Evaluation)}
    known = isinstance(found, dict) and found.keys() in (names, _FIGURES_OF_0_1)
    if not known or not _are_figures(found):
        raise ValueError(_must_be_written("evaluation", path))
    return Evaluation.from_dict(found)


def _are_marks(found: Mapping[str, Any], latents: int) -> bool:
    """Whether a consensus says of every latent in how many codes it is found."""
    counts, codes = found.get("found_in"), found.get("codes")
    if not (isinstance(counts, list) and isinstance(codes, int) and len(counts) == latents):
        return False
    return all(isinstance(count, int) and 0 <= count <= codes for count in counts)


def _are_figures(found: Mapping[str, Any]) -> bool:
    """Whether an evaluation holds numbers by name: of all, each class, latent and change."""
    new: dict[str, Any] = {"intervals": {}, "by_change": {}, "warnings": [], **found}
    names = ("metrics", "intervals", "settings", "by_class", "by_latent", "by_change")
    parts = [new[name] for name in names]
    if not all(isinstance(part, dict) for part in parts):
        return False
    ends = [dict(enumerate(pair)) if isinstance(pair, list) else None for pair in parts[1].values()]
    rows = [parts[0], *ends, *(row for part in parts[3:] for row in part.values())]
    return (
        all(
            isinstance(row, dict) and all(isinstance(v, int | float | None) for v in row.values())
            for row in rows
        )
        and all(end is not None and len(end) == 2 for end in ends)
        and _are_texts(new["warnings"])
    )


def _are_texts(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(text, str) for text in found)


def _must_be_written(what: str, path: Path) -> str:
    return (
        f"`run` must hold its {what} as trimvae wrote it. Got {path}, which is damaged. Write it "
        "again, or use another copy of the run."
    )


def configured_codes(configuration: Mapping[str, Any] | None) -> int:
    """How many codes a run trains."""
    found = (configuration or {}).get("codes")
    return found if isinstance(found, int) else 1


def save_explanation(folder: Path, explanation: "Explanation") -> None:
    """Write an explanation with its figures and its table, each file whole."""
    make_folder(folder, "--out")
    explanation.save(folder / "explanation.safetensors")
    save_figure(folder / "heatmap.png", explanation.plot(), dpi=150)
    with replacing(folder / "attributions.csv") as temporary:
        explanation.to_frame().to_csv(temporary, index=False, errors="backslashreplace")
    for example in range(min(TRAVERSED, len(explanation.inputs))):
        figure = explanation.plot_traversals(example)
        save_figure(folder / f"traversals_{example}.png", figure, dpi=110)


def save_figure(path: Path, figure: "Figure", dpi: int) -> None:
    """Write a figure as PNG, whole."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=dpi, format="png")


def configuration_of(folder: Path) -> dict[str, Any] | None:
    """What configuration.json holds; None without it, {} where it is damaged or not ours."""
    try:
        content = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (ValueError, RecursionError):  # no JSON, or nested too deeply to be ours
        return {}
    return content if isinstance(content, dict) and _is_sound(content) else {}


def _is_sound(content: Mapping[str, Any]) -> bool:
    """Whether all that is read of a configuration is of its kind."""
    texts = ["command", "model", "classifier", "preprocess", "dataset", "task", "label"]
    texts.append("classifier_sha256")
    kinds = {**dict.fromkeys(texts, str), "seed": int, "grey": bool, "codes": int, "epochs": int}
    values = [(content[name], kind) for name, kind in kinds.items() if name in content]
    names = [content.get(name) or [] for name in ("class_names", "feature_names")]
    return (
        all(value is None or isinstance(value, kind) for value, kind in values)
        and all(isinstance(each, list) for each in names)
        and all(isinstance(name, str) for each in names for name in each)
        and configured_codes(content) <= _MOST_CODES
        and (configured_codes(content) < 2 or isinstance(content.get("seed"), int))
    )


def is_marked(configuration: Mapping[str, Any] | None) -> bool:
    """Whether one of our commands has written a configuration."""
    return (
        configuration is not None
        and configuration.get("format") == MARK["format"]
        and isinstance(configuration.get("format_version"), int)
    )


def is_readable(configuration: Mapping[str, Any]) -> bool:
    """Whether it is of a run, also of 0.1, whose runs have no mark."""
    of_0_1 = configuration.get("command") in ("demo", "train") and "classifier" in configuration
    return is_marked(configuration) or of_0_1


def must_be_a_folder(argument: str, path: str | Path) -> str:
    """Say why a file will not do."""
    return f"`{argument}` must be a folder. Got {path}, which is or lies in a file. Choose another."


def must_be_writable(argument: str, path: str | Path) -> str:
    """Say why a folder of others will not do."""
    return (
        f"`{argument}` must be a folder that can be written to. Got {path}. Choose another, or "
        "change its permissions."
    )
