"""Codes of planted factors: what they hold is known, and how it is turned is drawn."""

import torch
from torch import Tensor, nn


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers of a seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rotation(size: int, seed: int) -> Tensor:
    """A random rotation or reflection."""
    return torch.linalg.qr(draw(size, size, seed=seed).double())[0].float()


class Mixed(nn.Module):
    """A linear code: latents are `inputs @ matrix.T`, whose rows are orthonormal."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix)

    def encode(self, inputs: Tensor) -> Tensor:
        return inputs @ self.matrix.T

    def decode(self, latents: Tensor) -> Tensor:
        return latents @ self.matrix


class FirstFour(nn.Module):
    """Seven classes of the first four inputs; it does not see the others."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 7)
        with torch.no_grad():
            self.layer.weight.copy_(draw(7, 4, seed=1))
            self.layer.bias.zero_()

    def forward(self, inputs: Tensor) -> Tensor:
        return 3 * self.layer(inputs[:, :4]).tanh()


class OneOutput(FirstFour):
    """A regression, for which no factors are searched: codes keep their own axes."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs)[:, :1]


def of_first_four(seed: int, count: int = 4) -> Mixed:
    """A code of directions in the first four inputs, turned by a seed."""
    return Mixed(rotation(4, seed)[:count] @ torch.eye(8)[:4])


def of_last_four(seed: int) -> Mixed:
    """A code of the other inputs."""
    return Mixed(rotation(4, seed) @ torch.eye(8)[4:])
