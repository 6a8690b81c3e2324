"""Explain a classifier through diffusers' AutoencoderKL, and through few latents put over its grid.

    pip install 'trimvae[diffusers]'
    python -m examples.explain_an_autoencoder

The autoencoder has random weights here, since nothing is downloaded; so little survives it, and the
summary says so. Yours comes from `AutoencoderKL.from_pretrained`.
"""

import importlib.util

import torch
from torch import nn

from attributions.chaining import Chained
from attributions.flattening import Flattened
from examples.quick import quick
from trimvae import VAE, explain, fit
from trimvae.data import sprites


def main() -> None:
    if importlib.util.find_spec("diffusers") is None:
        print("skipped: pip install 'trimvae[diffusers]' brings AutoencoderKL")
        return
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    data = sprites(size=32, colours=6)
    pictures = data.sample(data.draw(quick(600, 40)))
    classifier = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.SiLU(), nn.Flatten(), nn.Linear(512, 3))

    # --8<-- [start:explain]
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 3, "norm_num_groups": 4}
    blocks |= {"up_block_types": ("UpDecoderBlock2D",) * 3, "block_out_channels": (8, 8, 8)}
    autoencoder = Flattened(AutoencoderKL(**blocks), value_range=(-1, 1))  # 4 x 8 x 8 latents
    explanation = explain(autoencoder, classifier, pictures[:8], n_steps=16)
    print(explanation.by_block.shape)  # (batch, classes, 4): by channel of the grid

    inner = VAE.dense((4, 8, 8), latent_size=6)
    chain = Chained(autoencoder, inner)
    fit(chain, classifier, pictures, max_epochs=quick(5, 1))
    print(explain(chain, classifier, pictures[:8]).summary())
    # --8<-- [end:explain]


if __name__ == "__main__":
    main()
