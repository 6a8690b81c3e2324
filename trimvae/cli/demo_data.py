"""The demo's data sets and classifiers."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attributions.predictors import Predictor
from trimvae.data import Split, digits, fashion_mnist, split, sprites
from trimvae.models.checks import check_finite_weights, check_same_shapes
from trimvae.models.vae import VAE
from trimvae.storage import read_tensors

# Where Debian's package dataset-fashion-mnist puts its files; torchvision downloads without it.
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")


class Dataset(NamedTuple):
    """One data set of the demo, and the settings that suit it."""

    what: str
    read: Callable[[], Split]
    new_classifier: Callable[[], nn.Module]
    new_vae: Callable[[], VAE]
    classifier_epochs: int
    epochs: int
    """Of every code, before trimvae's axes."""
    prediction_weight: float = 10.0
    sparsity: float = 6.0


def new_classifier(channels: int = 1, size: int = 28, classes: int = 10) -> nn.Module:
    """Return an ordinary untrained convolutional classifier of small images, with dropout."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(32 * (size // 4) ** 2, 128),
        nn.ReLU(),
        nn.Linear(128, classes),
    )


def few_fashion() -> Split:
    """12,000 images of Fashion-MNIST to train, 1,000 held out."""
    whole = fashion_mnist(FASHION_FOLDER if FASHION_FOLDER.is_dir() else None)
    assert whole.train_labels is not None  # Fashion-MNIST has labels
    assert whole.test_labels is not None  # likewise
    return whole._replace(
        train_inputs=whole.train_inputs[:12_000],
        train_labels=whole.train_labels[:12_000],
        test_inputs=whole.test_inputs[:1_000],
        test_labels=whole.test_labels[:1_000],
    )


def few_sprites() -> Split:
    """8,000 sprites whose label is known: small or large, in the left or the right half."""
    data = sprites(size=32).only(orientation=[0], x=range(4, 28), y=range(4, 28))
    factors = data.draw(9_000, generator=torch.Generator().manual_seed(0))
    scale, x = (factors[:, data.factor_names.index(name)] for name in ("scale", "x"))
    labels = 2 * (scale > 2).long() + (x > 15).long()
    names = ("small, left", "small, right", "large, left", "large, right")
    return split(data.sample(factors), labels, test_share=1 / 9, class_names=names)


def breast_cancer() -> Split:
    """Scikit-learn's table of 569 tumours and 30 measurements, in standard deviations."""
    from sklearn.datasets import load_breast_cancer

    table = load_breast_cancer()
    parts = split(
        torch.from_numpy(table.data).float(), torch.from_numpy(table.target).long(), test_share=0.25
    )
    mean, deviation = parts.train_inputs.mean(dim=0), parts.train_inputs.std(dim=0)
    return parts._replace(
        train_inputs=(parts.train_inputs - mean) / deviation,
        test_inputs=(parts.test_inputs - mean) / deviation,
        class_names=tuple(map(str, table.target_names)),
        feature_names=tuple(map(str, table.feature_names)),
    )


DATASETS = {
    "digits": Dataset(
        "4,000 handwritten digits",
        digits,
        new_classifier,
        lambda: VAE.convolutional((1, 28, 28), latent_size=10),
        classifier_epochs=20,
        epochs=14,
    ),
    "fashion": Dataset(
        "12,000 pictures of clothes",
        few_fashion,
        new_classifier,
        lambda: VAE.convolutional((1, 28, 28), latent_size=10),
        classifier_epochs=8,
        epochs=5,
    ),
    "sprites": Dataset(
        "8,000 sprites: small or large, left or right",
        few_sprites,
        lambda: new_classifier(size=32, classes=4),
        lambda: VAE.convolutional((1, 32, 32), latent_size=8),
        classifier_epochs=8,
        epochs=8,
    ),
    "breast-cancer": Dataset(
        "426 tumours, 30 measurements each",
        breast_cancer,
        lambda: nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Dropout(0.25), nn.Linear(32, 2)),
        lambda: VAE.dense((30,), latent_size=6, hidden=(64, 64), scale=0.5),
        classifier_epochs=100,
        epochs=100,
    ),
}


def load_classifier(path: str | Path, dataset: str = "digits") -> nn.Module:
    """Return the trained classifier that a demo saved, in eval mode.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: There is no such data set, or the file is damaged or of another one.
    """
    classifier = dataset_named(dataset).new_classifier()
    weights, _ = read_tensors(path, "classifier")
    check_finite_weights(weights, path)
    own, found = (
        {name: tuple(value.shape) for name, value in each.items()}
        for each in (classifier.state_dict(), weights)
    )
    check_same_shapes(own, found, path, "classifier")
    classifier.load_state_dict(weights)
    return classifier.eval()


def train_classifier(
    classifier: nn.Module, inputs: Tensor, labels: Tensor, *, epochs: int, batch_size: int = 128
) -> nn.Module:
    """Train a classifier in the ordinary way, in eval mode afterwards."""
    optimizer = torch.optim.Adam(classifier.parameters(), lr=2e-3)
    steps = epochs * -(-len(inputs) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    classifier.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs)).split(batch_size):
            loss = F.cross_entropy(classifier(inputs[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return classifier.eval()


def accuracy(classifier: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Share of examples whose label is predicted."""
    outputs = Predictor(classifier).in_batches(inputs)
    return (outputs.argmax(dim=1) == labels).double().mean().item()


def dataset_named(name: str) -> Dataset:
    """Return a data set of the demo.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in DATASETS:
        raise ValueError(
            f"`dataset` must be one of {', '.join(DATASETS)}. Got {name!r}. Choose one, or bring "
            "your own data to trimvae train."
        )
    return DATASETS[name]
