"""Explain through an identifiable VAE, whose prior knows the class.

    python -m examples.latent_models.ivae

The class is the auxiliary variable u in training; explaining needs none.
"""

import torch
from torch.utils.data import TensorDataset

from examples.quick import QUICK, quick
from trimvae import explain, fit
from trimvae.cli.demo_data import new_classifier, train_classifier
from trimvae.data import digits
from trimvae.models import IVAE


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    n = quick(None, 256)
    images, labels = data.train_inputs[:n], data.train_labels[:n]
    classifier = train_classifier(new_classifier(), images, labels, epochs=8)

    code = IVAE.convolutional((1, 28, 28), latent_size=10, n_contexts=10)
    fit(
        code,
        classifier,
        TensorDataset(images, labels),
        prediction_weight=20.0,
        max_epochs=quick(8, 2),
    )
    explanation = explain(code, classifier, data.test_inputs[: quick(200, 40)], n_steps=32)
    print(explanation.summary())
    # The prior of a class is narrower where the class fixes the latent.
    spread = code.prior_given(torch.arange(10)).stddev
    print(f"prior deviations from {spread.min():.2f} to {spread.max():.2f}")
    assert QUICK or explanation.metrics["agreement"] > 0.8
    assert spread.min() < spread.max()


if __name__ == "__main__":
    main()
