"""Discs whose every factor is known, marks beside them, and who reads and paints them.

A picture is a soft disc of brightness .6 on a ground of .2, 28 x 28 pixels, at (x, y) with radius
r. Marks are patterns without mean, small beside the disc: an encoder by moments does not see them.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.sizes import sized
from trimvae import VAE, fit
from trimvae.cli.demo_data import train_classifier
from trimvae.objectives import BetaVAE

SIZE = 28
LOW, HIGH = torch.tensor([8.0, 8.0, 3.0]), torch.tensor([20.0, 20.0, 6.0])
MEAN, DEVIATION = (LOW + HIGH) / 2, (HIGH - LOW) / 12**0.5
MIDDLE = 14.0
GROUND, BRIGHT = 0.2, 0.6
N_TRAIN, N_TEST = sized((3_000, 300), (256, 64))
EPOCHS, CLASSIFIER_EPOCHS = sized((10, 6), (1, 6))

_ROWS, _COLUMNS = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")

CHECKERS = ((_ROWS + _COLUMNS) % 2 * 2 - 1).unsqueeze(0)
STRIPES = ((_ROWS + _COLUMNS) % 4 < 2).float().mul(2).sub(1).unsqueeze(0)
WAVES = torch.stack(
    [torch.sin(2 * torch.pi * _COLUMNS / 7), torch.cos(2 * torch.pi * _COLUMNS / 7)]
).unsqueeze(1)


def draw_factors(count: int, seed: int) -> Tensor:
    """Independent x, y and r, `(count, 3)`."""
    uniform = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))
    return LOW + uniform * (HIGH - LOW)


def discs(factors: Tensor) -> Tensor:
    """Pictures of factors `(n, 3)`, `(n, 1, 28, 28)`; differentiable."""
    x, y, r = (column[:, None, None] for column in factors.unbind(dim=1))
    distance = ((_COLUMNS - x).square() + (_ROWS - y).square() + 1e-6).sqrt()
    return (GROUND + BRIGHT * torch.sigmoid((r - distance) / 0.5)).unsqueeze(1)


def read(inputs: Tensor) -> Tensor:
    """Factors of pictures by moments, `(n, 3)`; differentiable."""
    weight = (inputs[:, 0] - GROUND) / BRIGHT
    area = weight.sum(dim=(1, 2)).clamp_min(1.0)
    x = (weight * _COLUMNS).sum(dim=(1, 2)) / area
    y = (weight * _ROWS).sum(dim=(1, 2)) / area
    # The soft edge adds the variance of a logistic distribution of scale .5 to the squared radius.
    r = (area / torch.pi - (torch.pi * 0.5) ** 2 / 3).clamp_min(1.0).sqrt()
    return torch.stack([x, y, r], dim=1)


def scaled(factors: Tensor) -> Tensor:
    """Factors in standard deviations from their mean."""
    return (factors - MEAN) / DEVIATION


def unscaled(latents: Tensor) -> Tensor:
    """Factors of latents, back."""
    return MEAN + latents * DEVIATION


def mark_of(inputs: Tensor, pattern: Tensor) -> Tensor:
    """How much of a pattern is in pictures, `(n,)`: 1 where it was added with amplitude 1."""
    return (inputs * pattern).mean(dim=(1, 2, 3)) / pattern.square().mean()


def marked(inputs: Tensor, pattern: Tensor, amount: Tensor) -> Tensor:
    """Pictures with so much of a pattern `(n,)` added."""
    return inputs + amount[:, None, None, None] * pattern


def new_classifier(channels: int, size: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * (size // 4) ** 2, 32),
        nn.ReLU(),
        nn.Linear(32, classes),
    )


def learned(
    inputs: Tensor, labels: Tensor, seed: int, epochs: int = CLASSIFIER_EPOCHS
) -> nn.Module:
    """An ordinary small network, trained on labels."""
    torch.manual_seed(seed)
    channels, size = inputs.shape[1:3]
    classifier = new_classifier(channels, size, int(labels.max()) + 1)
    return train_classifier(classifier, inputs, labels, epochs=epochs, batch_size=64)


def fitted(
    predictor: nn.Module | None,
    inputs: Tensor,
    seed: int,
    *,
    latents: int = 6,
    weight: float = 10.0,
    epochs: int = EPOCHS,
    beta: float = 1.0,
) -> VAE:
    """A VAE of pictures, trained through a predictor or, for None, without one."""
    torch.manual_seed(seed)
    channels, height, width = inputs.shape[1:]
    vae = VAE.convolutional((channels, height, width), latents, channels=12, hidden=96)
    fit(
        vae,
        predictor,
        inputs,
        objective=BetaVAE(beta),
        prediction_weight=0.0 if predictor is None else weight,
        max_epochs=epochs,
        batch_size=64,
        seed=seed,
        progress=False,
    )
    return vae


@functools.lru_cache(maxsize=4)
def plain(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Factors and pictures to train on, and held out."""
    train, test = draw_factors(N_TRAIN, 2 * seed), draw_factors(N_TEST, 2 * seed + 1)
    return train, discs(train), test, discs(test)


def lit(pictures: Tensor, seed: int) -> Tensor:
    """Pictures whose contrast and overall brightness go with nothing."""
    drawn = torch.rand(2, len(pictures), 1, 1, 1, generator=torch.Generator().manual_seed(seed))
    contrast, brightness = 0.5 + 0.6 * drawn[0], 0.24 * drawn[1] - 0.12
    return GROUND + contrast * (pictures - GROUND) + brightness


@functools.lru_cache(maxsize=16)
def reader(name: str, seed: int) -> nn.Module:
    """A network that has learned a rule of plain discs."""
    factors, pictures, _, _ = plain(seed)
    return learned(pictures, RULES[name](factors), seed)


RULES: dict[str, Callable[[Tensor], Tensor]] = {
    "right": lambda factors: (factors[:, 0] > MIDDLE).long(),
    "large": lambda factors: (factors[:, 2] > MEAN[2]).long(),
    "high": lambda factors: (factors[:, 1] > MIDDLE).long(),
    "right and high": lambda factors: (scaled(factors)[:, :2].sum(dim=1) > 0).long(),
    "far right": lambda factors: (factors[:, 0] > 18.5).long(),
    "both": lambda factors: ((factors[:, :2] > 12.5).all(dim=1)).long(),
    "quarters": lambda factors: 2 * (factors[:, 0] > MIDDLE) + (factors[:, 1] > MIDDLE),
}
