"""Small convolutional networks of InfoGAN and ALAE."""

import math
from collections.abc import Sequence

from torch import nn


def check_sides(image_shape: Sequence[int]) -> None:
    """Raise a ValueError unless both sides can be halved twice."""
    if any(side % 4 for side in image_shape[1:]):
        raise ValueError(
            f"`image_shape` must have sides divisible by 4. Got {tuple(image_shape)}. Pad them."
        )


def generator(latent_size: int, image_shape: Sequence[int], channels: int) -> nn.Module:
    """Two dense layers and two transposed convolutions, to images in (0, 1)."""
    height, width = (side // 4 for side in image_shape[1:])
    return nn.Sequential(
        nn.Linear(latent_size, 128),
        nn.BatchNorm1d(128),
        nn.SiLU(),
        nn.Linear(128, channels * height * width),
        nn.BatchNorm1d(channels * height * width),
        nn.SiLU(),
        nn.Unflatten(1, (channels, height, width)),
        nn.ConvTranspose2d(channels, channels, 4, 2, 1),
        nn.BatchNorm2d(channels),
        nn.SiLU(),
        nn.ConvTranspose2d(channels, image_shape[0], 4, 2, 1),
        nn.Sigmoid(),
    )


def trunk(image_shape: Sequence[int], channels: int, features: int) -> nn.Module:
    """Two convolutions and a dense layer: images to features."""
    cells = math.prod(side // 4 for side in image_shape[1:])
    return nn.Sequential(
        nn.Conv2d(image_shape[0], channels, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels, 2 * channels, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(2 * channels * cells, features),
        nn.LeakyReLU(0.2),
    )


def perceptron(before: int, hidden: int, after: int) -> nn.Module:
    """Three dense layers: vectors `(batch, before)` to `(batch, after)`."""
    return nn.Sequential(
        nn.Linear(before, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, after),
    )
