"""What a file says of an explanation, checked before anything is made of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attributions.outputs import EXPLAINED_AT_ONCE
from trimvae.storage import read_tensors
from trimvae.tables.schema import is_description

_SHAPES: dict[str, tuple[str, ...]] = {
    "inputs": ("batch", "..."),
    "reconstructions": ("batch", "..."),
    "latents": ("batch", "latents"),
    "deviations": ("batch", "latents"),
    "baselines": ("rows", "latents"),
    "attributions": ("batch", "classes", "latents"),
    "outputs": ("batch", "outputs"),
    "reencoded_outputs": ("batch", "outputs"),
    "baseline_outputs": ("predicted", "outputs"),
    "explained_at": ("batch", "explained"),
    "explained_at_baseline": ("batch", "explained"),
    "latent_share": ("batch",),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "total_variation": ("batch", "classes", "latents"),
    "predicted_attributions": ("batch", "latents"),
    "predicted_variation": ("batch", "latents"),
    "path_points": ("batch",),
    "labels": ("batch",),
}
OF_BASELINES = ("baselines", "baseline_outputs")
"""What has one row for all examples, unless the settings say that each has its own."""
_TEXTS = ("class_names", "latent_names", "settings")
_SETTINGS = (
    "explained",
    "contrast",
    "explained_name",
    "probabilities",
    "residual",
    "baselines_per_example",
    "method",
)


def parts_in(path: str | Path) -> dict[str, Any]:
    """Return tensors, names and settings that `Explanation.save` wrote, by the names of its fields.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, changed or not ours, or its parts do not fit each other.
    """
    return _fields(path, *read_tensors(path, "Explanation"))


def rows_in(path: str | Path, rows: Sequence[int]) -> dict[str, Any]:
    """Return some examples of what `Explanation.save` wrote, as `parts_in` returns all.

    Nothing else of the file is read, so that its checksum is not compared.

    Args:
        path: The file.
        rows: Numbers of the examples, in ascending order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated or not ours, or its parts do not fit each other.
    """
    with _opened(path) as file:
        metadata = file.metadata()
        texts = {name: json.loads(metadata[name]) for name in _TEXTS}
        tensors = {}
        for name in file.keys():  # noqa: SIM118
            if name in OF_BASELINES and not texts["settings"]["baselines_per_example"]:
                tensors[name] = file.get_tensor(name).clone()  # the file can go
                continue
            column = file.get_slice(name)
            tensors[name] = torch.cat([column[row : row + 1] for row in rows])
    return _fields(path, tensors, texts)


def count_in(path: str | Path) -> int:
    """Return how many examples a file holds, from its header alone.

    Args:
        path: What `Explanation.save` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated or not ours.
    """
    with _opened(path) as file:
        return int(file.get_slice("latents").get_shape()[0])


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    """A file of which a part is read; whatever goes wrong is said of the file."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise
    except Exception as error:  # of whatever kind a damaged file makes the library raise
        raise ValueError(
            f"`path` must be a file that Explanation.save wrote. Got {path}, which is truncated or "
            f"of another kind ({error}). Remove it, and explain again."
        ) from error


def _fields(path: str | Path, tensors: dict[str, Tensor], texts: dict[str, Any]) -> dict[str, Any]:
    """Tensors, names and settings, once they are seen to fit each other."""
    wrong = _wrong_tensors(tensors) or _wrong_texts(tensors, texts)
    if wrong:
        raise ValueError(
            f"`path` must be a file that Explanation.save wrote. Got {path}, {wrong}. Explain "
            "again, or upgrade trimvae where a newer version wrote it."
        )
    names = {name: tuple(texts[name]) for name in ("class_names", "latent_names")}
    return {**tensors, **names, "settings": texts["settings"]}


def _wrong_tensors(tensors: Mapping[str, Tensor]) -> str:
    """What is missing, unknown, or of a shape that does not fit the others; else nothing."""
    if missing := _SHAPES.keys() - tensors.keys():
        return f"without {min(missing)}"
    shapes, sizes = _SHAPES | _OPTIONAL, dict[str, int]()
    if unknown := tensors.keys() - shapes.keys():
        return f"with an unknown {min(unknown)}"
    for name, wanted in shapes.items():
        if name not in tensors:
            continue
        tensor = tensors[name]
        fits = tensor.ndim == len(wanted) if wanted[-1] != "..." else tensor.ndim > 0
        for size, found in zip(wanted, tensor.shape, strict=False):
            fits = fits and (size == "..." or sizes.setdefault(size, found) == found)
        if not fits:
            return f"whose {name} has shape {tuple(tensor.shape)}"
    if tensors["inputs"].shape != tensors["reconstructions"].shape:
        return "whose reconstructions have another shape than the inputs"
    if sizes["predicted"] not in (1, sizes["rows"]):  # of a distribution of baselines the mean
        return f"whose baseline_outputs has shape {tuple(tensors['baseline_outputs'].shape)}"
    return "" if sizes["explained"] in (1, sizes["outputs"]) else "which explains other outputs"


def _wrong_texts(tensors: Mapping[str, Tensor], texts: Mapping[str, Any]) -> str:
    """What is missing or does not fit of the names and settings; else nothing."""
    settings = texts.get("settings")
    if not isinstance(settings, dict):
        return "without settings"
    if missing := [name for name in _SETTINGS if name not in settings]:
        return f"without the setting {missing[0]}"
    if settings.get("task") not in EXPLAINED_AT_ONCE:
        return f"with the task {settings.get('task')!r}"
    outputs, latents = tensors["outputs"].shape[1], tensors["latents"].shape[1]
    if not _are_chosen(settings.get("classes"), tensors):
        return "whose attributions are not those of its classes"
    classes = 2 if outputs == 1 and settings["task"] == "classification" else outputs
    for names, count in (("class_names", classes), ("latent_names", latents)):
        if not _are_texts(texts.get(names), count):
            return f"whose {names} are no {count} names"
    table, width = settings.get("table"), tensors["inputs"][0].numel()
    if table is not None and not is_description(table, width):
        return "whose table does not fit"
    return "" if _are_blocks(settings.get("blocks"), latents) else "whose blocks do not fit"


def _are_texts(found: Any, count: int) -> bool:
    are_texts = isinstance(found, list) and all(isinstance(each, str) for each in found)
    return are_texts and len(found) == count


def _are_chosen(chosen: Any, tensors: Mapping[str, Tensor]) -> bool:
    """Whether attributions have a column for each chosen class, and the predicted one apart."""
    columns, explained = (tensors[name].shape[1] for name in ("attributions", "explained_at"))
    apart = "predicted_attributions" in tensors
    if chosen is None or chosen == "predicted":
        return not apart and columns == (explained if chosen is None else 1)
    numbers = isinstance(chosen, list) and all(type(number) is int for number in chosen)
    if not numbers or not all(0 <= number < explained for number in chosen):
        return False
    varied = "predicted_variation" in tensors or "total_variation" not in tensors
    return apart and varied and columns == len(chosen)


def _are_blocks(found: Any, latents: int) -> bool:
    """Whether they cover the latents, each once and in order."""
    if not isinstance(found, list) or not all(isinstance(b, list) and len(b) == 5 for b in found):
        return False
    ends = [0, *(block[2] for block in found)]
    return [block[1] for block in found] == ends[:-1] and ends[-1] == latents
