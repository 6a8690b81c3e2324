"""Explain through an identifiable VAE, whose prior knows the class.

    python examples/latent_models/ivae.py

The class is the auxiliary variable u in training; explaining needs none.
"""

import torch
from torch.utils.data import TensorDataset

from trimvae import explain, fit
from trimvae.data import digits
from trimvae.demo import new_classifier, train_classifier
from trimvae.latent_models import IVAE


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    classifier = train_classifier(new_classifier(), data.train_inputs, data.train_labels, epochs=8)

    code = IVAE.convolutional((1, 28, 28), latent_size=10, n_contexts=10)
    fit(
        code,
        classifier,
        TensorDataset(data.train_inputs, data.train_labels),
        prediction_weight=20.0,
        max_epochs=8,
    )
    explanation = explain(code, classifier, data.test_inputs[:200], n_steps=32)
    print(explanation.summary())
    # The prior of a class is narrower where the class fixes the latent.
    spread = code.prior_given(torch.arange(10)).stddev
    print(f"prior deviations from {spread.min():.2f} to {spread.max():.2f}")
    assert explanation.metrics["agreement"] > 0.8
    assert spread.min() < spread.max()


if __name__ == "__main__":
    main()
