"""The demonstration: a classifier, and its explanation through two codes side by side."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from attributions import Sparsity
from attributions.heatmaps import new_figure, plot_heatmap
from attributions.predictors import predict_in_batches
from trimvae import runs
from trimvae.data import Split, digits, fashion_mnist, split, sprites
from trimvae.explaining import explain, versions
from trimvae.explanation import Explanation
from trimvae.files import write_json
from trimvae.training import fit
from trimvae.vae import VAE

N_STEPS = 64
# Where Debian's package dataset-fashion-mnist puts its files; torchvision downloads without it.
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASSIFIER_FILE = '''"""The demo's classifier, as `trimvae explain` wants it: a function."""

from pathlib import Path

from trimvae.demo import load_classifier


def classifier():
    return load_classifier(Path(__file__).with_name("classifier.safetensors"), {dataset!r})
'''


class Dataset(NamedTuple):
    """One data set of the demo, and the settings that suit it."""

    what: str
    read: Callable[[], Split]
    new_classifier: Callable[[], nn.Module]
    new_vae: Callable[[], VAE]
    classifier_epochs: int
    epochs: int
    """Of both VAEs."""
    prediction_weight: float = 10.0
    sparsity: float = 4.0


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
    assert whole.test_labels is not None
    return Split(
        whole.train_inputs[:12_000],
        whole.train_labels[:12_000],
        whole.test_inputs[:1_000],
        whole.test_labels[:1_000],
        whole.class_names,
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
        epochs=32,
    ),
    "fashion": Dataset(
        "12,000 pictures of clothes",
        few_fashion,
        new_classifier,
        lambda: VAE.convolutional((1, 28, 28), latent_size=10),
        classifier_epochs=8,
        epochs=11,
    ),
    "sprites": Dataset(
        "8,000 sprites: small or large, left or right",
        few_sprites,
        lambda: new_classifier(size=32, classes=4),
        lambda: VAE.convolutional((1, 32, 32), latent_size=8),
        classifier_epochs=8,
        epochs=16,
    ),
    "breast-cancer": Dataset(
        "426 tumours, 30 measurements each",
        breast_cancer,
        lambda: nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Dropout(0.25), nn.Linear(32, 2)),
        lambda: VAE.dense((30,), latent_size=6, hidden=(64, 64), scale=0.5),
        classifier_epochs=100,
        epochs=200,
    ),
}


def load_classifier(path: str | Path, dataset: str = "digits") -> nn.Module:
    """Return the trained classifier that the demo saved."""
    classifier = DATASETS[dataset].new_classifier()
    classifier.load_state_dict(load_file(path))
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
    return (predict_in_batches(classifier, inputs).argmax(1) == labels).double().mean().item()


def run(
    folder: Path,
    *,
    dataset: str = "digits",
    seed: int = 0,
    epochs: int | None = None,
    say: Any = print,
    progress: bool = True,
) -> dict[str, Any]:
    """Train classifier, plain beta-VAE and trimvae; explain held-out examples with both.

    Args:
        folder: Receives metrics, figures, weights, configuration and report.
        dataset: A name of `DATASETS`.
        seed: Of everything that is learned.
        epochs: Of both VAEs; what suits the data set without it.
        say: Called with a line of text before every stage.
        progress: Whether training shows a bar.

    Returns:
        What `metrics.json` holds.

    Raises:
        ValueError: There is no such data set.
    """
    chosen = dataset_named(dataset)
    epochs = epochs or chosen.epochs
    data = chosen.read()
    assert data.train_labels is not None  # all of them have labels
    assert data.test_labels is not None
    write_json(
        folder / runs.CONFIGURATION,
        {
            "command": "demo",
            "dataset": dataset,
            "seed": seed,
            "epochs": epochs,
            "prediction_weight": chosen.prediction_weight,
            "sparsity": chosen.sparsity,
            "classifier": str((folder / "classifier.py").resolve()) + ":classifier",
            "class_names": data.class_names,
            "feature_names": data.feature_names,
            "versions": versions(),
        },
    )
    say(f"1/4 training an ordinary classifier on {chosen.what}")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = train_classifier(
            chosen.new_classifier(),
            data.train_inputs,
            data.train_labels,
            epochs=chosen.classifier_epochs,
        )
    save_file(classifier.state_dict(), folder / "classifier.safetensors")
    (folder / "classifier.py").write_text(CLASSIFIER_FILE.format(dataset=dataset))
    predictor_accuracy = accuracy(classifier, data.test_inputs, data.test_labels)
    say(
        f"    accuracy on {len(data.test_inputs):,} held-out examples {predictor_accuracy:.3f}; "
        "frozen from here on"
    )

    def train_and_explain(through: bool) -> tuple[VAE, Explanation, dict[str, float]]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            vae = chosen.new_vae()
        started = time.perf_counter()
        fit(
            vae,
            classifier,
            data.train_inputs,
            prediction_weight=chosen.prediction_weight if through else 0.0,
            penalties=[Sparsity(chosen.sparsity)] if through else [],
            max_epochs=epochs,
            seed=seed,
            progress=progress,
        )
        seconds = time.perf_counter() - started
        explanation = explain(
            vae,
            classifier,
            data.test_inputs,
            n_steps=N_STEPS,
            labels=data.test_labels,
            class_names=data.class_names,
            feature_names=data.feature_names,
        )
        return vae, explanation, {**explanation.metrics, "train_seconds": seconds}

    say("2/4 training a plain beta-VAE, which knows nothing of the classifier")
    _, plain, plain_metrics = train_and_explain(through=False)
    say("3/4 training trimvae through the classifier: prediction loss and sparsity penalty")
    vae, trim, trim_metrics = train_and_explain(through=True)

    say("4/4 drawing, and writing the report")
    vae.save(folder / runs.CODE)
    runs.save_examples(folder, data.test_inputs[:256], data.test_labels[:256])
    _plot_side_by_side(plain, trim).savefig(folder / "comparison.png", dpi=150)
    runs.save_explanation(folder / "explanation", trim)
    trim.to_html(folder / "report.html", title=f"What the classifier uses: {dataset}")
    metrics = {
        "dataset": dataset,
        "seed": seed,
        "predictor_accuracy": predictor_accuracy,
        "plain": plain_metrics,
        "trim": trim_metrics,
    }
    write_json(folder / "metrics.json", metrics)
    return metrics


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


def _plot_side_by_side(plain: Explanation, trim: Explanation) -> Any:
    figure = new_figure(15, 5.2)
    heatmaps = [explanation.by_predicted_class for explanation in (plain, trim)]
    limit = max(float(attributions.nan_to_num().abs().max()) for attributions, _ in heatmaps)
    for explanation, (attributions, effective), title, axes in zip(
        (plain, trim), heatmaps, ("plain beta-VAE", "trimvae"), figure.subplots(1, 2), strict=True
    ):
        figures = explanation.metrics
        plot_heatmap(
            attributions,
            class_names=explanation.class_names,
            effective_latents=effective,
            agreement=explanation.agreement_by_class,
            title=f"{title}: agreement {figures['agreement']:.3f}, "
            f"effective latents {figures['effective_latents']:.2f}",
            label="mean attribution (centred logit)",
            limit=limit,
            ax=axes,
        )
    return figure
