"""How far a training is: means of every epoch, and on standard error a bar or plain lines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import rich
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console

_SECONDS_BETWEEN = 1.0


class History(L.Callback):
    """Mean of every term in every epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the epoch's means; a lazy term that came in no step of it keeps its last one."""
        found = trainer.callback_metrics
        means = {
            name.removesuffix("_epoch"): value.item()
            for name, value in found.items()
            if not name.endswith("_step") and f"{name}_epoch" not in found
        }
        # Lightning keeps earlier values as well, but not over an interruption.
        self.epochs.append({**(self.epochs[-1] if self.epochs else {}), **means})

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a resumed run reports every epoch."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the epochs of the interrupted run."""
        self.epochs = list(state_dict["epochs"])


def progress_of(history: History) -> L.Callback:
    """What shows the epochs that `history` keeps: a bar where one can be drawn, else lines."""
    console = Console(stderr=True)
    return ProgressBar() if console.is_terminal or console.is_jupyter else ProgressLines(history)


@contextmanager
def console_undisturbed() -> Iterator[None]:
    """Hand the process' console of rich, which the bar sets up for itself, back as it was."""
    console = rich.get_console()
    before = dict(vars(console))
    try:
        yield
    finally:
        vars(console).clear()
        vars(console).update(before)


class ProgressBar(RichProgressBar):
    """The bar with each term's running value under its own name."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=5, console_kwargs={"stderr": True})

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        """Terms by name: neither `_step` nor Lightning's own."""
        metrics = super().get_metrics(trainer, pl_module)
        return {
            name.removesuffix("_step"): value
            for name, value in metrics.items()
            if not name.endswith("_epoch") and name != "v_num"
        }


class ProgressLines(L.Callback):
    """A line for an epoch, at most one a second, and always one for the last.

    Args:
        history: The means of every epoch, kept before this is asked.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self._started = self._said = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to count the seconds."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Say the epoch's means, unless a line was said a moment ago."""
        now, done = time.perf_counter(), trainer.current_epoch + 1
        last = trainer.max_epochs is not None and done == trainer.max_epochs
        if not trainer.is_global_zero or (now - self._said < _SECONDS_BETWEEN and not last):
            return
        self._said = now
        means = ", ".join(f"{name} {mean:.4g}" for name, mean in self.history.epochs[-1].items())
        of_all = f" of {trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
        text = f"epoch {done}{of_all}: {means}, {now - self._started:.0f} s"
        Console(stderr=True, soft_wrap=True).print(text, highlight=False, markup=False)
