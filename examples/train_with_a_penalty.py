"""Train a code to be explainable, and compare it with one that is not.

    python -m examples.train_with_a_penalty

The same classifier, the same VAE, the same seed: once with prediction loss alone, once with the
sparsity penalty as well.
"""

import torch

from attributions import Sparsity
from examples.quick import QUICK, quick
from trimvae import VAE, explain, fit
from trimvae.cli.demo_data import new_classifier, train_classifier
from trimvae.data import digits


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    n = quick(None, 256)
    images, labels = data.train_inputs[:n], data.train_labels[:n]
    classifier = train_classifier(new_classifier(), images, labels, epochs=8)
    held_out = data.test_inputs[: quick(200, 48)]

    # --8<-- [start:compare]
    figures = {}
    for name, penalties in {"no penalty": [], "sparsity": [Sparsity(weight=6.0)]}.items():
        torch.manual_seed(0)
        vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=10)
        fit(vae, classifier, images, penalties=penalties, max_epochs=8)
        figures[name] = explain(vae, classifier, held_out, n_steps=16).metrics
    # --8<-- [end:compare]

    print(f"{'':24}" + "".join(f"{name:>14}" for name in figures))
    for figure in figures["sparsity"]:
        print(f"{figure:24}" + "".join(f"{each[figure]:14.4g}" for each in figures.values()))

    plain, sparse = figures.values()
    assert QUICK or sparse["effective_latents"] < 0.8 * plain["effective_latents"]
    assert QUICK or sparse["agreement"] > plain["agreement"] - 0.05


if __name__ == "__main__":
    main()
