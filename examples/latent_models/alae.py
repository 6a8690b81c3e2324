"""Explain a classifier through an adversarial latent autoencoder, which has no loss of pixels.

    python -m examples.latent_models.alae

Handwritten digits. Trained through the classifier: prediction loss and sparsity see the latents of
real images, and move encoder and generator together.
"""

import torch

from attributions import Sparsity
from examples.quick import QUICK, quick
from trimvae import explain, fit
from trimvae.cli.demo_data import new_classifier, train_classifier
from trimvae.data import digits
from trimvae.models import ALAE


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    n = quick(None, 256)
    images, labels = data.train_inputs[:n], data.train_labels[:n]
    classifier = train_classifier(new_classifier(), images, labels, epochs=8)

    model = ALAE(image_shape=(1, 28, 28), latent_size=16, channels=16)
    fit(
        model,
        classifier,
        images,
        prediction_weight=2.0,
        penalties=[Sparsity(weight=0.3)],
        max_epochs=quick(6, 1),
    )
    explanation = explain(model, classifier, data.test_inputs[: quick(200, 24)], n_steps=50)
    print(explanation.summary())
    # Encoder and generator belong together: latents come back from what they draw.
    latents = model.draw(200)
    again = model.encode(model.decode(latents))
    mean = latents.mean(dim=0)
    cosine = torch.nn.functional.cosine_similarity(latents - mean, again - mean).mean()
    print(f"latents and those of what they draw: cosine {cosine:.2f}")
    assert QUICK or cosine > 0.3
    assert explanation.metrics["completeness_error"] < 0.05


if __name__ == "__main__":
    main()
