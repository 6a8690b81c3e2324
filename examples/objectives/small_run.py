"""What these examples share: sprites, a classifier of their size, a short training."""

import torch
from torch import Tensor, nn

from attributions import Sparsity
from examples.quick import quick
from trimvae import VAE, fit
from trimvae.cli.demo_data import train_classifier
from trimvae.data import sprites
from trimvae.objectives import Objective

PARTS = ("mutual_information", "total_correlation", "dimension_wise_kl")


def images_and_classifier() -> tuple[Tensor, nn.Module]:
    """Upright sprites of 32x32 pixels, and a network that tells large ones from small."""
    data = sprites(size=32).only(orientation=[0])
    factors = data.draw(quick(2000, 128), generator=torch.Generator().manual_seed(0))
    images = data.sample(factors)
    torch.manual_seed(0)
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(1024, 32), nn.ReLU(), nn.Linear(32, 2))
    large = (factors[:, data.factor_names.index("scale")] > 2).long()
    return images, train_classifier(classifier, images, large, epochs=10)


def train(
    objective: Objective, images: Tensor, classifier: nn.Module, *, epochs: int = 4
) -> tuple[VAE, dict[str, float]]:
    """Train a small VAE through the classifier; return it and its last epoch's terms."""
    torch.manual_seed(0)
    vae = VAE.convolutional((1, 32, 32), latent_size=6, channels=8, hidden=64)
    history = fit(
        vae,
        classifier,
        images,
        objective=objective,
        penalties=[Sparsity()],
        max_epochs=epochs,
        batch_size=32,
        progress=False,
    )
    terms = history[-1]
    print(objective, *(f"{name} {value:.2f}" for name, value in terms.items()), sep="\n  ")
    return vae, terms
