"""The demonstration: a digit classifier, and its explanation through two codes side by side."""

import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from attributions import Sparsity
from attributions.heatmaps import new_figure, plot_heatmap
from attributions.predictors import predict_in_batches
from trimvae import runs
from trimvae.data import Split, digits
from trimvae.explaining import explain, versions
from trimvae.explanation import Explanation
from trimvae.files import write_json
from trimvae.training import fit
from trimvae.vae import VAE

LATENT_SIZE = 10
EPOCHS = 32
PREDICTION_WEIGHT = 10.0
SPARSITY = 4.0
N_STEPS = 64
CLASSIFIER_FILE = '''"""The demo's classifier, as `trimvae explain` wants it: a function."""

from pathlib import Path

from trimvae.demo import load_classifier


def classifier():
    return load_classifier(Path(__file__).with_name("classifier.safetensors"))
'''


def new_classifier() -> nn.Module:
    """Return an ordinary untrained convolutional classifier of 28x28 digits, with dropout."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(32 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def load_classifier(path: str | Path) -> nn.Module:
    """Return the trained classifier that the demo saved."""
    classifier = new_classifier()
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


def run(folder: Path, *, seed: int = 0, epochs: int = EPOCHS, say: Any = print) -> dict[str, Any]:
    """Train classifier, plain beta-VAE and trimvae; explain held-out digits with both.

    Args:
        folder: Receives metrics, figures, weights and configuration.
        seed: Of everything that is learned.
        epochs: Of both VAEs.
        say: Called with a line of text before every stage.

    Returns:
        What `metrics.json` holds.
    """
    data = digits()
    assert data.train_labels is not None  # digits have labels
    assert data.test_labels is not None
    write_json(
        folder / runs.CONFIGURATION,
        {
            "command": "demo",
            "seed": seed,
            "epochs": epochs,
            "latent_size": LATENT_SIZE,
            "prediction_weight": PREDICTION_WEIGHT,
            "sparsity": SPARSITY,
            "classifier": str((folder / "classifier.py").resolve()) + ":classifier",
            "class_names": data.class_names,
            "versions": versions(),
        },
    )
    say("1/4 training an ordinary classifier on 4,000 handwritten digits")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = train_classifier(
            new_classifier(), data.train_inputs, data.train_labels, epochs=20
        )
    save_file(classifier.state_dict(), folder / "classifier.safetensors")
    (folder / "classifier.py").write_text(CLASSIFIER_FILE)
    predictor_accuracy = accuracy(classifier, data.test_inputs, data.test_labels)
    say(f"    accuracy on 1,000 held-out digits {predictor_accuracy:.3f}; frozen from here on")

    say("2/4 training a plain beta-VAE, which knows nothing of the classifier")
    _, plain, plain_metrics = _train_and_explain(classifier, data, seed, epochs, through=False)
    say("3/4 training trimvae through the classifier: prediction loss and sparsity penalty")
    vae, trim, trim_metrics = _train_and_explain(classifier, data, seed, epochs, through=True)

    say("4/4 drawing")
    vae.save(folder / "vae.safetensors")
    runs.save_examples(folder, data.test_inputs[:256], data.test_labels[:256])
    _plot_side_by_side(plain, trim).savefig(folder / "comparison.png", dpi=150)
    runs.save_explanation(folder / "explanation", trim)
    metrics = {
        "seed": seed,
        "predictor_accuracy": predictor_accuracy,
        "plain": plain_metrics,
        "trim": trim_metrics,
    }
    write_json(folder / "metrics.json", metrics)
    return metrics


def _train_and_explain(
    classifier: nn.Module, data: Split, seed: int, epochs: int, *, through: bool
) -> tuple[VAE, Explanation, dict[str, float]]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=LATENT_SIZE)
    started = time.perf_counter()
    fit(
        vae,
        classifier,
        data.train_inputs,
        prediction_weight=PREDICTION_WEIGHT if through else 0.0,
        penalties=[Sparsity(SPARSITY)] if through else [],
        max_epochs=epochs,
        seed=seed,
    )
    seconds = time.perf_counter() - started
    explanation = explain(
        vae, classifier, data.test_inputs, n_steps=N_STEPS, class_names=data.class_names
    )
    return vae, explanation, {**explanation.metrics, "train_seconds": seconds}


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
            title=f"{title}: agreement {figures['agreement']:.3f}, "
            f"effective latents {figures['effective_latents']:.2f}",
            label="mean attribution (centred logit)",
            limit=limit,
            ax=axes,
        )
    return figure
