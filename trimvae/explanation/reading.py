"""What a file says of an explanation, checked before anything is made of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from attributions.outputs import Task
from trimvae.storage import read_tensors
from trimvae.tables.schema import is_description

_SHAPES: dict[str, tuple[str, ...]] = {
    "inputs": ("batch", "..."),
    "reconstructions": ("batch", "..."),
    "latents": ("batch", "latents"),
    "deviations": ("batch", "latents"),
    "baselines": ("rows", "latents"),
    "attributions": ("batch", "explained", "latents"),
    "outputs": ("batch", "outputs"),
    "reencoded_outputs": ("batch", "outputs"),
    "baseline_outputs": ("rows", "outputs"),
    "explained_at": ("batch", "explained"),
    "explained_at_baseline": ("batch", "explained"),
    "latent_share": ("batch",),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "total_variation": ("batch", "explained", "latents"),
    "path_points": ("batch",),
    "labels": ("batch",),
}
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
    tensors, texts = read_tensors(path, "Explanation")
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
    return "" if sizes["explained"] in (1, sizes["outputs"]) else "which explains other outputs"


def _wrong_texts(tensors: Mapping[str, Tensor], texts: Mapping[str, Any]) -> str:
    """What is missing or does not fit of the names and settings; else nothing."""
    settings = texts.get("settings")
    if not isinstance(settings, dict):
        return "without settings"
    if missing := [name for name in _SETTINGS if name not in settings]:
        return f"without the setting {missing[0]}"
    if settings.get("task") not in get_args(Task):
        return f"with the task {settings.get('task')!r}"
    outputs, latents = tensors["outputs"].shape[1], tensors["latents"].shape[1]
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


def _are_blocks(found: Any, latents: int) -> bool:
    """Whether they cover the latents, each once and in order."""
    if not isinstance(found, list) or not all(isinstance(b, list) and len(b) == 5 for b in found):
        return False
    ends = [0, *(block[2] for block in found)]
    return [block[1] for block in found] == ends[:-1] and ends[-1] == latents
