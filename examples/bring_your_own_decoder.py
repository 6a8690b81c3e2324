"""Explain through a decoder that is not ours: anything with encode and decode is a code.

    python -m examples.bring_your_own_decoder

An autoencoder as anybody would write it, of scikit-learn's 8x8 digits.
"""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from attributions import Trim
from examples.quick import quick
from trimvae import explain
from trimvae.cli.demo_data import train_classifier


# --8<-- [start:code]
class Autoencoder(nn.Module):
    """A code needs two verbs; a posterior is welcome, but not asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 6))
        self.decoder = nn.Sequential(nn.Linear(6, 64), nn.SiLU(), nn.Linear(64, 64))

    def encode(self, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs to latents."""
        return self.encoder(inputs)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents to inputs."""
        return self.decoder(latents).sigmoid()


# --8<-- [end:code]


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    inputs = torch.from_numpy(digits.data).float() / 16
    labels = torch.from_numpy(digits.target)
    classifier = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    train_classifier(classifier, inputs, labels, epochs=20)

    code = Autoencoder()
    optimizer = torch.optim.Adam(code.parameters(), 2e-3)
    for _ in range(quick(1500, 100)):
        batch = inputs[torch.randint(len(inputs), (128,))]
        loss = F.mse_loss(code.decode(code.encode(batch)), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # --8<-- [start:explain]
    explanation = explain(
        code,
        classifier,
        inputs[:100],
        baselines=code.encode(inputs).mean(dim=0, keepdim=True).detach(),
        background=inputs,
        labels=labels[:100],
        residual=True,  # what the decoder leaves out is added back, held fixed
    )
    print(explanation.summary())
    # --8<-- [end:explain]

    # --8<-- [start:trim]
    trim = Trim(classifier, code.decode)
    latents = code.encode(inputs[:5])
    residual = trim.residual(inputs[:5], latents)
    print(torch.allclose(trim(latents, residual), classifier(inputs[:5]), atol=1e-5))  # True
    # --8<-- [end:trim]
    assert torch.allclose(trim(latents, residual), classifier(inputs[:5]), atol=1e-5)
    assert explanation.metrics["completeness_error"] < 0.02


if __name__ == "__main__":
    main()
