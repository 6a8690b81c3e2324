"""A code trained from the command line, after it was prepared, and explained."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor
from torch.utils.data import TensorDataset

from attributions.black_boxes import as_function, is_black_box
from trimvae.cli import runs
from trimvae.cli.codes import code_parts
from trimvae.cli.opening import Opened
from trimvae.cli.preparing import Prepared
from trimvae.cli.sharpening import along_axes, epochs_along, sharpened
from trimvae.cli.starting import Start
from trimvae.explanation.explanation import Explanation
from trimvae.models import IVAE, VAE
from trimvae.models.saved import TrainableCode
from trimvae.storage import write_json
from trimvae.training.fitting import fit

# Kinds that have no encoder, so that each image that is explained is searched for.
_SEARCHED = ("infogan", "stylegan2")


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
    code = train_first(run, start, accelerator=accelerator, progress=progress)
    return finished(run, start.folder, code)


def train_first(
    run: Prepared,
    start: Start,
    *,
    accelerator: str,
    progress: bool,
    begun: Callable[[], object] = lambda: None,
) -> Any:
    """Train the run's code, which begins the run; its history is written to the folder.

    Args:
        run: What to train.
        start: Where.
        accelerator: Lightning's word for the device.
        progress: Whether to show a bar.
        begun: Called after each step, from the first on, when the run has begun.

    Returns:
        The trained code.
    """
    with start.training():
        code, history = fitted(
            run,
            start.folder,
            resume=start.recorded is not None,
            progress=progress,
            accelerator=accelerator,
            callbacks=[_Accepted(start, run.configuration, begun)],
        )
        start.begin(run.configuration)  # where all epochs were there, nothing was started
    write_json(start.folder / "history.json", history)
    return code


def fitted(
    run: Prepared, folder: Path, **options: Any
) -> tuple[TrainableCode, list[dict[str, float]]]:
    """Train a run's code, with its checkpoint in a folder; its own code is changed in place.

    Args:
        run: What to train.
        folder: Of the checkpoint.
        **options: `resume`, `progress`, `accelerator` and `callbacks`, as of `fit`.

    Returns:
        The trained code, along axes where the run wants them, and the history.
    """
    settings, parts, code = run.settings, run.parts, run.code
    asked = {
        "validation": _with_contexts(code, parts.test_inputs, parts.test_labels),
        "objective": run.objective,
        "prediction_weight": settings.prediction_weight,
        "batch_size": settings.batch_size,
        "preprocess": run.preprocess,
        "task": settings.task,
        "seed": settings.seed,
        **options,
    }
    data = _with_contexts(code, parts.train_inputs, parts.train_labels)
    history = fit(
        code,
        run.predictor,
        data,
        penalties=[] if settings.axes else run.penalties,
        max_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        checkpoint_dir=folder,
        **asked,
    )
    if not settings.axes:
        return code, history
    code = along_axes(
        code,
        run.predictor,
        parts.train_inputs,
        preprocess=run.preprocess,
        task=settings.task,
        seed=settings.seed,
    )
    if run.penalties:
        history += sharpened(
            code,
            run.predictor,
            data,
            penalties=run.penalties,
            max_epochs=epochs_along(settings.epochs),
            learning_rate=settings.learning_rate,
            checkpoint_dir=folder / runs.along_axes_of(settings.epochs),
            **asked,
        )
    return code, history


def finished(run: Prepared, folder: Path, code: Any) -> Opened:
    """Write the trained code and held-out examples to the run's folder, and open it."""
    parts = run.parts
    runs.save_examples(folder, parts.test_inputs, parts.test_labels)
    code.save(folder / runs.CODE)
    return Opened(
        folder,
        run.configuration,
        code,
        run.predictor,
        run.preprocess,
        parts.test_inputs,
        parts.test_labels,
    )


def explained(run: Prepared, opened: Opened) -> tuple[Explanation, dict[str, float]]:
    """Explain held-out examples, and write explanation and figures to the run's folder."""
    slow = run.settings.model in _SEARCHED or is_black_box(as_function(opened.predictor))
    explanation = opened.explain(128 if slow else 1000)
    runs.save_explanation(opened.folder / "explanation", explanation)
    metrics = explanation.metrics
    if isinstance(opened.code, VAE):
        parts = code_parts(opened.code, run.parts.train_inputs, run.settings.seed)
        metrics = {**metrics, **parts}
    write_json(opened.folder / "metrics.json", metrics)
    return explanation, metrics


class _Accepted(L.Callback):
    """Begins the run after its first step: only then has everything been accepted.

    Some mistakes show in the first step, such as a layer that does not exist.
    """

    def __init__(
        self, start: Start, configuration: Mapping[str, Any], begun: Callable[[], object]
    ) -> None:
        self._start, self._configuration, self._begun = start, configuration, begun

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Write the configuration, after deleting what is replaced."""
        if trainer.is_global_zero:
            self._start.begin(self._configuration)
            self._begun()


def _with_contexts(code: Any, inputs: Tensor, labels: Tensor | None) -> Any:
    """Inputs; with their labels for an iVAE, whose contexts they are."""
    if isinstance(code, IVAE) and labels is not None:
        return TensorDataset(inputs, labels)
    return inputs
