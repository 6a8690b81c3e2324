"""How long a training step takes inside Lightning."""

import statistics
import time
from collections.abc import Callable

import lightning as L


class Clock(L.Callback):
    """CPU seconds a step after the warm-up, everything between the steps included.

    The processor's seconds, of one thread: other work on the machine hardly counts.

    Args:
        warm_up: Steps before the clock starts.
        steps: Steps until it stops.
    """

    def __init__(self, warm_up: int, steps: int) -> None:
        self.warm_up, self.steps = warm_up, steps

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        """Start and stop."""
        if index == self.warm_up - 1:
            self.started = time.process_time()
        elif index == self.steps - 1:
            self.seconds = (time.process_time() - self.started) / (self.steps - self.warm_up)


class Turns(L.Callback):
    """After every training step one of a bare loop, so that both see the same state of the machine.

    CPU time of one thread; a training step is everything between two steps of the bare loop.

    Args:
        bare: One step of the bare loop.
        warm_up: Steps that do not count.
    """

    def __init__(self, bare: Callable[[], None], warm_up: int = 8) -> None:
        self.bare, self.warm_up = bare, warm_up
        self.steps: list[tuple[float, float]] = []
        """CPU seconds of the bare loop, and of training."""
        self._ended: float | None = None

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        """Take the training step's time, then the bare loop's."""
        now = time.process_time()
        self.bare()
        after = time.process_time()
        if self._ended is not None and index >= self.warm_up:
            self.steps.append((after - now, now - self._ended))
        self._ended = after

    @property
    def ratio(self) -> float:
        """Bare loop over training, the median of all pairs: 1 is as fast."""
        return statistics.median(bare / ours for bare, ours in self.steps)

    def row(self, ours: str) -> dict[str, str]:
        """Medians and their ratio for a table; `ours` names what is compared with the bare loop."""
        bare, mine = (1e3 * statistics.median(times) for times in zip(*self.steps, strict=True))
        return {
            "bare ms": f"{bare:.0f}",
            f"{ours} ms": f"{mine:.0f}",
            f"bare / {ours}": f"{self.ratio:.2f}",
        }
