"""What the words of a command line name: data, and a run with all that it holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from attributions.black_boxes import as_function, is_black_box
from attributions.methods.captum import method_named
from trimvae.cli import runs
from trimvae.cli.codes import code_named
from trimvae.cli.trusting import Named, functions_of
from trimvae.data import (
    Split,
    arrays,
    csv_table,
    digits,
    fashion_mnist,
    image_folder,
    split,
    sprites,
)
from trimvae.explanation.baselines import NamedBaseline
from trimvae.explanation.columns import Classes
from trimvae.explanation.explaining import explain
from trimvae.explanation.explanation import Explanation
from trimvae.tables.asking import schema_of
from trimvae.tables.schema import TableSchema


def absolute_data(name: str) -> str:
    """Make a word of `--data` that holds from any folder."""
    if name in ("digits", "sprites", "fashion"):
        return name
    if name.startswith("fashion:"):
        return f"fashion:{Path(name.removeprefix('fashion:')).resolve()}"
    return str(Path(name).resolve())


def read_data(
    name: str,
    seed: int,
    grey: bool,
    label: str | None = None,
    schema: TableSchema | None = None,
) -> Split:
    """Data by the word of `--data`; of a CSV file by that of `--label`, and as a code knows it."""
    if name.endswith(".csv"):
        return csv_table(name, label=label, schema=schema, seed=seed)
    if label is not None:
        raise ValueError(
            f"`--label` must be left out unless `--data` is a CSV file. Got {label!r} and {name}. "
            "An .npz holds `labels`, a folder of images its subfolders."
        )
    if name == "digits":
        return digits()
    if name == "sprites":
        data = sprites(size=32)
        images = data.sample(data.draw(20_000, generator=torch.Generator().manual_seed(seed)))
        return split(images, seed=seed)
    if name == "fashion" or name.startswith("fashion:"):
        return fashion_mnist(name.removeprefix("fashion").removeprefix(":") or None)
    path = Path(name)
    if path.is_dir():
        return image_folder(path, channels=1 if grey else 3, seed=seed)
    return arrays(path, seed=seed)


class Opened(NamedTuple):
    """All that a run's folder gives, and the classifier."""

    folder: Path
    configuration: dict[str, Any]
    code: Any
    predictor: Any
    preprocess: Any
    inputs: Tensor
    labels: Tensor | None

    def classes_of(self, named: Sequence[str] | None) -> Classes | None:
        """Classes of a command line: names where there are such, else numbers; None for none."""
        names = self.configuration.get("class_names") or ()
        found = [
            int(each) if each.isdecimal() and each not in names else each for each in named or ()
        ]
        if len(found) == 1:  # which may be "all" or "predicted"
            return found[0]
        return found or None

    def explain(
        self,
        examples: int | None = None,
        method: str | None = None,
        *,
        baselines: str = "prior_mean",
        **options: Any,
    ) -> Explanation:
        """Explain the first examples with the run's settings.

        By integrated gradients, or, of a classifier without gradient, by exact Shapley values.

        Args:
            examples: How many; default: all.
            method: By its name; default: what suits the classifier.
            baselines: By their name; those that need a background take all inputs.
            **options: Of `explain`.
        """
        if method is None:
            without = is_black_box(as_function(self.predictor))
            method = "exact_shapley" if without else "integrated_gradients"
        return explain(
            self.code,
            self.predictor,
            self.inputs[:examples],
            preprocess=self.preprocess,
            method=method_named(method),
            task=self.configuration.get("task"),
            labels=None if self.labels is None else self.labels[:examples],
            class_names=self.configuration.get("class_names"),
            feature_names=self.configuration.get("feature_names"),
            baselines=cast("NamedBaseline", baselines),
            background=None if baselines == "prior_mean" else self.inputs,
            **options,
        )


def open_run(run: Path, named: Named, data: str | None = None) -> Opened:
    """Open a run's folder, which is data: code is the caller's own, or that of a trusted run.

    Args:
        run: The folder.
        named: Classifier and preprocessing, and whether those of the run are trusted.
        data: In place of the run's examples; default: these.

    Raises:
        FileNotFoundError: There is no run, or it is not finished.
        ValueError: A file of the run is damaged, or it names code that is not trusted.
    """
    folder, configuration = runs.open_run(run)
    code = runs.load_code(folder, code_named(configuration.get("model", "vae")))
    code.recurrence = runs.load_recurrence(folder, code)
    if data is None:
        inputs, labels = runs.load_examples(folder)
    else:
        seed, grey = configuration.get("seed", 0), configuration.get("grey", False)
        label = configuration.get("label") if data.endswith(".csv") else None
        parts = read_data(data, seed, grey, label, schema_of(code))
        inputs, labels = parts.test_inputs, parts.test_labels
    predictor, preprocess = functions_of(folder, configuration, named)
    return Opened(folder, configuration, code, predictor, preprocess, inputs, labels)
