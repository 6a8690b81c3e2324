"""How long a training step takes inside Lightning."""

import time

import lightning as L


class Clock(L.Callback):
    """Seconds a step after the warm-up, everything between the steps included.

    Args:
        warm_up: Steps before the clock starts.
        steps: Steps until it stops.
    """

    def __init__(self, warm_up: int, steps: int) -> None:
        self.warm_up, self.steps = warm_up, steps

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        """Start and stop."""
        if index == self.warm_up - 1:
            self.started = time.perf_counter()
        elif index == self.steps - 1:
            self.seconds = (time.perf_counter() - self.started) / (self.steps - self.warm_up)
