"""The penalty study: which penalty makes explanations sparse at the same fidelity, and where?

Three data sets (t-shirt/dress/coat and all ten classes of Fashion-MNIST, MNIST digits), one
classifier each and seed; the same VAE through it with each penalty, and the loophole (no
prediction loss). Figures on 500 held-out images. Each result is kept in --out, so that an
interrupted study goes on; --only runs a part of it, --job I N every N-th run in this process.

    python -m benchmarks.explanations.penalties --folder FOLDER_OF_IDX_FILES --seeds 10 11 12 13 14
"""

import argparse
import itertools
import json
import warnings
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attributions import GroupSparsity, Sparsity
from attributions.heatmaps import PALETTE, new_figure
from benchmarks.sizes import SEEDS, add_fashion, docs, new_parser, results_folder, sized
from benchmarks.tables import interval, write
from trimvae import VAE, explain, fit
from trimvae.cli.demo_data import train_classifier
from trimvae.data import digits, fashion_mnist

FIGURES = (
    "agreement",
    "reconstruction_error",
    "effective_latents",
    "monotonicity",
    "completeness_error",
)
SCALE = 0.8


class Variant(NamedTuple):
    """How a VAE of the study is trained."""

    penalties: list
    prediction_weight: float = 20.0
    residual: bool = False


MAIN = {
    "none": Variant([]),
    "`path` 4": Variant([Sparsity(weight=4.0)]),
}
MORE = {
    "`path` 8": Variant([Sparsity(weight=8.0)]),
    "`l1_over_l2` 4": Variant([Sparsity(weight=4.0, form="l1_over_l2")]),
    "`group_sparsity` 4": Variant([GroupSparsity(weight=4.0)]),
    "`l1` 0.5": Variant([Sparsity(weight=0.5, form="l1")]),
    "none, no prediction loss": Variant([], 0.0),
    "`path` 4, no prediction loss": Variant([Sparsity(weight=4.0)], 0.0),
    "`l1` 0.5, no prediction loss": Variant([Sparsity(weight=0.5, form="l1")], 0.0),
    "`gini` 4": Variant([Sparsity(weight=4.0, form="gini")]),
    "`entropy` 4": Variant([Sparsity(weight=4.0, form="entropy")]),
    "`excess` 0.5": Variant([Sparsity(weight=0.5, form="excess")]),
    "`path` 4, residual": Variant([Sparsity(weight=4.0)], residual=True),
}
DATA = {
    "three": "t-shirt, dress, coat",
    "digits": "MNIST digits",
    "fashion": "ten Fashion-MNIST classes",
}
EPOCHS = sized({"three": 3, "digits": 16, "fashion": 4}, dict.fromkeys(DATA, 1))
CLASSIFIER_EPOCHS = sized({"three": 4, "digits": 12, "fashion": 4}, dict.fromkeys(DATA, 1))
N_TRAIN, N_TEST = sized(20_000, 256), sized(500, 24)


def load(name: str, folder: str | None) -> tuple[Tensor, Tensor, Tensor]:
    """Training inputs and labels, held-out inputs."""
    if name == "digits":
        data = digits()
        return data.train_inputs[:N_TRAIN], data.train_labels[:N_TRAIN], data.test_inputs[:N_TEST]
    data = fashion_mnist(folder)
    inputs, labels = data.train_inputs, data.train_labels
    test_inputs, test_labels = data.test_inputs, data.test_labels
    if name == "three":
        kept = torch.tensor([0, 3, 4])
        chosen, test_chosen = torch.isin(labels, kept), torch.isin(test_labels, kept)
        inputs, labels = inputs[chosen], torch.searchsorted(kept, labels[chosen])
        test_inputs = test_inputs[test_chosen]
    return inputs[:N_TRAIN], labels[:N_TRAIN], test_inputs[:N_TEST]


def new_classifier(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(32 * 49, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def run(data: str, variant: Variant, seed: int, folder: str | None) -> dict[str, float]:
    inputs, labels, held_out = load(data, folder)
    torch.manual_seed(seed)
    classifier = train_classifier(
        new_classifier(int(labels.max()) + 1), inputs, labels, epochs=CLASSIFIER_EPOCHS[data]
    )
    torch.manual_seed(seed)
    vae = VAE.convolutional(
        (1, 28, 28), 8 if data == "three" else 10, likelihood="gaussian", scale=SCALE
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the loophole is shown on purpose
        fit(
            vae,
            classifier,
            inputs,
            prediction_weight=variant.prediction_weight,
            penalties=variant.penalties,
            penalty_residual=variant.residual,
            max_epochs=EPOCHS[data],
            learning_rate=4e-3,
            seed=seed,
            progress=False,
        )
    return explain(vae, classifier, held_out, n_steps=32).metrics


def key(data: str, variant: str, seed: int) -> str:
    words = "".join(letter if letter.isalnum() else "_" for letter in variant)
    return f"{data}_{words}_{seed}.json"


def main() -> None:
    parser = new_parser(__doc__, seeds=SEEDS)
    add_fashion(parser)
    parser.add_argument("--out", type=Path, default=results_folder("penalties"))
    parser.add_argument("--only", choices=list(DATA), nargs="+", default=list(DATA))
    parser.add_argument("--table", action="store_true", help="only write the tables")
    parser.add_argument("--job", type=int, nargs=2, default=[0, 1], metavar=("I", "N"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    # What every table needs comes first, so that an interrupted study still says something.
    plan = [
        (data, name, MAIN[name], seed)
        for seed, data, name in itertools.product(arguments.seeds, arguments.only, MAIN)
    ]
    if "three" in arguments.only:
        plan += [
            ("three", name, MORE[name], seed)
            for name, seed in itertools.product(MORE, arguments.seeds)
        ]
    index, jobs = arguments.job
    for data, name, variant, seed in [] if arguments.table else plan[index::jobs]:
        path = arguments.out / key(data, name, seed)
        if path.exists():
            continue
        figures = run(data, variant, seed, arguments.folder)
        path.write_text(json.dumps(figures))
        print(data, name, seed, {k: round(figures[k], 4) for k in FIGURES[:4]}, flush=True)
    if jobs == 1:
        for data in arguments.only:
            tabulate(data, arguments)


def tabulate(data: str, arguments: argparse.Namespace) -> None:
    """Write one data set's table from the results in --out."""
    rows = {}
    for name in MAIN if data != "three" else {**MAIN, **MORE}:
        found = {
            seed: json.loads(path.read_text())
            for seed in arguments.seeds
            if (path := arguments.out / key(data, name, seed)).exists()
        }
        plain = {
            seed: json.loads((arguments.out / key(data, "none", seed)).read_text())
            for seed in found
        }
        rows[name] = {
            figure: interval([result[figure] for result in found.values()], digits)
            for figure, digits in zip(FIGURES, (3, 1, 2, 3), strict=False)
        }
        for title, figure, sign in (
            ("fewer latents", "effective_latents", -1),
            ("more error", "reconstruction_error", 1),
        ):
            changes = [sign * (found[seed][figure] / plain[seed][figure] - 1) for seed in found]
            rows[name][title] = f"{interval([100 * change for change in changes], 1)} %"
        rows[name]["seeds"] = str(len(found))
    note = (
        f"{DATA[data]}: {EPOCHS[data]} epochs of at most 20,000 images, Gaussian likelihood of "
        f"scale {SCALE:g}, prediction weight 20. "
        "`python -m benchmarks.explanations.penalties --seeds "
        f"{' '.join(map(str, arguments.seeds))}`"
    )
    write(f"penalties_{data}", note, rows, "penalty and weight")
    if data == "three":
        draw(data, arguments)


def draw(data: str, arguments: argparse.Namespace) -> None:
    """Trade-off: effective latents against agreement and error, mean and spread over seeds."""
    figure = new_figure(11, 4.6)
    for axes, name in zip(
        figure.subplots(1, 2), ("agreement", "reconstruction_error"), strict=True
    ):
        for index, variant in enumerate({**MAIN, **MORE}):
            found = [
                json.loads((arguments.out / key(data, variant, seed)).read_text())
                for seed in arguments.seeds
            ]
            points = torch.tensor([[one["effective_latents"], one[name]] for one in found])
            x, y = points.mean(dim=0)
            dx, dy = points.std(dim=0, correction=min(1, len(found) - 1))
            axes.errorbar(
                x,
                y,
                xerr=dx,
                yerr=dy,
                color=PALETTE[index % len(PALETTE)],
                marker="x" if "no prediction" in variant else "os"[index // len(PALETTE)],
                linewidth=0.8,
                linestyle="",
                label=variant.replace("`", ""),
            )
        axes.set_xlabel("effective latents (fewer is simpler)")
        axes.set_ylabel(name.replace("_", " "))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.suptitle("t-shirt, dress, coat; crosses: without prediction loss", fontsize=10)
    figure.savefig(docs("images") / "penalties.png", dpi=110)


if __name__ == "__main__":
    main()
