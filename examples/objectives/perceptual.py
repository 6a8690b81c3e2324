"""Something smarter than pixels: the reconstruction must keep the classifier's own features.

    python -m examples.objectives.perceptual

Four latents are too few for every digit. With the features of the classifier's convolutions in
the reconstruction error, what is kept is what the classifier looks at.
"""

import torch

from examples.quick import QUICK, quick
from trimvae import VAE, fit
from trimvae.cli.demo_data import new_classifier, train_classifier
from trimvae.data import digits
from trimvae.objectives import Perceptual


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    n = quick(2000, 128)
    images, labels = data.train_inputs[:n], data.train_labels[:n]
    classifier = train_classifier(new_classifier(), images, labels, epochs=5)

    last = {}
    for weight in (0.0, 100.0):
        torch.manual_seed(0)
        vae = VAE.convolutional((1, 28, 28), latent_size=4, channels=8, hidden=64)
        history = fit(
            vae,
            classifier,
            images,
            validation=data.test_inputs[: quick(None, 64)],
            objective=Perceptual(classifier, ["3"], weight=weight),
            prediction_weight=0.0,
            max_epochs=quick(8, 2),
            batch_size=32,
            progress=False,
        )
        last[weight] = history[-1]
        print(f"weight {weight:g}", *(f"{n} {v:.3g}" for n, v in history[-1].items()), sep="\n  ")

    assert QUICK or last[100.0]["perceptual"] < last[0.0]["perceptual"]
    gain = last[100.0]["validation_agreement"] - last[0.0]["validation_agreement"]
    assert QUICK or gain > 0


if __name__ == "__main__":
    main()
