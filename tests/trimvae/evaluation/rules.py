"""A code and a rule whose figures are known."""

from torch import Tensor, nn

from tests.trimvae.explanation.made import Identity, linear

OPTIONS = {"n_interventions": 40, "n_alpha": 60, "n_beta": 20}


class Straight(Identity):
    """A code whose six latents are the features themselves."""

    latent_size = 6


class Rule(nn.Module):
    """The first of six features decides between two classes; the third is never predicted."""

    def __init__(self) -> None:
        super().__init__()
        first = [20.0, 0.0, 0.0, 0.0, 0.0, 0.0]
        self.linear = linear(first, [-value for value in first], [0.0] * 6)
        self.linear.bias.data[2] = -100.0

    def forward(self, inputs: Tensor) -> Tensor:
        return self.linear(inputs)
