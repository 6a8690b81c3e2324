"""Explain a classifier by InfoGAN's categories: which of them is which class?

    python examples/latent_models/infogan.py

Handwritten digits; writes a grid of what the categories draw to runs/examples/infogan.png.
"""

from pathlib import Path

import torch
from torchvision.utils import save_image

from trimvae import explain
from trimvae.data import digits
from trimvae.demo import new_classifier, train_classifier
from trimvae.latent_models import InfoGAN, fit_generator


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    classifier = train_classifier(new_classifier(), data.train_inputs, data.train_labels, epochs=8)

    model = InfoGAN(image_shape=(1, 28, 28), n_categories=10, n_continuous=2)
    fit_generator(model, None, data.train_inputs, max_epochs=10)

    explanation = explain(
        model, classifier, data.test_inputs[:64], n_steps=32, class_names=data.class_names
    )
    print(explanation.summary())
    for block, share in zip(explanation.blocks, explanation.block_shares, strict=True):
        print(f"{block.name}: {share:.0%} of the evidence")

    # Every category with the same eight draws of noise.
    latents = model.draw(8).repeat_interleave(10, dim=0)
    latents[:, :10] = torch.eye(10).repeat(8, 1)
    folder = Path("runs/examples")
    folder.mkdir(parents=True, exist_ok=True)
    save_image(model.decode(latents), folder / "infogan.png", nrow=10)

    drawn = model.draw(500)
    read = model.recognise(model.decode(drawn))
    recovered = (read[:, :10].argmax(1) == drawn[:, :10].argmax(1)).float().mean()
    print(f"categories that can be read from what they draw: {recovered:.2f}")
    assert recovered > 0.8
    assert explanation.block_shares[2] == 0  # noise is decoded, not explained


if __name__ == "__main__":
    main()
