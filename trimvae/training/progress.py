"""How far a training is, on standard error: a bar in a terminal or notebook, else plain lines."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import lightning as L
import rich
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console

if TYPE_CHECKING:
    from trimvae.training.lightning import History

_SECONDS_BETWEEN = 1.0


def progress_of(history: "History") -> L.Callback:
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

    def __init__(self, history: "History") -> None:
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
