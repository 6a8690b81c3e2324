"""Something smarter than pixels: the reconstruction must keep the classifier's own features.

    python examples/objectives/perceptual.py

Four latents are too few for every digit. With the features of the classifier's convolutions in
the reconstruction error, what is kept is what the classifier looks at.
"""

import torch

from trimvae import VAE, Perceptual, fit
from trimvae.data import digits
from trimvae.demo import new_classifier, train_classifier


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    images, labels = data.train_inputs[:2000], data.train_labels[:2000]
    classifier = train_classifier(new_classifier(), images, labels, epochs=5)

    last = {}
    for weight in (0.0, 100.0):
        torch.manual_seed(0)
        vae = VAE.convolutional((1, 28, 28), latent_size=4, channels=8, hidden=64)
        history = fit(
            vae,
            classifier,
            images,
            validation=data.test_inputs,
            objective=Perceptual(classifier, ["3"], weight=weight),
            prediction_weight=0,
            max_epochs=8,
            batch_size=32,
            progress=False,
        )
        last[weight] = history[-1]
        print(f"weight {weight:g}", *(f"{n} {v:.3g}" for n, v in history[-1].items()), sep="\n  ")

    assert last[100.0]["perceptual"] < last[0.0]["perceptual"]
    assert last[100.0]["validation_agreement"] > last[0.0]["validation_agreement"]


if __name__ == "__main__":
    main()
