"""A code trained from the command line, in three steps: prepare, train, explain."""

from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import lightning as L
import torch
from lightning.pytorch.accelerators import AcceleratorRegistry
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from attributions.outputs import Task
from attributions.penalties import Penalty
from trimvae.cli import runs
from trimvae.cli.codes import SPARSITY, code_named, code_parts, new_code, penalties_named
from trimvae.cli.functions import absolute, load
from trimvae.cli.opening import Opened, absolute_data, read_data
from trimvae.cli.settings import Settings
from trimvae.cli.starting import Start
from trimvae.data import Split
from trimvae.explanation.explaining import versions
from trimvae.explanation.explanation import Explanation
from trimvae.models import IVAE, VAE
from trimvae.objectives import Objective, Perceptual, objective_named
from trimvae.storage import write_json
from trimvae.training.fitting import fit

# Kinds that have no encoder, so that each image that is explained is searched for.
_SEARCHED = ("infogan", "stylegan2")


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
        "objective": "vae" if settings.model in ("vae", "ivae") else None,
    }
    return settings._replace(
        classifier=absolute(settings.classifier),
        preprocess=None if settings.preprocess is None else absolute(settings.preprocess),
        data=absolute_data(settings.data),
        **{name: value for name, value in chosen.items() if getattr(settings, name) is None},
    )


def check_task(task: str | None) -> None:
    """Raise a ValueError unless there is such a task."""
    if task not in (None, *get_args(Task)):
        raise ValueError(
            f"`--task` must be one of {', '.join(get_args(Task))}. Got {task!r}. Leave it out "
            "unless a single output is the logit of two classes."
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
    penalties = penalties_named(settings.sparsity or 0, settings.monotonicity, settings.penalty)
    objective = _objective(settings)
    predictor, preprocess = load(settings.classifier), load(settings.preprocess)
    parts = read_data(settings.data, settings.seed, settings.grey)
    configuration = {
        "command": "train",
        **settings._asdict(),
        "class_names": parts.class_names,
        "feature_names": parts.feature_names,
        "versions": versions(),
    }
    start.check_same(configuration)
    if settings.perceptual:
        objective = _perceptual(settings, objective, predictor, preprocess)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        code = new_code(settings.model, parts, settings.latent_size, settings.likelihood)
    return Prepared(
        settings, configuration, code, predictor, preprocess, parts, objective, penalties
    )


def trained(
    run: Prepared, start: Start, *, accelerator: str = "auto", progress: bool = True
) -> Opened:
    """Train what was prepared; the run's folder is written to after the first step.

    Args:
        run: What to train.
        start: Where.
        accelerator: Lightning's word for the device.
        progress: Whether to show a bar.
    """
    settings, parts, code = run.settings, run.parts, run.code
    with start.training():
        history = fit(
            code,
            run.predictor,
            _with_contexts(code, parts.train_inputs, parts.train_labels),
            validation=_with_contexts(code, parts.test_inputs, parts.test_labels),
            objective=run.objective,
            prediction_weight=settings.prediction_weight,
            penalties=run.penalties,
            max_epochs=settings.epochs,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            preprocess=run.preprocess,
            task=settings.task,
            seed=settings.seed,
            checkpoint_dir=start.folder,
            resume=start.recorded is not None,
            progress=progress,
            accelerator=accelerator,
            callbacks=[_Accepted(start, run.configuration)],
        )
        start.begin(run.configuration)  # where all epochs were there, nothing was started
    code.save(start.folder / runs.CODE)
    runs.save_examples(start.folder, parts.test_inputs, parts.test_labels)
    write_json(start.folder / "history.json", history)
    return Opened(
        start.folder,
        run.configuration,
        code,
        run.predictor,
        run.preprocess,
        parts.test_inputs,
        parts.test_labels,
    )


def explained(run: Prepared, opened: Opened) -> tuple[Explanation, dict[str, float]]:
    """Explain held-out examples, and write explanation and figures to the run's folder."""
    explanation = opened.explain(128 if run.settings.model in _SEARCHED else 1000)
    runs.save_explanation(opened.folder / "explanation", explanation)
    metrics = explanation.metrics
    if isinstance(run.code, VAE):
        parts = code_parts(run.code, run.parts.train_inputs, run.settings.seed)
        metrics = {**metrics, **parts}
    write_json(opened.folder / "metrics.json", metrics)
    return explanation, metrics


class _Accepted(L.Callback):
    """Begins the run after its first step: only then has everything been accepted.

    Some mistakes show in the first step, such as a layer that does not exist.
    """

    def __init__(self, start: Start, configuration: Mapping[str, Any]) -> None:
        self._start, self._configuration = start, configuration

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Write the configuration, after deleting what is replaced."""
        if trainer.is_global_zero:
            self._start.begin(self._configuration)


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


def _perceptual(
    settings: Settings, objective: Objective | None, predictor: Any, preprocess: Any
) -> Objective:
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


def _with_contexts(code: Any, inputs: Tensor, labels: Tensor | None) -> Any:
    """Inputs; with their labels for an iVAE, whose contexts they are."""
    if isinstance(code, IVAE) and labels is not None:
        return TensorDataset(inputs, labels)
    return inputs
