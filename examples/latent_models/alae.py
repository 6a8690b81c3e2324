"""Explain a classifier through an adversarial latent autoencoder, which has no loss of pixels.

    python examples/latent_models/alae.py

Handwritten digits. Trained through the classifier: prediction loss and sparsity see the latents of
real images, and move encoder and generator together.
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

    model = ALAE(image_shape=(1, 28, 28), latent_size=16, channels=16)
    fit_generator(
        model,
        classifier,
        data.train_inputs,
        prediction_weight=2.0,
        penalties=[Sparsity(0.3)],
        max_epochs=6,
    )
    explanation = explain(model, classifier, data.test_inputs[:200], n_steps=50)
    print(explanation.summary())
    # Encoder and generator belong together: latents come back from what they draw.
    latents = model.draw(200)
    again = model.encode(model.decode(latents))
    mean = latents.mean(dim=0)
    cosine = torch.nn.functional.cosine_similarity(latents - mean, again - mean).mean()
    print(f"latents and those of what they draw: cosine {cosine:.2f}")
    assert cosine > 0.3
    assert explanation.metrics["completeness_error"] < 0.05


if __name__ == "__main__":
    main()
