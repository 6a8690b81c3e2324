"""Explain a classifier through an adversarial latent autoencoder, trained through the classifier.

    python examples/latent_models/alae.py

Handwritten digits; the prediction loss asks that what is drawn again gets the classifier's output.
"""

import torch

from attributions import Sparsity
from trimvae import explain
from trimvae.data import digits
from trimvae.demo import new_classifier, train_classifier
from trimvae.latent_models import ALAE, fit_generator


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    classifier = train_classifier(new_classifier(), data.train_inputs, data.train_labels, epochs=8)

    model = ALAE(image_shape=(1, 28, 28), latent_size=16)
    fit_generator(
        model,
        classifier,
        data.train_inputs,
        prediction_weight=1.0,
        penalties=[Sparsity(0.3)],
        penalty_examples=8,
        max_epochs=8,
    )
    explanation = explain(model, classifier, data.test_inputs[:200], n_steps=50)
    print(explanation.summary())
    assert explanation.metrics["agreement"] > 0.5
    assert explanation.metrics["completeness_error"] < 0.05


if __name__ == "__main__":
    main()
