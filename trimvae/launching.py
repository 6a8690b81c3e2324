"""Explain and evaluate on the devices and machines of a Lightning `Trainer`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import lightning as L
import torch
from torch import nn

from attributions.codes import Code
from attributions.predictors import Function, Predictor
from trimvae.evaluation.evaluating import evaluate
from trimvae.evaluation.result import Evaluation
from trimvae.explanation.sharding import explain_into
from trimvae.explanation.shards import Shards
from trimvae.training.lightning import loaders_of, quiet_lightning

T = TypeVar("T")


def explain_on(
    trainer: L.Trainer,
    folder: str | Path,
    code: Code,
    predictor: Function,
    data: Any,
    **options: Any,
) -> Shards:
    """Explain any number of examples on all devices of a `Trainer`, a part on each.

    Lightning's `predict` starts the processes, finds the machines (torchrun, SLURM, ...) and puts
    code and predictor on each device; every process then writes its part as `explain_into` says. A
    run that was interrupted goes on, also with another `Trainer`.

    Args:
        trainer: Such as `lightning.Trainer(devices=4, num_nodes=2, strategy="ddp")`. Its strategy
            starts scripts, as `"ddp"` does, or nothing; not `"ddp_spawn"`.
        folder: Where the shards are written, the same for all processes.
        code: As in `explain_into`. It is back where it was once the call ends, and so is the
            predictor.
        predictor: As in `explain_into`.
        data: As in `explain_into`, the same in every process; or a `LightningDataModule`, of which
            the loader for prediction is taken.
        **options: Others of `explain_into`, but for `part`.

    Returns:
        The shards that the folder holds, complete in every process.

    Raises:
        ValueError: The strategy spawns or forks, or anything that `explain_into` refuses.
        TypeError: `trainer` is none, or anything that `explain_into` refuses.

    Examples:
        >>> import tempfile
        >>> from trimvae import VAE
        >>> vae, predictor = VAE.dense((6,), latent_size=2), nn.Linear(6, 3)
        >>> quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
        >>> trainer = L.Trainer(accelerator="cpu", enable_model_summary=False, **quiet)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     shards = explain_on(trainer, folder, vae, predictor, torch.randn(10, 6))
        ...     shards.complete, shards.examples
        (True, 10)
    """
    asked = _modules(code, predictor, options)

    def work() -> Shards:
        return explain_into(folder, code, predictor, _rows(data), **options)

    return _on(trainer, asked, work)


def evaluate_on(
    trainer: L.Trainer, code: Code, predictor: Function, data: Any, **options: Any
) -> Evaluation:
    """`evaluate` on all devices of a `Trainer`: the figures of one process, in every process.

    Args:
        trainer: As in `explain_on`.
        code: As in `evaluate`. It is back where it was once the call ends, and so are the others.
        predictor: As in `evaluate`.
        data: As in `evaluate`, the same in every process; or a `LightningDataModule`, of which
            the loader for prediction is taken.
        **options: Others of `evaluate`, but for `divide`.

    Returns:
        The figures with 95 % intervals, and warnings.

    Raises:
        ValueError: The strategy spawns or forks, or anything that `evaluate` refuses.
        TypeError: `trainer` is none, or anything that `evaluate` refuses.
    """
    asked = _modules(code, predictor, options)

    def work() -> Evaluation:
        divide = trainer.world_size > 1
        return evaluate(code, predictor, _rows(data), divide=divide, **options)

    return _on(trainer, asked, work)


class _Once:
    """A loader of one batch in every process, which Lightning does not divide."""

    def __iter__(self) -> Iterator[int]:
        return iter([0])

    def __len__(self) -> int:
        return 1


class _Asking(L.LightningModule, Generic[T]):
    """Where Lightning puts modules on a device, so that work can be done with them."""

    def __init__(self, asked: Sequence[nn.Module], work: Callable[[], T]) -> None:
        super().__init__()
        self.asked = nn.ModuleList(asked)
        self._work, self.found = work, list[T]()

    def predict_step(self, *_: Any) -> int:
        # Lightning predicts under inference mode, which has no gradients, and so no attributions.
        with torch.inference_mode(mode=False), torch.enable_grad():
            self.found.append(self._work())
        return len(self.found)  # of None it would warn


def _on(trainer: L.Trainer, asked: Sequence[nn.Module], work: Callable[[], T]) -> T:
    if not isinstance(trainer, L.Trainer):
        raise TypeError(
            f"`trainer` must be a lightning.Trainer. Got {type(trainer).__name__}. Make one with "
            "the devices to use."
        )
    # How a strategy starts processes is not public; those that have no word for it start none.
    started = getattr(trainer.strategy, "_start_method", "popen")
    if started != "popen":
        raise ValueError(
            "`trainer` must start scripts, so that each process returns what it found. Got a "
            f'strategy that starts by {started}. Use strategy="ddp".'
        )
    module = _Asking(asked, work)
    devices = [parameter.device for each in asked for parameter in list(each.parameters())[:1]]
    modes = [(part, part.training) for part in module.asked.modules()]
    try:
        with quiet_lightning():
            trainer.predict(module, _Once(), return_predictions=False)
    finally:
        with_parameters = [each for each in asked if any(True for _ in each.parameters())]
        for each, device in zip(with_parameters, devices, strict=True):
            each.to(device)
        for part, training in modes:
            part.training = training
    return module.found[0]


def _modules(code: Code, predictor: Function, options: dict[str, Any]) -> list[nn.Module]:
    """All that have to be where the inputs are."""
    if isinstance(predictor, Predictor):
        predictors = list(predictor.original)
    else:
        predictors = [predictor, options.get("preprocess")]
    asked = [code, *predictors, *options.get("judges", ())]
    return [each for each in asked if isinstance(each, nn.Module)]


def _rows(data: Any) -> Any:
    return loaders_of(data, "predict")[0] if isinstance(data, L.LightningDataModule) else data
