"""StylEx on Fashion-MNIST: what does the classifier's loss add, and what does a VAE do in its time?

For each seed one classifier, and three codes: StylEx through the classifier, the same without the
classifier's loss (its control), and a VAE through the classifier that trains as many CPU seconds as
the first. The control takes the same steps as StylEx. All on 1,000 held-out images; figures of each
run are kept in --out, so that an interrupted run goes on.

    python -m benchmarks.latent_models.stylex
    python -m benchmarks.latent_models.stylex --images my_pictures --side 128 --accelerator gpu
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attributions import explanatory_axes
from benchmarks.sizes import new_parser, require_fashion, results_folder, sized
from benchmarks.tables import interval, write
from trimvae import VAE, explain, fit
from trimvae.cli.demo_data import accuracy, few_fashion, new_classifier, train_classifier
from trimvae.data import Split, image_folder
from trimvae.models import StylEx

STYLEX, CONTROL, OTHER = "StylEx", "StylEx, no classifier loss", "VAE"
BATCH = 32
LATENTS = 16
N_EXPLAINED, N_TURNED = sized(256, 4), sized(2000, 32)
# Each figure with its digits. Missed is a share of the pixels' variance; along axes are the latents
# that carry the evidence for one decision once `explanatory_axes` has turned them.
FIGURES = {"agreement": 3, "missed": 3, "effective latents": 2, "along axes": 2, "seconds": 0}


def pictures(options: argparse.Namespace, seed: int) -> Split:
    """A folder's pictures, or some of Fashion-MNIST, averaged to a smaller square."""
    side = options.side
    if options.images is not None:
        return image_folder(options.images, size=(side, side), seed=seed)
    data = few_fashion()
    n = sized(len(data.train_inputs), 96)
    return data._replace(
        train_inputs=nn.functional.adaptive_avg_pool2d(data.train_inputs[:n], side),
        train_labels=None if data.train_labels is None else data.train_labels[:n],
        test_inputs=nn.functional.adaptive_avg_pool2d(data.test_inputs[:n], side),
        test_labels=None if data.test_labels is None else data.test_labels[:n],
    )


def classifier_of(data: Split, seed: int) -> nn.Module:
    """An ordinary classifier of the images, on whose held-out accuracy all else rests."""
    torch.manual_seed(seed)
    channels, side, _ = data.train_inputs.shape[1:]
    labels, held_out = data.train_labels, data.test_labels
    if labels is None or held_out is None:
        raise SystemExit("A classifier needs labels.")
    classifier = new_classifier(channels, side, int(labels.max()) + 1)
    train_classifier(classifier, data.train_inputs, labels, epochs=sized(6, 1))
    found = accuracy(classifier, data.test_inputs, held_out)
    print(f"seed {seed}: accuracy {found:.3f}", flush=True)
    return classifier


def trained(
    code: Any, classifier: nn.Module, images: Tensor, seed: int, **options: Any
) -> tuple[Any, float]:
    """A code after `fit`, and the CPU seconds that it took; of a GPU the seconds of the wall."""
    clock = time.perf_counter if options.get("accelerator") == "gpu" else time.process_time
    start = clock()
    fit(code, classifier, images, seed=seed, progress=False, **options)
    return code, clock() - start


def arms(
    data: Split, classifier: nn.Module, seed: int, options: argparse.Namespace
) -> dict[str, tuple[Any, float]]:
    """The three codes of a seed, each with its seconds."""
    images = data.train_inputs
    channels, height, width = images.shape[1:]
    shape = (channels, height, width)
    given: dict[str, Any] = {"accelerator": options.accelerator, "max_epochs": options.epochs}

    def stylex() -> StylEx:
        torch.manual_seed(seed)
        # Pixels are summed: their weight is that of 784 pixels at 0.1.
        weight = 0.1 * 784 / images[0].numel()
        return StylEx(shape, w_dim=LATENTS, channels=options.channels, pixel_weight=weight)

    def vae() -> VAE:
        torch.manual_seed(seed)
        return VAE.residual(shape, LATENTS, channels=options.channels)

    found = {
        STYLEX: trained(stylex(), classifier, images, seed, batch_size=BATCH, **given),
        CONTROL: trained(
            stylex(), classifier, images, seed, batch_size=BATCH, prediction_weight=0.0, **given
        ),
    }
    _, once = trained(vae(), classifier, images, seed, **{**given, "max_epochs": 1})
    epochs = sized(max(1, round(found[STYLEX][1] / once)), 1)
    found[OTHER] = trained(vae(), classifier, images, seed, **{**given, "max_epochs": epochs})
    return found


def figures(code: Any, classifier: nn.Module, data: Split, seconds: float) -> dict[str, float]:
    """What is kept of a run, by the names of the table."""
    code, classifier = code.cpu().eval(), classifier.cpu()
    inputs = data.test_inputs
    with torch.no_grad():
        drawn = torch.cat([code.decode(latents_of(code, part)) for part in inputs.split(100)])
        kept = classifier(drawn).argmax(1) == classifier(inputs).argmax(1)
    missed = (drawn - inputs).pow(2).sum() / (inputs - inputs.mean(dim=0)).pow(2).sum()
    turned = explanatory_axes(code, classifier, data.train_inputs[:N_TURNED])
    return {
        "agreement": kept.double().mean().item(),
        "missed": missed.item(),
        "effective latents": effective(code, classifier, inputs),
        "along axes": effective(turned, classifier, inputs),
        "seconds": seconds,
    }


def latents_of(code: Any, inputs: Tensor) -> Tensor:
    """Latents, the mean of a posterior."""
    found = code.encode(inputs)
    latents: Tensor = found if isinstance(found, Tensor) else found.mean
    return latents


def effective(code: Any, classifier: nn.Module, inputs: Tensor) -> float:
    """How many latents carry the evidence for one decision."""
    explanation = explain(code, classifier, inputs[:N_EXPLAINED], n_steps=sized(32, 4))
    return float(explanation.metrics["effective_latents"])


def tabulate(kept: Path, name: str, what: str) -> None:
    """Write the table of all runs that were kept."""
    results = [json.loads(path.read_text()) for path in sorted(kept.glob(f"{name}_seed_*.json"))]
    rows = {
        arm: {
            figure: interval(
                [result[arm][figure] for result in results],
                digits,
            )
            for figure, digits in FIGURES.items()
        }
        for arm in (STYLEX, CONTROL, OTHER)
    }
    write(name, f"{what} Seeds: {len(results)}.", rows, "code")


def main() -> None:
    parser = new_parser(__doc__, seeds=[10, 11, 12, 13, 14])
    parser.add_argument("--images", type=Path, help="a folder of pictures; default: Fashion-MNIST")
    parser.add_argument("--side", type=int, default=16, help="pixels; default: 16")
    parser.add_argument("--channels", type=int, default=16, help="of StylEx; default: 16")
    parser.add_argument("--epochs", type=int, default=sized(2, 1), help="of StylEx; default: 2")
    parser.add_argument("--accelerator", default="cpu", help="Lightning's word; default: cpu")
    parser.add_argument("--out", type=Path, default=results_folder("stylex"))
    parser.add_argument("--table", action="store_true", help="only write the table")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if options.images is None:
        require_fashion()
        name, what = "stylex", f"Fashion-MNIST averaged to {options.side} pixels, 12,000 images."
    else:
        name, what = f"stylex_{options.side}", f"Pictures of {options.side} pixels."
    for seed in [] if options.table else options.seeds:
        path = options.out / f"{name}_seed_{seed}.json"
        if path.exists():
            continue
        data = pictures(options, seed)
        classifier = classifier_of(data, seed)
        result = {
            arm: figures(code, classifier, data, seconds)
            for arm, (code, seconds) in arms(data, classifier, seed, options).items()
        }
        path.write_text(json.dumps(result))
        print(seed, json.dumps(result), flush=True)
    tabulate(options.out, name, what)


if __name__ == "__main__":
    main()
