"""A code that draws a disc and, where it is on the right, a faint checkerboard; and its readers."""

import math

import torch
from torch import Tensor, nn

from trimvae import explain

SIZE, GROUND, INK, AMPLITUDE = 28, 0.2, 0.6, 0.03


class Discs(nn.Module):
    """Latents are position from left to right and from top to bottom, and radius."""

    def __init__(self, amplitude: float = AMPLITUDE) -> None:
        super().__init__()
        place = torch.arange(SIZE) - (SIZE - 1) / 2
        self.register_buffer("place", place)
        parity = (torch.arange(SIZE)[:, None] + torch.arange(SIZE)) % 2
        self.register_buffer("board", 2.0 * parity - 1)
        self.amplitude = amplitude

    def decode(self, latents: Tensor) -> Tensor:
        x, y, radius = latents.view(-1, 3, 1, 1).unbind(dim=1)
        distance = ((self.place - 3 * x) ** 2 + (self.place[:, None] - 3 * y) ** 2 + 1e-6).sqrt()
        disc = ((4 + radius / 2 - distance) * 2).sigmoid()
        texture = self.amplitude * (10 * x).sigmoid() * self.board
        return (GROUND + INK * disc + texture).unsqueeze(1)

    def encode(self, inputs: Tensor) -> Tensor:
        disc = (inputs[:, 0] - GROUND) / INK
        area = disc.sum(dim=(1, 2))
        x = (disc * self.place).sum(dim=(1, 2)) / area / 3
        y = (disc * self.place[:, None]).sum(dim=(1, 2)) / area / 3
        radius = (area / math.pi - math.pi**2 / 12).sqrt()
        return torch.stack([x, y, 2 * (radius - 4)], dim=1)


class Reader(nn.Module):
    """Two classes by one linear feature of the picture."""

    def __init__(self, pattern: Tensor, threshold: float, scale: float) -> None:
        super().__init__()
        self.register_buffer("pattern", pattern)
        self.threshold, self.scale = threshold, scale

    def forward(self, inputs: Tensor) -> Tensor:
        said = self.scale * ((inputs[:, 0] * self.pattern).sum(dim=(1, 2)) - self.threshold)
        return torch.stack([-said, said], dim=1)


def texture_reader() -> Reader:
    """Reads the checkerboard and nothing else."""
    board = Discs().board
    return Reader(board, AMPLITUDE * board.numel() / 2, 0.3)


def position_reader() -> Reader:
    """Reads how much ink is on the right rather than on the left."""
    return Reader(torch.linspace(-1, 1, SIZE).expand(SIZE, SIZE), 0.0, 1.0)


def textured_explanation(predictor: nn.Module, batch: int = 24, **options):
    """Of discs everywhere, through the latents that drew them."""
    code = Discs()
    latents = torch.randn(batch, 3, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
    return explain(code, predictor, code.decode(latents), **options)
