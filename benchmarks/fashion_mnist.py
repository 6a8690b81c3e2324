"""All of Fashion-MNIST: does the penalty make explanations simple at the same fidelity?

One classifier; for every seed the same VAE through it with prediction loss, without and with the
penalty. Prints, and writes to docs, mean and spread over seeds on the 10,000 held-out images
(attributions on the first 2,000, 32 path points). About two hours on two cores.

    python -m benchmarks.fashion_mnist --folder FOLDER_OF_IDX_FILES --seeds 10 11 12 13 14
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from attributions import Sparsity
from attributions.measures.fidelity import agreement, prediction_kl
from attributions.predictors import as_predictor
from benchmarks.sizes import SEEDS, add_fashion, docs, new_parser, results_folder, sized
from trimvae import VAE, explain, fit
from trimvae.cli.demo_data import accuracy, train_classifier
from trimvae.data import Split, fashion_mnist

LATENT_SIZE = 10
EPOCHS = sized(10, 1)
LEARNING_RATE = 4e-3
SCALE = 0.8
FIGURES = (
    "agreement",
    "prediction_kl",
    "reconstruction_error",
    "effective_latents",
    "latents_for_90_percent",
    "monotonicity",
    "latent_share",
    "completeness_error",
    "train_seconds",
)


def read(folder: str | None) -> Split:
    """All of Fashion-MNIST; in smoke mode its first images."""
    data = fashion_mnist(folder)
    n, held_out = sized(None, 256), sized(None, 32)
    return Split(
        data.train_inputs[:n],
        data.train_labels[:n],
        data.test_inputs[:held_out],
        data.test_labels[:held_out],
        data.class_names,
    )


def new_classifier() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.25),
        nn.Linear(1024, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def train_one(arguments: argparse.Namespace) -> None:
    """Train and measure one VAE in this process, on one thread."""
    torch.set_num_threads(1)
    data = read(arguments.folder)
    classifier = new_classifier().eval()
    classifier.load_state_dict(load_file(arguments.out / "classifier.safetensors"))
    torch.manual_seed(arguments.seed)
    vae = VAE.convolutional(
        image_shape=(1, 28, 28),
        latent_size=LATENT_SIZE,
        likelihood="gaussian",
        scale=arguments.scale,
    )
    started = time.perf_counter()
    fit(
        vae,
        classifier,
        data.train_inputs,
        prediction_weight=arguments.prediction_weight,
        penalties=[Sparsity(weight=arguments.weight)] if arguments.weight else [],
        max_epochs=arguments.epochs,
        learning_rate=LEARNING_RATE,
        seed=arguments.seed,
        progress=False,
    )
    seconds = time.perf_counter() - started
    figures = explain(vae, classifier, data.test_inputs[:2000], n_steps=32).metrics
    with torch.no_grad():
        decoded = torch.cat([vae(batch) for batch in data.test_inputs.split(500)])
    outputs, reencoded = (
        as_predictor(classifier).in_batches(images) for images in (data.test_inputs, decoded)
    )
    error = (decoded - data.test_inputs).pow(2).flatten(1).sum(1).mean()
    figures |= {  # fidelity and reconstruction on all 10,000
        "agreement": agreement(outputs, reencoded).item(),
        "prediction_kl": prediction_kl(outputs, reencoded).item(),
        "reconstruction_error": error.item(),
        "train_seconds": seconds,
    }
    name = result_name(arguments.seed, arguments.weight)
    vae.save(arguments.out / f"{name}.safetensors")
    (arguments.out / f"{name}.json").write_text(json.dumps(figures, indent=2))


def result_name(seed: int, weight: float) -> str:
    return f"seed{seed}_weight{weight:g}"


def prepare_classifier(arguments: argparse.Namespace) -> float:
    path = arguments.out / "classifier.safetensors"
    data = read(arguments.folder)
    classifier = new_classifier()
    if path.exists():
        classifier.load_state_dict(load_file(path))
    else:
        torch.manual_seed(0)
        train_classifier(classifier, data.train_inputs, data.train_labels, epochs=EPOCHS)
        save_file(classifier.state_dict(), path)
    return accuracy(classifier.eval(), data.test_inputs, data.test_labels)


def run_all(arguments: argparse.Namespace) -> None:
    """Two trainings at a time, each in a process of its own."""
    weights = (0.0, arguments.weight)
    for seed in arguments.seeds:
        processes = []
        for weight in weights:
            if (arguments.out / f"{result_name(seed, weight)}.json").exists():
                continue
            options = {
                "--folder": arguments.folder,
                "--out": arguments.out,
                "--seed": seed,
                "--weight": weight,
                "--epochs": arguments.epochs,
                "--prediction-weight": arguments.prediction_weight,
                "--scale": arguments.scale,
            }
            flat = [str(part) for pair in options.items() for part in pair]
            smoke = ["--smoke"] if arguments.smoke else []
            command = [sys.executable, "-m", "benchmarks.fashion_mnist", "--worker", *smoke, *flat]
            processes.append(subprocess.Popen(command))
        for process in processes:
            if process.wait():
                raise SystemExit(process.returncode)


def table(arguments: argparse.Namespace, predictor_accuracy: float) -> str:
    results = {
        weight: [
            json.loads((arguments.out / f"{result_name(seed, weight)}.json").read_text())
            for seed in arguments.seeds
        ]
        for weight in (0.0, arguments.weight)
    }
    lines = [
        f"Classifier: test accuracy {predictor_accuracy:.4f}. {len(arguments.seeds)} seeds, "
        f"{arguments.epochs} epochs of 60,000 images, {LATENT_SIZE} latents, Gaussian likelihood "
        f"of scale {arguments.scale:g}, prediction weight {arguments.prediction_weight:g}. "
        "Mean ± standard deviation over seeds.",
        "",
        f"| figure | no penalty | `Sparsity(weight={arguments.weight:g})` | ratio |",
        "|---|---|---|---|",
    ]
    for figure in FIGURES:
        columns = [[result[figure] for result in results[weight]] for weight in results]
        means = [statistics.mean(column) for column in columns]
        spreads = [statistics.stdev(column) if len(column) > 1 else 0.0 for column in columns]
        cells = " | ".join(f"{m:.4g} ± {s:.2g}" for m, s in zip(means, spreads, strict=True))
        lines.append(f"| {figure} | {cells} | {means[1] / means[0]:.3f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = new_parser(__doc__, seeds=SEEDS)
    add_fashion(parser)
    parser.add_argument("--out", type=Path, default=results_folder("fashion"))
    parser.add_argument("--weight", type=float, default=1.5)
    parser.add_argument("--prediction-weight", type=float, default=20.0)
    parser.add_argument("--scale", type=float, default=SCALE, help="of the Gaussian likelihood")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        train_one(arguments)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    predictor_accuracy = prepare_classifier(arguments)
    print(f"classifier: test accuracy {predictor_accuracy:.4f}", flush=True)
    run_all(arguments)
    text = table(arguments, predictor_accuracy)
    (docs("tables") / "fashion_mnist.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
