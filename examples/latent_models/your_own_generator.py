"""A generator that you already have, bound by its attributes' names.

    python -m examples.latent_models.your_own_generator

An object with `mapping`, `synthesis`, `num_ws`, `z_dim` and `w_dim`, as NVlabs' networks have: here
a small stand-in. Their files execute code when they are loaded, so trimvae never loads one: pass
the object.
"""

import torch
from torch import nn

from examples.quick import quick
from trimvae import explain
from trimvae.models import GeneratorAdapter


class Synthesis(nn.Module):
    """Two layers, each with a latent vector of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.coarse, self.fine = nn.Linear(6, 64), nn.Linear(6, 64)

    def forward(self, ws: torch.Tensor, noise_mode: str = "random") -> torch.Tensor:
        """Vectors `(batch, 2, 6)` to images in [-1, 1]."""
        drawn = self.coarse(ws[:, 0]) + 0.3 * self.fine(ws[:, 1])
        if noise_mode == "random":
            drawn = drawn + 0.1 * torch.randn_like(drawn)
        return drawn.tanh().view(-1, 1, 8, 8)


class Network(nn.Module):
    """What such a network offers."""

    z_dim, w_dim, num_ws = 6, 6, 2

    def __init__(self) -> None:
        super().__init__()
        self.mapping, self.synthesis = nn.Linear(6, 6), Synthesis()


def main() -> None:
    torch.manual_seed(0)
    code = GeneratorAdapter.of(Network().eval(), space="w+", inversion_steps=200)
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    images = code.decode(code.draw(quick(8, 4))).detach()

    explanation = explain(code, classifier, images, n_steps=32)
    for block, share in zip(explanation.blocks, explanation.block_shares, strict=True):
        print(f"{block.name}: {share:.0%} of the evidence")
    assert explanation.metrics["agreement"] > 0.9
    assert explanation.metrics["completeness_error"] < 0.05


if __name__ == "__main__":
    main()
