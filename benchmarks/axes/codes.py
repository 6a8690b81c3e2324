"""Classifiers and codes of the axes benchmark: trained once, kept, and seen once."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.axes.seen import Seen, seen_by
from benchmarks.sizes import sized
from trimvae import VAE, fit
from trimvae.cli.demo_data import (
    FASHION_FOLDER,
    accuracy,
    breast_cancer,
    dataset_named,
    digits,
    train_classifier,
)
from trimvae.data import Split, fashion_mnist, split

PREDICTION_WEIGHT = 10.0
N_FIT, N_HELD_OUT = sized((2_000, 1_000), (64, 40))


@dataclasses.dataclass(frozen=True)
class Setting:
    """A data set of the benchmark."""

    read: Callable[[], Split]
    like: str
    """Whose classifier and VAE of the demo it takes."""
    epochs: int
    """Of a code's training with the prediction loss."""
    epochs_on: int
    """Of what follows: along axes, or without."""
    classifier_epochs: int


def other_digits() -> Split:
    """MNIST digits split in another way than in development."""
    whole = digits()
    assert whole.train_labels is not None
    assert whole.test_labels is not None
    inputs = torch.cat([whole.train_inputs, whole.test_inputs])
    labels = torch.cat([whole.train_labels, whole.test_labels])
    return split(inputs, labels, test_share=0.2, seed=1, class_names=whole.class_names)


def all_fashion() -> Split:
    return fashion_mnist(FASHION_FOLDER if FASHION_FOLDER.is_dir() else None)


SETTINGS = {
    "digits": Setting(other_digits, "digits", *sized((14, 6, 20), (1, 1, 1))),
    "fashion": Setting(all_fashion, "fashion", *sized((4, 2, 4), (1, 1, 1))),
    "breast-cancer": Setting(breast_cancer, "breast-cancer", *sized((140, 60, 100), (1, 1, 1))),
}


class Trained(NamedTuple):
    """A classifier of a data set, where its codes are kept, and what they are shown."""

    setting: Setting
    data: Split
    predictor: nn.Module
    accuracy: float
    folder: Path

    @property
    def fitting(self) -> Tensor:
        """Training inputs that axes are fitted to."""
        return self.data.train_inputs[:N_FIT]

    @property
    def held_out(self) -> Tensor:
        """Inputs that figures are taken on."""
        return self.data.test_inputs[:N_HELD_OUT]

    def new_vae(self, seed: int) -> VAE:
        """Return an untrained VAE."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return dataset_named(self.setting.like).new_vae()

    def code(self, seed: int) -> VAE:
        """Return the code that was trained with the prediction loss alone."""
        path = self.folder / f"code_{seed}.safetensors"
        if not path.exists():
            vae = self.new_vae(seed)
            self.train(vae, self.setting.epochs, seed)
            vae.save(path)
        return VAE.load(path)

    def train(self, vae: VAE, epochs: int, seed: int, **options: object) -> VAE:
        """Train a VAE, in place, through the classifier; `options` are those of `fit`."""
        fit(
            vae,
            self.predictor,
            self.data.train_inputs[: sized(len(self.data.train_inputs), 128)],
            prediction_weight=PREDICTION_WEIGHT,
            max_epochs=epochs,
            seed=seed,
            progress=False,
            **options,  # type: ignore[arg-type]
        )
        return vae.eval()

    def seen(self, seed: int) -> tuple[Seen, Seen]:
        """Return how a code sees the examples fitted to, and those held out."""
        path = self.folder / f"seen_{seed}.pt"
        if not path.exists():
            code = self.code(seed)
            parts = [seen_by(code, self.predictor, x) for x in (self.fitting, self.held_out)]
            torch.save([tuple(part) for part in parts], path)
        fitted, held_out = torch.load(path, weights_only=True)
        return Seen(*fitted), Seen(*held_out)


def trained(name: str, classifier_seed: int, out: Path) -> Trained:
    """Train a classifier, or find it."""
    setting = SETTINGS[name]
    data = setting.read()
    assert data.train_labels is not None
    assert data.test_labels is not None
    folder = out / name / str(classifier_seed)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "classifier.pt"
    with torch.random.fork_rng():
        torch.manual_seed(classifier_seed)
        network = dataset_named(setting.like).new_classifier()
        if path.exists():
            network.load_state_dict(torch.load(path, weights_only=True))
        else:
            few = sized(len(data.train_inputs), 128)
            network = train_classifier(
                network,
                data.train_inputs[:few],
                data.train_labels[:few],
                epochs=setting.classifier_epochs,
            )
            torch.save(network.state_dict(), path)
    network.eval().requires_grad_(False)
    right = accuracy(network, data.test_inputs, data.test_labels)
    return Trained(setting, data, network, right, folder)
