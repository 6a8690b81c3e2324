"""What `fit` asks of Lightning besides training: quiet, history, a bar, and the caller's state."""

import logging
import random
import signal
import warnings
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from torch import Tensor, nn
from torch.distributions import Normal

from trimvae.objectives import Decomposition, decomposition


@contextmanager
def caller_undisturbed(vae: nn.Module, seed: int) -> Iterator[None]:
    """Seed every random generator for training; hand them, modes and signals back after it."""
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    training = vae.training
    parameter = next(vae.parameters())
    device, dtype = parameter.device, parameter.dtype
    handler = signal.getsignal(signal.SIGINT)
    with torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        try:
            vae.train()
            yield
        except SystemExit as error:
            # Lightning turns Ctrl-C into an exit with SIGINT ignored from then on.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from error
            raise
        finally:
            if signal.getsignal(signal.SIGINT) is not handler:
                signal.signal(signal.SIGINT, handler)
            vae.train(training)
            vae.to(device=device, dtype=dtype)
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


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
    """Logs the mean of every term over an epoch; every step's values, too, where somebody looks.

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


def defaults_for(module: nn.Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """Our defaults for Lightning's `Trainer`, and what the caller gave for it instead."""
    device = next(module.parameters()).device.type
    return {
        "accelerator": {"cuda": "gpu"}.get(device, device),
        "devices": 1,
        "logger": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        # Collecting what no logger takes costs a few per cent of a step.
        "log_every_n_steps": 1 if given.get("logger") else 50,
        **given,
    }


def every_epoch(folder: str | Path) -> ModelCheckpoint:
    """Keep `last.ckpt`, written whole after every epoch."""
    return ModelCheckpoint(
        dirpath=folder,
        filename="last",
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )


class History(L.Callback):
    """Mean of every term in every epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the epoch's means."""
        self.epochs.append(
            {
                name.removesuffix("_epoch"): value.item()
                for name, value in trainer.callback_metrics.items()
                if not name.endswith("_step") and f"{name}_epoch" not in trainer.callback_metrics
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a resumed run reports every epoch."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the epochs of the interrupted run."""
        self.epochs = list(state_dict["epochs"])


class RecentPosteriors:
    """The latest posteriors of an epoch, to see the KL's parts without encoding anything again.

    Args:
        most: How many examples are remembered.
        n_points: How many of them are compared with all.
    """

    def __init__(self, most: int = 8192, n_points: int = 512) -> None:
        self.most, self.n_points = most, n_points
        self._batches: deque[tuple[Tensor, ...]] = deque()
        self._count = 0

    def add(self, posterior: Normal, prior: Normal) -> None:
        """Remember a batch's posteriors and priors; forget what has become too much."""
        both = (posterior, prior)
        kept = [part.detach().float() for one in both for part in (one.mean, one.stddev)]
        self._batches.append(tuple(part.expand_as(kept[0]) for part in kept))
        self._count += len(kept[0])
        while len(self._batches) > 1 and self._count - len(self._batches[0][0]) > self.most:
            self._count -= len(self._batches.popleft()[0])

    def decomposition(
        self, dataset_size: int | None, generator: torch.Generator
    ) -> Decomposition | None:
        """Decompose the KL of what is remembered, and forget it; None if that is one example."""
        columns = [torch.cat(parts) for parts in zip(*self._batches, strict=True)]
        self._batches.clear()
        self._count = 0
        mean, deviation, prior_mean, prior_deviation = columns
        if len(mean) < 2 or not all(bool(torch.isfinite(part).all()) for part in columns):
            return None
        return decomposition(
            Normal(mean, deviation, validate_args=False),
            Normal(prior_mean, prior_deviation, validate_args=False),
            dataset_size=max(dataset_size or 0, len(mean)),
            n_points=self.n_points,
            generator=generator,
        )


class ProgressBar(RichProgressBar):
    """The bar with each term's running value under its own name."""

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Terms by name: neither `_step` nor Lightning's own."""
        metrics = super().get_metrics(trainer, pl_module)
        return {
            name.removesuffix("_step"): value
            for name, value in metrics.items()
            if not name.endswith("_epoch") and name != "v_num"
        }
