"""Explain a classifier by InfoGAN's categories: which of them is which class?

    python -m examples.latent_models.infogan

Handwritten digits; writes a grid of what the categories draw to runs/examples/infogan.png.
"""

from pathlib import Path

import torch
from torchvision.utils import save_image

from examples.quick import QUICK, quick
from trimvae import explain, fit
from trimvae.cli.demo_data import new_classifier, train_classifier
from trimvae.data import digits
from trimvae.models import InfoGAN


def main() -> None:
    torch.manual_seed(0)
    data = digits()
    n = quick(None, 256)
    images, labels = data.train_inputs[:n], data.train_labels[:n]
    classifier = train_classifier(new_classifier(), images, labels, epochs=8)

    model = InfoGAN(image_shape=(1, 28, 28), n_categories=10, n_continuous=2)
    fit(model, None, images, max_epochs=quick(10, 2))

    held_out = data.test_inputs[: quick(64, 8)]
    explanation = explain(
        model, classifier, held_out, n_steps=quick(32, 8), class_names=data.class_names
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
    assert QUICK or recovered > 0.8
    assert explanation.block_shares[2] == 0  # noise is decoded, not explained


if __name__ == "__main__":
    main()
