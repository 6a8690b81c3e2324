"""The demonstration: a classifier explained through three codes, and by a second training."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attributions.heatmaps import new_figure
from trimvae.cli import runs, several
from trimvae.cli.demo_codes import Course
from trimvae.cli.demo_data import Dataset, accuracy, dataset_named, train_classifier
from trimvae.cli.starting import Start
from trimvae.data import Split
from trimvae.explanation.explaining import explain
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.recording import versions
from trimvae.figures.classes import plot_classes, title_of, whole_change
from trimvae.models import VAE
from trimvae.report.sentences import headline
from trimvae.storage import write_json, write_tensors, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of each code: enough for class dependence, which needs 20 examples of each of ten classes.
N_EXAMPLES, N_STEPS = 300, 20
# Of the code that is reported: attributions add up to 1 % of the change.
N_STEPS_REPORTED = 64

ARMS = {"plain": "plain beta-VAE", "prediction": "prediction loss alone", "trim": "trimvae"}
"""What each code of the comparison is called, by its name in `metrics.json`."""

CLASSIFIER_FILE = '''"""The demo's classifier, as `trimvae explain` wants it: a function."""

from pathlib import Path

from trimvae.cli.demo_data import load_classifier


def classifier():
    return load_classifier(Path(__file__).with_name("classifier.safetensors"), {dataset!r})
'''


def run(
    start: Start,
    *,
    dataset: str = "digits",
    seed: int = 0,
    epochs: int | None = None,
    say: Callable[[str], Any] = print,
    progress: bool = True,
) -> dict[str, Any]:
    """Train a classifier, explain it through three codes, and see whether a fourth agrees.

    Args:
        start: Its folder receives metrics, figures, weights, configuration and report.
        dataset: A name of `DATASETS`.
        seed: Of everything that is learned; the second training of trimvae's code has the next.
        epochs: Of every code, before trimvae's axes; default: what suits the data set.
        say: Called with a line of text before every stage, and with what was found.
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
    say(f"1/5 training an ordinary classifier on {chosen.what}")
    classifier, predictor_accuracy = _classifier(chosen, data, seed)
    write_tensors(folder / "classifier.safetensors", classifier.state_dict(), "classifier", {})
    write_text(folder / "classifier.py", CLASSIFIER_FILE.format(dataset=dataset))
    say(
        f"    accuracy on {len(data.test_inputs):,} held-out examples {predictor_accuracy:.3f}; "
        "frozen from here on"
    )
    course = Course(chosen, data, classifier, epochs, progress)
    say("2/5 training a plain beta-VAE, which knows nothing of the classifier")
    codes = {"plain": course.plain(seed)}
    say("3/5 training trimvae through the classifier: prediction loss, axes, shared sparsity")
    first = course.through(seed)
    trim = course.along_axes(first, seed)
    codes["prediction"] = course.without_axes(first, seed)
    say("4/5 training trimvae once more, from another seed")
    second = course.along_axes(course.through(seed + 1), seed + 1)
    found = several.consensus_of(
        [trim.vae, second.vae], classifier, data, layer=None, preprocess=None, task=None, seed=seed
    )
    codes["trim"] = trim._replace(vae=found.code)
    found.code.recurrence = found.recurrence
    say("5/5 explaining held-out examples, drawing, and writing the report")
    explanations = {name: _explained(course, codes[name].vae, N_STEPS) for name in ARMS}
    codes["trim"].vae.save(folder / runs.CODE)
    runs.save_figure(folder / "comparison.png", _plot_side_by_side(explanations), dpi=150)
    reported = _explained(course, codes["trim"].vae, N_STEPS_REPORTED)
    _write(folder, dataset, data, reported)
    several.keep_consensus(folder, found, seed)
    say(found.in_words)
    metrics = {
        "dataset": dataset,
        "seed": seed,
        "predictor_accuracy": predictor_accuracy,
        **{
            name: {**explanation.metrics, "train_seconds": codes[name].seconds}
            for name, explanation in explanations.items()
        },
        "consensus": found.to_dict(),
        "found": headline(reported),
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
        "codes": 2,
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


def _explained(course: Course, code: VAE, n_steps: int) -> Explanation:
    """Explain held-out examples."""
    data, few = course.data, slice(N_EXAMPLES)
    return explain(
        code,
        course.classifier,
        data.test_inputs[few],
        n_steps=n_steps,
        labels=None if data.test_labels is None else data.test_labels[few],
        class_names=data.class_names,
        feature_names=data.feature_names,
    )


def _write(folder: Path, dataset: str, data: Split, trim: Explanation) -> None:
    """Write examples, the explanation and the report."""
    runs.save_examples(folder, data.test_inputs, data.test_labels)
    runs.save_explanation(folder / "explanation", trim)
    trim.to_html(folder / "report.html", title=f"What the classifier uses: {dataset}")


def _plot_side_by_side(explained: Mapping[str, Explanation]) -> "Figure":
    """Heatmaps of the plain code and of trimvae's, in the same colours."""
    sides = {name: explained[name] for name in ("plain", "trim")}
    limit = max(map(whole_change, sides.values()))
    figure = new_figure(15, 5.4)
    for (name, explanation), axes in zip(
        sides.items(), figure.subplots(1, len(sides)), strict=True
    ):
        effective = explanation.metrics["effective_latents"]
        title = title_of(explanation, f"{ARMS[name]}: {effective:.1f} effective latents")
        plot_classes(explanation, title=title, limit=limit, ax=axes)
    return figure
