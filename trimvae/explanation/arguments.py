"""What `explain` is given: arrays as tensors, names completed, and what cannot be refused."""

from collections import Counter
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path

import torch
from torch import Tensor, nn

from attributions.black_boxes import classes_of
from attributions.codes import Code
from attributions.naming import told_apart
from attributions.outputs import Contrast, Task
from attributions.predictors import Predictor
from trimvae.data.loading import Array, as_tensor
from trimvae.models.vae import VAE
from trimvae.storage import read_json
from trimvae.tables.asking import encoded_by, schema_of


def as_inputs(inputs: Array, code: Code, argument: str = "inputs") -> Tensor:
    """Return a detached copy of inputs; arrays go to the device and dtype of the code."""
    tensor = as_tensor(encoded_by(code, inputs), argument).detach()
    parameter = _parameter_of(code)
    if isinstance(inputs, Tensor) or parameter is None or not tensor.is_floating_point():
        return tensor.clone()
    return tensor.to(parameter, copy=True)


def check_inputs(code: Code, inputs: Tensor) -> None:
    """Raise an error unless there are inputs, and they fit the code.

    Raises:
        TypeError: They are not floating-point numbers.
        ValueError: There are none, some are NaN or infinite, or they do not fit the code.
    """
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError("`inputs` must hold at least one example. Got none. Pass a batch.")
    if isinstance(code, VAE):
        code.check_inputs(inputs)
    elif not inputs.is_floating_point() or not torch.isfinite(inputs).all():
        raise ValueError(
            "`inputs` must be finite floating-point numbers. Got "
            + (f"{inputs.dtype}." if not inputs.is_floating_point() else "NaN or infinity.")
            + " Convert or clean them."
        )
    parameter = _parameter_of(code)
    if parameter is not None and (parameter.device, parameter.dtype) != (
        inputs.device,
        inputs.dtype,
    ):
        raise ValueError(
            "`inputs` must be on the device and in the dtype of the code. Got inputs in "
            f"{inputs.dtype} on {inputs.device} and a code in {parameter.dtype} on "
            f"{parameter.device}. Move one of the two with .to(...)."
        )


def check_index(argument: str, index: int, size: int, remedy: str) -> None:
    """Raise an error unless an index is a whole number from 0 to below `size`."""
    if isinstance(index, bool) or not hasattr(index, "__index__"):
        raise TypeError(f"`{argument}` must be a whole number. Got {index!r}. {remedy}")
    if not 0 <= index < size:
        raise ValueError(f"`{argument}` must be from 0 to {size - 1}. Got {index}. {remedy}")


def check_baselines(baselines: Tensor, latents: Tensor, *, distribution: bool) -> None:
    """Raise a ValueError unless there is one finite row, or one for each example; or any, of a set.

    Named baselines are finite where the background is.
    """
    size = latents.shape[1]
    if not torch.isfinite(baselines).all():
        raise ValueError(
            "`baselines` must be finite. Got NaN or infinity. "
            "Clean them, or the background that they are computed from."
        )
    if distribution and baselines.ndim == 2 and baselines.shape[1] == size and len(baselines):
        return
    if baselines.shape not in ((1, size), latents.shape):
        raise ValueError(
            f"`baselines` must have shape (1, {size}) or {tuple(latents.shape)}. "
            f"Got {tuple(baselines.shape)}. Pass one row, or one per example."
        )


def check_finite(outputs: Tensor) -> None:
    """Raise a ValueError that names the first examples without finite outputs."""
    if not torch.isfinite(outputs).all():
        rows = (~torch.isfinite(outputs)).any(dim=1).nonzero()[:3, 0].tolist()
        raise ValueError(
            "`predictor` must return finite outputs. Got NaN or infinity for the examples "
            f"{rows}. Check its weights and the range of its inputs."
        )


def as_labels(
    labels: Array | None, inputs: Tensor, task: Task, class_names: Sequence[str]
) -> Tensor | None:
    """Return labels as whole numbers beside the inputs.

    Raises:
        ValueError: They are not whole numbers, one for each input, or not those of classes.
    """
    if labels is None:
        return None
    tensor = as_tensor(labels, "labels").detach()
    if tensor.shape != (len(inputs),) or tensor.is_floating_point():
        raise ValueError(
            f"`labels` must be {len(inputs)} whole numbers, one per input. Got {tensor.dtype} of "
            f"shape {tuple(tensor.shape)}. Pass class numbers."
        )
    if task == "classification":
        check_class_numbers(tensor, len(class_names))
    return tensor.to(inputs.device, torch.long, copy=True)


def check_class_numbers(labels: Tensor, classes: int) -> None:
    """Raise a ValueError unless each label is the number of one of so many classes."""
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise ValueError(
            f"`labels` must be class numbers from 0 to {classes - 1}. Got {int(wrong[0])}. Number "
            "the classes as the predictor's outputs are; of an estimator of scikit-learn, pass the "
            "places in its classes_."
        )


def check_names(argument: str, names: Sequence[str], count: int) -> None:
    """Raise an error unless there is one name for each of `count` things, and each is another."""
    if not hasattr(names, "__len__"):
        raise TypeError(
            f"`{argument}` must be a list of names. Got {names!r}. Pass {count} of them."
        )
    if len(names) != count:
        raise ValueError(
            f"`{argument}` must have {count} entries. Got {len(names)}. Name each once."
        )
    twice = [name for name, times in Counter(map(str, names)).items() if times > 1]
    if twice:
        raise ValueError(
            f"`{argument}` must tell all {count} apart. Got {twice[0]!r} more than once. "
            "Give each another name."
        )


def class_names_of(
    predictor: Predictor, outputs: int, names: Sequence[str] | None
) -> tuple[str, ...]:
    """Names of the classes; where none are given, those of a fitted estimator, or their numbers.

    Names that are alike get the number of their class.

    Raises:
        TypeError: They are no names.
        ValueError: There are more or fewer names than classes.
    """
    binary = outputs == 1 and predictor.task == "classification"
    wanted = 2 if binary else outputs
    if names is None and wanted == 1:
        return ("output",)
    if names is None:
        known = classes_of(predictor.original[0])
        names = tuple(map(str, range(wanted))) if len(known) != wanted else known
    elif hasattr(names, "__len__"):
        names = told_apart(tuple(map(str, names)))
    check_names("class_names", names, wanted)
    return tuple(names)


LatentNames = Sequence[str] | Mapping[str, str] | str | PathLike[str]
"""One name for each latent, some old names with new ones, or a JSON file of such."""


def latent_names_of(code: Code, latents: int, names: LatentNames | None) -> tuple[str, ...]:
    """Names of the latents; the code's own or `z0`, `z1` ..., where none are given.

    Raises:
        FileNotFoundError: There is no such file of names.
        TypeError: A new name is no text.
        ValueError: There are more or fewer names than latents, an old name is none of them, or the
            file is no JSON of old names with new ones.
    """
    own = getattr(code, "latent_names", None) or tuple(f"z{index}" for index in range(latents))
    own = told_apart(tuple(map(str, own)))
    if isinstance(names, str | PathLike):
        names = _names_in(names)
    if isinstance(names, Mapping):
        names = _renamed(own, names)
    if names is None or (hasattr(names, "__len__") and not len(names)):
        names = own
    check_names("latent_names", names, latents)
    return tuple(map(str, names))


def _names_in(path: str | PathLike[str]) -> Mapping[str, str]:
    names = read_json(Path(path))
    if not isinstance(names, dict):
        raise ValueError(
            "`latent_names` must be a JSON file of old names with new ones. Got a "
            f"{type(names).__name__} in {fspath(path)}. Save the names of a report again."
        )
    return names


def _renamed(own: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    unknown = [str(name) for name in names if name not in own]
    if unknown:
        raise ValueError(
            f"`latent_names` must rename latents of the code: {', '.join(own[:10])}"
            f"{' ...' if len(own) > 10 else ''}. Got {unknown[0]!r}. Use names of the same code."
        )
    wrong = [name for name in names.values() if not isinstance(name, str) or not name.strip()]
    if wrong:
        raise TypeError(
            f"`latent_names` must hold new names as text. Got {wrong[0]!r}. Leave out latents that "
            "keep their name."
        )
    return tuple(names.get(name, name) for name in own)


def feature_names_of(
    inputs: Array, names: Sequence[str] | None, code: Code | None = None
) -> list[str] | None:
    """Names of a table's columns, its own where none are given; None for other inputs.

    Of a code that was made for a table they are the code's: one for each category.

    Raises:
        ValueError: There are more or fewer names than columns of a table.
    """
    schema = schema_of(code)
    if schema is not None and (names is None or len(names) != schema.width):
        return schema.feature_names
    if names is None:
        columns = getattr(inputs, "columns", None)
        return None if columns is None else [str(column) for column in columns]
    if len(inputs.shape) == 2:
        check_names("feature_names", names, inputs.shape[1])
    return [str(name) for name in names]


def explained_name(predictor: Predictor, outputs: int, names: Sequence[str] | None) -> str:
    """What the attributions add up to, in a word or two."""
    explained = predictor.explained
    if isinstance(explained, Contrast):
        target, against = (names[i] if names else str(i % outputs) for i in explained)
        return f"{target} rather than {against}"
    if predictor.task == "regression":
        return "output"
    if outputs == 1:
        return "logit"
    return "centred logit" if explained == "centred_logit" else "output"


def _parameter_of(code: Code) -> Tensor | None:
    """One of the parameters of the code, to say where it is; None where it has none."""
    return next(code.parameters(), None) if isinstance(code, nn.Module) else None
