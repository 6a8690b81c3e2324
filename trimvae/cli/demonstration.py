"""The demonstration: a classifier, and its explanation through two codes side by side."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from attributions.heatmaps import new_figure, plot_heatmap
from attributions.penalties import Sparsity
from trimvae.cli import runs
from trimvae.cli.demo_data import Dataset, accuracy, dataset_named, train_classifier
from trimvae.cli.starting import Start
from trimvae.data import Split
from trimvae.explanation.explaining import explain, versions
from trimvae.explanation.explanation import Explanation
from trimvae.models import VAE
from trimvae.storage import write_json, write_tensors, write_text
from trimvae.training.fitting import fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_STEPS = 64

CLASSIFIER_FILE = '''"""The demo's classifier, as `trimvae explain` wants it: a function."""

from pathlib import Path

from trimvae.cli.demo_data import load_classifier


def classifier():
    return load_classifier(Path(__file__).with_name("classifier.safetensors"), {dataset!r})
'''


class Explained(NamedTuple):
    """A trained code, what it explains, and the figures."""

    vae: VAE
    explanation: Explanation
    metrics: dict[str, float]


def run(
    start: Start,
    *,
    dataset: str = "digits",
    seed: int = 0,
    epochs: int | None = None,
    say: Callable[[str], Any] = print,
    progress: bool = True,
) -> dict[str, Any]:
    """Train classifier, plain beta-VAE and trimvae; explain held-out examples with both.

    Args:
        start: Its folder receives metrics, figures, weights, configuration and report.
        dataset: A name of `DATASETS`.
        seed: Of everything that is learned.
        epochs: Of both VAEs; default: what suits the data set.
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
    folder = start.folder
    start.begin(_configuration(folder, dataset, data, seed=seed, epochs=epochs))
    say(f"1/4 training an ordinary classifier on {chosen.what}")
    classifier, predictor_accuracy = _classifier(chosen, data, seed)
    write_tensors(folder / "classifier.safetensors", classifier.state_dict(), "classifier", {})
    write_text(folder / "classifier.py", CLASSIFIER_FILE.format(dataset=dataset))
    say(
        f"    accuracy on {len(data.test_inputs):,} held-out examples {predictor_accuracy:.3f}; "
        "frozen from here on"
    )
    explained = functools.partial(
        _train_and_explain,
        chosen,
        data,
        classifier,
        seed=seed,
        epochs=epochs,
        progress=progress,
    )
    say("2/4 training a plain beta-VAE, which knows nothing of the classifier")
    plain = explained(through=False)
    say("3/4 training trimvae through the classifier: prediction loss and sparsity penalty")
    trim = explained(through=True)
    say("4/4 drawing, and writing the report")
    _draw(folder, dataset, data, plain, trim)
    metrics = {
        "dataset": dataset,
        "seed": seed,
        "predictor_accuracy": predictor_accuracy,
        "plain": plain.metrics,
        "trim": trim.metrics,
    }
    write_json(folder / "metrics.json", metrics)
    return metrics


def _configuration(
    folder: Path, dataset: str, data: Split, *, seed: int, epochs: int
) -> dict[str, Any]:
    chosen = dataset_named(dataset)
    return {
        "command": "demo",
        "dataset": dataset,
        "seed": seed,
        "epochs": epochs,
        "prediction_weight": chosen.prediction_weight,
        "sparsity": chosen.sparsity,
        "classifier": f"{folder / 'classifier.py'}:classifier",
        "class_names": data.class_names,
        "feature_names": data.feature_names,
        "versions": versions(),
    }


def _classifier(chosen: Dataset, data: Split, seed: int) -> tuple[nn.Module, float]:
    """A trained classifier and its accuracy on held-out examples."""
    assert data.train_labels is not None  # every data set of the demo has labels
    assert data.test_labels is not None  # likewise
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        classifier = train_classifier(
            chosen.new_classifier(),
            data.train_inputs,
            data.train_labels,
            epochs=chosen.classifier_epochs,
        )
    return classifier, accuracy(classifier, data.test_inputs, data.test_labels)


def _train_and_explain(
    chosen: Dataset,
    data: Split,
    classifier: nn.Module,
    *,
    through: bool,
    seed: int,
    epochs: int,
    progress: bool,
) -> Explained:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vae = chosen.new_vae()
    started = time.perf_counter()
    fit(
        vae,
        classifier,
        data.train_inputs,
        prediction_weight=chosen.prediction_weight if through else 0.0,
        penalties=[Sparsity(weight=chosen.sparsity)] if through else [],
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
    return Explained(vae, explanation, {**explanation.metrics, "train_seconds": seconds})


def _draw(folder: Path, dataset: str, data: Split, plain: Explained, trim: Explained) -> None:
    """Write the trained code, examples, pictures and the report."""
    trim.vae.save(folder / runs.CODE)
    runs.save_examples(folder, data.test_inputs, data.test_labels)
    figure = _plot_side_by_side(plain.explanation, trim.explanation)
    runs.save_figure(folder / "comparison.png", figure, dpi=150)
    runs.save_explanation(folder / "explanation", trim.explanation)
    title = f"What the classifier uses: {dataset}"
    trim.explanation.to_html(folder / "report.html", title=title)


def _plot_side_by_side(plain: Explanation, trim: Explanation) -> "Figure":
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
