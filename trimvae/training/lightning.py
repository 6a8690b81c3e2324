"""What `fit` asks of Lightning besides training: quiet, a trainer, and the caller's state."""

import logging
import random
import signal
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor, nn
from torch.utils.data import DataLoader

from attributions.placement import made_on
from trimvae.training.checkpoints import EveryEpoch, WholeFiles
from trimvae.training.progress import History, ProgressBar, console_undisturbed, progress_of


@contextmanager
def caller_undisturbed(vae: nn.Module, seed: int) -> Iterator[None]:
    """Seed every random generator for training; hand them, modes and signals back after it."""
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    training = vae.training
    parameter = next(vae.parameters())
    device, dtype = parameter.device, parameter.dtype
    handler = signal.getsignal(signal.SIGINT)
    # Lightning and the loaders take the CPU for torch's default device.
    with torch.random.fork_rng(devices=cuda), made_on("cpu"), console_undisturbed():
        torch.manual_seed(seed)
        try:
            vae.train()
            yield
        except SystemExit as error:
            # Lightning turns Ctrl-C into an exit with SIGINT ignored from then on.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise type(error.__context__) from error
            raise
        finally:
            if signal.getsignal(signal.SIGINT) is not handler:
                signal.signal(signal.SIGINT, handler)
            vae.train(training)
            vae.to(device=device, dtype=dtype)
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


def loaders_of(module: L.LightningDataModule, stage: str) -> tuple[Any, Any]:
    """Loaders of a data module, once it is set up: to train or predict with, and of held-out data.

    Args:
        module: The caller's own.
        stage: `"fit"` or `"predict"`.

    Returns:
        The loader, and that of the validation data, or None where there are none.

    Raises:
        TypeError: It has several loaders for one purpose, or none.
    """
    if getattr(rank_zero_only, "rank", 0) == 0 or module.prepare_data_per_node:
        module.prepare_data()
    module.setup(stage)
    train = stage == "fit"
    hook = "train_dataloader" if train else "predict_dataloader"
    held_out = (
        module.val_dataloader() if train and is_overridden("val_dataloader", module) else None
    )
    found = getattr(module, hook)() if is_overridden(hook, module) else None
    for name, loader in ((hook, found), ("val_dataloader", held_out or None)):
        if not isinstance(loader, DataLoader) and (loader is not None or name == hook):
            raise TypeError(
                f"`data.{name}` must give one DataLoader. Got {type(loader).__name__}. Join the "
                "data sets, or pass a DataLoader instead."
            )
    return found, held_out or None


def given_loaders(data: Any, validation: Any) -> tuple[Any, Any]:
    """Training and validation data as they are given; of a data module its own loaders."""
    if not isinstance(data, L.LightningDataModule):
        return data, validation
    found, held_out = loaders_of(data, "fit")
    return found, held_out if validation is None else validation


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without advertisements, and advice that does not apply to data in memory."""
    loggers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in (
                ".*does not have many workers.*",
                ".*You defined a `validation_step` but have no `val_dataloader`.*",
                ".*treespec, LeafSpec.*",
                ".*Checkpoint directory .* exists and is not empty.*",
                ".*tensorboardX.*",
                ".*callback states.*",
                ".*deprecated.*pytree.*",
            ):
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def check_finite(total: Tensor, terms: Mapping[str, Tensor], function: str, remedy: str) -> None:
    """Raise a FloatingPointError that names every term unless the loss is finite."""
    if not torch.isfinite(total):
        raise FloatingPointError(
            f"`{function}` must reach finite losses. Got "
            + ", ".join(f"{name} {value.item():.4g}" for name, value in terms.items())
            + f" {remedy}"
        )


class TermLog:
    """Logs the mean of every term over an epoch; every step's values as well, where somebody looks.

    Without a logger or progress bar the sums are kept here: Lightning's own bookkeeping costs a few
    per cent of a small model's step.
    """

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, module: L.LightningModule, terms: Mapping[str, Tensor], examples: int) -> None:
        """Take the terms of a training step."""
        trainer = module._trainer
        detached = {name: value.detach() for name, value in terms.items()}
        if trainer is None or trainer.loggers or trainer.progress_bar_callback is not None:
            module.log_dict(
                detached, prog_bar=True, on_step=True, on_epoch=True, batch_size=examples
            )
            return
        for name, value in detached.items():
            total, count = self._sums.get(name, (torch.zeros_like(value), 0))
            self._sums[name] = total + examples * value, count + examples
        if trainer.is_last_batch:
            means = {name: total / count for name, (total, count) in self._sums.items()}
            module.log_dict(means, on_step=False, on_epoch=True, batch_size=1)
            self._sums.clear()


def make_trainer(
    code: nn.Module,
    history: History,
    checkpoint: Path | None,
    *,
    progress: bool,
    callbacks: Sequence[L.Callback] | L.Callback = (),
    plugins: Any = (),
    **options: Any,
) -> L.Trainer:
    """Lightning's `Trainer` with our defaults, and with what the caller gave for it instead.

    Args:
        code: To be trained where it is.
        history: Keeps every epoch's means.
        checkpoint: Written after every epoch; None for none.
        progress: Whether to show how far it is.
        callbacks: The caller's own.
        plugins: The caller's own.
        **options: For the `Trainer`.
    """
    device = next(code.parameters()).device.type
    own = [callbacks] if isinstance(callbacks, L.Callback) else list(callbacks)
    used: list[L.Callback] = [history, *own]
    plugins = list(plugins) if isinstance(plugins, list | tuple) else [plugins]
    shown = [progress_of(history)] if progress else []
    used += shown
    if checkpoint is not None:
        used.append(EveryEpoch(checkpoint))
        plugins.append(WholeFiles(checkpoint))
    defaults = {
        "accelerator": {"cuda": "gpu"}.get(device, device),
        "devices": 1,
        "logger": False,
        "enable_model_summary": False,
        "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in used),
        "num_sanity_val_steps": 0,
        # Under inference mode a predictor could not look for gradients of its own.
        "inference_mode": False,
        # Collecting what no logger takes costs a few per cent of a step.
        "log_every_n_steps": 1 if options.get("logger") else 50,
    }
    return L.Trainer(
        callbacks=used,
        plugins=plugins or None,
        enable_progress_bar=any(isinstance(each, ProgressBar) for each in shown),
        **{**defaults, **options},
    )
