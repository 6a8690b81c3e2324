"""Which penalty makes explanations sparse *and* monotone at the same fidelity?

One digit classifier; for every seed the same VAE with each penalty. Attributions of 250 held-out
digits, 20 path points; fidelity and error on the same. About five minutes on two cores.

    python benchmarks/penalties.py --seeds 0 1 2
"""

import argparse
import os
import statistics
import warnings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch import nn

from attributions import Sparsity
from trimvae import VAE, explain, fit
from trimvae.data import Split, digits
from trimvae.demo import new_classifier, train_classifier

EPOCHS = 12
FIGURES = ("agreement", "reconstruction_error", "effective_latents", "monotonicity")
VARIANTS = {
    "none": ([], 20.0),
    "`l1_over_l2`, 6": ([Sparsity(6.0, form="l1_over_l2")], 20.0),
    "`path`, 6 (the default)": ([Sparsity(6.0)], 20.0),
    "`l1`, 2, without prediction loss": ([Sparsity(2.0, form="l1")], 0.0),
}


def measure(variant: str, seed: int, classifier: nn.Module, data: Split) -> dict[str, float]:
    penalties, prediction_weight = VARIANTS[variant]
    torch.manual_seed(seed)
    vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the loophole is what the last row shows
        fit(
            vae,
            classifier,
            data.train_inputs,
            prediction_weight=prediction_weight,
            penalties=penalties,
            max_epochs=EPOCHS,
            seed=seed,
            progress=False,
        )
    return explain(vae, classifier, data.test_inputs[:250], n_steps=20).metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    data = digits()
    results: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for seed in arguments.seeds:
        torch.manual_seed(seed)
        classifier = train_classifier(
            new_classifier(), data.train_inputs, data.train_labels, epochs=20
        )
        for variant, found in results.items():
            found.append(measure(variant, seed, classifier, data))
    print("| penalty | " + " | ".join(FIGURES) + " |")
    print("|---|" + "---|" * len(FIGURES))
    for variant, found in results.items():
        columns = [[result[figure] for result in found] for figure in FIGURES]
        spreads = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in columns]
        cells = [
            f"{statistics.mean(values):.3g} ± {spread:.2g}"
            for values, spread in zip(columns, spreads, strict=True)
        ]
        print(f"| {variant} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
