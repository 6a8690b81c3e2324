"""A batch's pass through a VAE, with everything random in float64."""

import torch
from torch.distributions import Bernoulli, Normal

from trimvae import VAE
from trimvae.objectives import Pass


def prior(size: int = 3) -> Normal:
    return Normal(torch.zeros(size).double(), torch.ones(size).double())


def batch(n: int = 8, size: int = 3, seed: int = 0, **options) -> Pass:
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    mean = torch.randn(n, size, **draw).requires_grad_()
    deviation = torch.rand(n, size, **draw) + 0.2
    posterior = Normal(mean, deviation)
    latents = mean + deviation * torch.randn(n, size, **draw)
    inputs = torch.rand(n, 5, **draw)
    observation = Bernoulli(logits=torch.randn(n, 5, **draw), validate_args=False)
    return Pass(
        inputs, posterior, prior(size), latents, observation, **{"dataset_size": 100, **options}
    )


def small_vae(**options) -> VAE:
    return VAE.dense(event_shape=(6,), latent_size=3, hidden=(8,), **options)
