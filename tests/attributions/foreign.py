"""Autoencoders as others write them: small, with the shapes and names of theirs."""

from types import SimpleNamespace

import torch
from torch import nn


class Grid(nn.Module):
    """Images `(3, 8, 8)` to a grid `(4, 2, 2)` and back, with what each library returns."""

    def __init__(self, dtype=torch.float64):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.down = nn.Conv2d(3, 4, 4, 4, dtype=dtype)
            self.up = nn.ConvTranspose2d(4, 3, 4, 4, dtype=dtype)

    def grid(self, inputs):
        return self.down(inputs).tanh()

    def drawn(self, grid):
        return self.up(grid.sin()).sigmoid()


class Diffusers(Grid):
    """`AutoencoderKL`: a posterior of its own class, a scale, an output with `sample`."""

    config = SimpleNamespace(scaling_factor=0.5, shift_factor=0.25)

    def encode(self, inputs):
        mean = self.grid(inputs)
        posterior = SimpleNamespace(
            mean=mean, std=torch.full_like(mean, 0.1), mode=lambda: mean, sample=lambda: mean
        )
        return SimpleNamespace(latent_dist=posterior)

    def decode(self, latents):
        return SimpleNamespace(sample=self.drawn(latents))


class Tokens(nn.Module):
    """Rows of 12 numbers to four tokens of width 3."""

    def encode(self, inputs):
        return inputs.unflatten(1, (4, 3))

    def decode(self, latents):
        return latents.flatten(1)
