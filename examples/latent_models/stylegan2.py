"""Which scale of an image does a classifier look at? StyleGAN2's layers as blocks.

    python -m examples.latent_models.stylegan2

A structural demonstration: the generator is trained for a minute only, on 8x8 digits. For a real
one, see `make latent-models`.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn

from examples.quick import QUICK, quick
from trimvae import explain, fit
from trimvae.cli.demo_data import train_classifier
from trimvae.models import StyleGAN2, invert


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.from_numpy(digits.images).float().unsqueeze(1) / 16
    some = images[: quick(16, 4)]
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    train_classifier(classifier, images, torch.from_numpy(digits.target), epochs=20)

    model = StyleGAN2(image_shape=(1, 8, 8), w_dim=16, channels=16)
    fit(model, None, images[: quick(None, 64)], max_epochs=quick(10, 1), batch_size=32)

    # W+ has a vector for each layer, and draws images that one vector for all layers cannot.
    start = model.baseline(1)
    wide = invert(model.decode, some, start, n_steps=quick(200, 20), warn_above=None)
    print(f"inverted to {wide.error.mean():.2f} of the images' variance")

    explanation = explain(model, classifier, some, n_steps=quick(32, 8))
    for block, share in zip(explanation.blocks, explanation.block_shares, strict=True):
        print(f"{block.name}: {share:.0%} of the evidence")
    assert len(explanation.blocks) == 4
    assert abs(float(explanation.block_shares.sum()) - 1) < 1e-4
    assert QUICK or float(wide.error.mean()) < 1


if __name__ == "__main__":
    main()
