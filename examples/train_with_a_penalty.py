"""Train a code to be explainable, and compare it with one that is not.

    python examples/train_with_a_penalty.py

The same classifier, the same VAE, the same seed: once with prediction loss alone, once with the
sparsity penalty as well.
"""

import torch

from attributions import Sparsity
from trimvae import VAE, explain, fit
from trimvae.data import digits
from trimvae.demo import new_classifier, train_classifier


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    classifier = train_classifier(new_classifier(), data.train_inputs, data.train_labels, epochs=8)

    # --8<-- [start:compare]
    figures = {}
    for name, penalties in {"no penalty": [], "sparsity": [Sparsity(6.0)]}.items():
        torch.manual_seed(0)
        vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=10)
        fit(vae, classifier, data.train_inputs, penalties=penalties, max_epochs=8)
        figures[name] = explain(vae, classifier, data.test_inputs[:200], n_steps=16).metrics
    # --8<-- [end:compare]

    print(f"{'':24}" + "".join(f"{name:>14}" for name in figures))
    for figure in figures["sparsity"]:
        print(f"{figure:24}" + "".join(f"{each[figure]:14.4g}" for each in figures.values()))

    plain, sparse = figures.values()
    assert sparse["effective_latents"] < 0.8 * plain["effective_latents"]
    assert sparse["agreement"] > plain["agreement"] - 0.05


if __name__ == "__main__":
    main()
