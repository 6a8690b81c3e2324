"""Explanations for tests: written by hand, of tables and of images."""

from typing import Any

import torch
from torch import Tensor, nn

from tests.cases import convolutional_predictor
from trimvae import VAE, explain
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.probing import Probing

SETTINGS: dict[str, Any] = {
    "task": "classification",
    "explained": "output",
    "contrast": None,
    "explained_name": "output",
    "probabilities": False,
    "residual": False,
    "baselines_per_example": False,
    "blocks": [["first", 0, 1, "real", None], ["rest", 1, 3, "real", None]],
    "method": "integrated_gradients",
    "n_steps": 9,
    "seed": 0,
    "feature_names": None,
    "training": None,
    "versions": {"torch": "2"},
}


class Identity(nn.Module):
    """A code whose latents are the inputs themselves."""

    def encode(self, inputs: Tensor) -> Tensor:
        return inputs

    def decode(self, latents: Tensor) -> Tensor:
        return latents


def linear(*rows: list[float], bias: float = 0.0) -> nn.Linear:
    """A linear predictor with these rows of weights."""
    layer = nn.Linear(len(rows[0]), len(rows))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
        layer.bias.fill_(bias)
    return layer


def by_hand(settings: dict[str, Any] | None = None, **changes: Any) -> Probing:
    """Four examples, three classes, three latents; complete, and every number can be checked.

    Predicted are the classes 0, 0, 1 and 2; the second is decided otherwise when re-encoded.
    """
    attributions = torch.tensor(
        [
            [[2.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
            [[1.0, -1.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [[0.0, 0.0, 0.0], [0.0, 4.0, 0.0], [1.0, 0.0, 0.0]],
            [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [-2.0, 0.0, 6.0]],
        ]
    )
    start = torch.tensor([[0.5, 0.0, -0.5]]).expand(4, 3)
    held: dict[str, Any] = {
        "inputs": torch.arange(8.0).view(4, 2),
        "reconstructions": torch.arange(8.0).view(4, 2) + torch.tensor([1.0, -1.0]),
        "latents": torch.tensor(
            [[1.0, 2.0, 0.0], [2.0, 1.0, 1.0], [0.0, 3.0, 2.0], [1.0, 0.0, -1.0]]
        ),
        "deviations": torch.full((4, 3), 0.5),
        "baselines": torch.zeros(1, 3),
        "attributions": attributions,
        "total_variation": 2 * attributions.abs(),
        "outputs": torch.tensor(
            [[3.0, 0.0, 1.0], [2.0, 1.5, 0.0], [0.0, 4.0, 1.0], [0.0, 1.0, 5.0]]
        ),
        "reencoded_outputs": torch.tensor(
            [[3.5, -1.0, -0.5], [1.0, 2.0, 0.5], [0.5, 4.0, 0.5], [1.5, 1.0, 3.5]]
        ),
        "baseline_outputs": start[:1],
        "explained_at": start + attributions.sum(dim=2),
        "explained_at_baseline": start,
        "latent_share": torch.tensor([0.9, 0.8, 0.7, 0.6]),
        "class_names": ("a", "b", "c"),
        "latent_names": ("x", "y", "z"),
        "settings": {**SETTINGS, **(settings or {})},
    }
    return Probing(**{**held, **changes})


def table_explanation(outputs: int = 4, batch: int = 12, **options: Any) -> Explanation:
    """Of six columns, through three latents."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = VAE.dense((6,), latent_size=3, hidden=(16,))
        predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs))
        with torch.no_grad():
            predictor[-1].weight.mul_(5)
        inputs = torch.randn(batch, 6)
    return explain(vae, predictor, inputs, **options)


def image_explanation(
    classes: int = 3,
    channels: int = 1,
    size: int = 28,
    batch: int = 12,
    latents: int = 3,
    **options: Any,
) -> Explanation:
    """Of noise, through three latents of a convolutional VAE; with labels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = VAE.convolutional((channels, size, size), latents, channels=4, hidden=8)
        predictor = convolutional_predictor(classes=classes, size=size, channels=channels)
        inputs = torch.rand(batch, channels, size, size)
    labels = torch.arange(batch) % classes
    return explain(vae, predictor, inputs, n_steps=4, labels=labels, **options)
