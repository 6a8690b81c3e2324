"""Axes of six latents, of which two pass through and no two layers leave the others as they are."""

import torch
from torch import Tensor

from attributions.axes import Axes, Chain, Flow, Linear, Rotation

SIZE, GROUPS = 6, ((0, 3), (2, 5))
UNTOUCHED = [1, 4]


def orthogonal(size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(noise).Q


def within(groups=GROUPS, size: int = SIZE, seed: int = 0) -> Tensor:
    """An orthogonal matrix that turns each group within itself."""
    matrix = torch.eye(size, dtype=torch.float64)
    for number, group in enumerate(groups):
        index = torch.tensor(group)
        matrix[index.unsqueeze(1), index] = orthogonal(len(group), seed + number)
    return matrix


def correlated(n: int = 200, size: int = SIZE, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, size, generator=generator, dtype=torch.float64)
    return 2 + noise @ torch.randn(size, size, generator=generator, dtype=torch.float64)


def moved(axes: Axes, size: float = 0.3) -> Axes:
    """Axes as after some training."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in axes.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return axes


def layers(groups=GROUPS, size: int = SIZE) -> dict[str, Axes]:
    turn = within(groups, size)
    rotation = Rotation(size, groups, turn)
    linear = Linear.fitted(correlated(size=size), groups).turned(turn)
    flow = moved(Flow(size, groups, matrix=turn), 0.1)
    return {
        "rotation": moved(rotation),
        "linear": moved(linear),
        "flow": flow,
        "chain": Chain(moved(Linear.fitted(correlated(size=size), groups)), flow),
    }


KINDS = ("rotation", "linear", "flow", "chain")
