"""The demo's codes: a plain one, one with the prediction loss alone, and trimvae's two."""

import time
from typing import Any, NamedTuple

import torch
from torch import nn

from attributions.penalties import SharedSparsity
from trimvae.cli.demo_data import Dataset
from trimvae.cli.sharpening import along_axes, epochs_along, sharpened
from trimvae.data import Split
from trimvae.models import VAE
from trimvae.training.fitting import fit

# For each epoch along axes, with their penalty, so many without: all arms take the same time.
_WITHOUT = 2

_RATE = 3e-3


class Code(NamedTuple):
    """A trained code, and how long its training took."""

    vae: VAE
    seconds: float


class Course(NamedTuple):
    """How the demo's codes are trained: on what, how long, and whether a bar is shown."""

    chosen: Dataset
    data: Split
    classifier: nn.Module
    epochs: int
    progress: bool

    def plain(self, seed: int) -> Code:
        """Return a beta-VAE that knows nothing of the classifier."""
        return self._trained_on(self._trained(seed, 0.0), seed, 0.0)

    def through(self, seed: int) -> Code:
        """Return a code that has learned with the prediction loss, for the first part."""
        return self._trained(seed, self.chosen.prediction_weight)

    def without_axes(self, first: Code, seed: int) -> Code:
        """Train a code on with the prediction loss alone, in place."""
        return self._trained_on(first, seed, self.chosen.prediction_weight)

    def along_axes(self, first: Code, seed: int) -> Code:
        """Return a copy of a code along the classifier's axes, trained on with a penalty there."""
        started = time.perf_counter()
        vae = along_axes(
            first.vae,
            self.classifier,
            self.data.train_inputs,
            preprocess=None,
            task=None,
            seed=seed,
        )
        sharpened(
            vae,
            self.classifier,
            self.data.train_inputs,
            penalties=[SharedSparsity(weight=self.chosen.sparsity)],
            max_epochs=epochs_along(self.epochs),
            learning_rate=_RATE,
            prediction_weight=self.chosen.prediction_weight,
            seed=seed,
            progress=self.progress,
        )
        return Code(vae, first.seconds + time.perf_counter() - started)

    def _trained(self, seed: int, prediction_weight: float) -> Code:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            vae = self.chosen.new_vae()
        return Code(vae, self._fit(vae, seed, prediction_weight, self.epochs))

    def _trained_on(self, first: Code, seed: int, prediction_weight: float) -> Code:
        epochs = _WITHOUT * epochs_along(self.epochs)
        more = self._fit(first.vae, seed, prediction_weight, epochs, learning_rate=_RATE / 2)
        return Code(first.vae, first.seconds + more)

    def _fit(
        self, vae: VAE, seed: int, prediction_weight: float, epochs: int, **options: Any
    ) -> float:
        """Train without penalties; return the seconds that it took."""
        started = time.perf_counter()
        fit(
            vae,
            self.classifier,
            self.data.train_inputs,
            prediction_weight=prediction_weight,
            max_epochs=epochs,
            seed=seed,
            progress=self.progress,
            **options,
        )
        return time.perf_counter() - started
