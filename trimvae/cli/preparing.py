"""What `trimvae train` trains, checked as far as it can be without training."""

from typing import Any, NamedTuple

import torch
from lightning.pytorch.accelerators import AcceleratorRegistry
from torch import nn

from attributions.black_boxes import as_function, is_black_box
from attributions.outputs import EXPLAINED_AT_ONCE
from attributions.penalties import Penalty
from trimvae.cli.codes import SPARSITY, code_named, new_code, penalties_named
from trimvae.cli.functions import absolute, load
from trimvae.cli.opening import absolute_data, read_data
from trimvae.cli.settings import Settings
from trimvae.cli.starting import Start
from trimvae.cli.trusting import weights_of
from trimvae.data import Split
from trimvae.explanation.recording import versions
from trimvae.models import VAE
from trimvae.objectives import Objective, Perceptual, objective_named


class Prepared(NamedTuple):
    """Everything that training needs, checked as far as it can be without training."""

    settings: Settings
    configuration: dict[str, Any]
    code: Any
    predictor: Any
    preprocess: Any
    parts: Split
    objective: Objective | None
    penalties: list[Penalty]


def resolved(settings: Settings) -> Settings:
    """Settings in which the model's choices are made and paths hold from any folder.

    Raises:
        ValueError: There is no such model.
    """
    recipe = code_named(settings.model).recipe
    chosen: dict[str, Any] = {
        "learning_rate": recipe.learning_rate,
        "prediction_weight": recipe.prediction_weight,
        "sparsity": SPARSITY[settings.model],
        "objective": "vae" if _is_vae(settings.model) else None,
        "axes": _is_vae(settings.model),
    }
    return settings._replace(
        classifier=absolute(settings.classifier),
        preprocess=None if settings.preprocess is None else absolute(settings.preprocess),
        data=absolute_data(settings.data),
        **{name: value for name, value in chosen.items() if getattr(settings, name) is None},
    )


def _is_vae(model: str) -> bool:
    return issubclass(code_named(model), VAE)


def check_task(task: str | None) -> None:
    """Raise a ValueError unless a run can have such a task."""
    if task not in (None, *EXPLAINED_AT_ONCE):
        remedy = "Leave it out unless a single output is the logit of two classes."
        if task == "multilabel":
            remedy = "Use Python: fit(..., task='multilabel') and explain_labels."
        raise ValueError(
            f"`--task` must be one of {', '.join(EXPLAINED_AT_ONCE)}. Got {task!r}. {remedy}"
        )


def check_accelerator(name: str) -> None:
    """Raise a ValueError unless Lightning knows this accelerator and finds it here."""
    kinds = {kind: AcceleratorRegistry[kind]["accelerator"] for kind in AcceleratorRegistry}
    here = ["auto", *(kind for kind, accelerator in kinds.items() if accelerator.is_available())]
    if "cuda" in here or "mps" in here:
        here.append("gpu")
    if name not in here:
        raise ValueError(
            f"`--accelerator` must be one that is here: {', '.join(here)}. Got {name!r}. Use auto."
        )


def prepared(settings: Settings, start: Start) -> Prepared:
    """Check settings, load classifier and data, and make an untrained code; writes nothing.

    Args:
        settings: As the caller gave them.
        start: Its run, if it goes on, must have been started with the same settings.

    Raises:
        ValueError: A setting is out of range, or differs from the recorded one.
    """
    settings = resolved(settings)
    start.check_same({"command": "train", **settings._asdict()})  # before anything slow
    start.check_kept(settings.classifier, settings.preprocess, settings.data)
    check_task(settings.task)
    _check_codes(settings)
    _check_axes(settings)
    penalties = penalties_named(
        settings.sparsity or 0,
        settings.monotonicity,
        settings.penalty,
        axes=bool(settings.axes),
    )
    objective = _objective(settings)
    predictor, preprocess = load(settings.classifier), load(settings.preprocess)
    parts = read_data(settings.data, settings.seed, settings.grey, settings.label)
    _check_gradient(settings, predictor)
    configuration = {
        "command": "train",
        **settings._asdict(),
        "class_names": parts.class_names,
        "feature_names": parts.feature_names,
        "classifier_sha256": weights_of(predictor),
        "versions": versions(),
    }
    start.check_same(configuration)
    _check_held_out(settings, parts)
    return Prepared(
        settings,
        configuration,
        _untrained(settings, parts),
        predictor,
        preprocess,
        parts,
        _with_features(objective, settings, predictor, preprocess),
        penalties,
    )


def of_seed(run: Prepared, seed: int) -> Prepared:
    """The same run from another seed: another untrained code, and an objective of its own."""
    settings = run.settings._replace(seed=seed)
    objective = _with_features(_objective(settings), settings, run.predictor, run.preprocess)
    code = _untrained(settings, run.parts)
    return run._replace(settings=settings, code=code, objective=objective)


def _check_codes(settings: Settings) -> None:
    """Refuse several codes of a kind that has no axes to turn."""
    if settings.codes > 1 and not _is_vae(settings.model):
        raise ValueError(
            f"`--codes` must be 1 for {settings.model}, which is not seen along axes. Got "
            f"{settings.codes}. Use --model vae."
        )


def _check_axes(settings: Settings) -> None:
    """Refuse axes for a kind that is not seen along axes."""
    if settings.axes and not _is_vae(settings.model):
        raise ValueError(
            f"`--axes` must be left out for {settings.model}, which is not seen along axes. Got "
            "--axes. Leave it out, or use --model vae."
        )


def _check_gradient(settings: Settings, predictor: Any) -> None:
    """Refuse axes, which are chosen by gradients, for a classifier that has none."""
    if settings.axes and is_black_box(as_function(predictor)):
        raise ValueError(
            "`--axes` must be left out for a classifier without gradient. Got "
            f"{type(predictor).__name__}. Write --no-axes."
        )


def _check_held_out(settings: Settings, parts: Split) -> None:
    """Refuse to compare several codes on fewer examples than a correlation needs."""
    if settings.codes > 1 and len(parts.test_inputs) < 3:
        raise ValueError(
            f"`--codes` must be 1 for data with fewer than 3 held-out examples. Got "
            f"{settings.codes} codes and {len(parts.test_inputs)} examples. Bring more."
        )


def _untrained(settings: Settings, parts: Split) -> Any:
    """A new code, as its seed makes it."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        return new_code(settings.model, parts, settings.latent_size, settings.likelihood)


def _objective(settings: Settings) -> Objective | None:
    """What a VAE minimises; None for a game, which has its own."""
    if settings.objective is not None:
        return objective_named(settings.objective, settings.weight, warm_up=settings.warm_up)
    for option in ("weight", "warm_up", "perceptual"):
        value = getattr(settings, option)
        if value:
            raise ValueError(
                f"`--{option.replace('_', '-')}` must be left out for {settings.model}, whose "
                f"game has its own objective. Got {value}. Leave it out, or use --model vae."
            )
    return None


def _with_features(
    objective: Objective | None, settings: Settings, predictor: Any, preprocess: Any
) -> Objective | None:
    """The objective, with the features of the predictor's layers where some are named."""
    if not settings.perceptual:
        return objective
    if not isinstance(predictor, nn.Module):
        raise ValueError(
            f"`--perceptual` must name layers of an nn.Module. Got {settings.perceptual} and a "
            "plain function. Return the module, or leave it out."
        )
    return Perceptual(
        predictor,
        settings.perceptual,
        weight=settings.perceptual_weight,
        objective=objective,
        preprocess=preprocess,
    )
