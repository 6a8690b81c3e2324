"""A lie about a table, and honest tables."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attributions.independent import independent_axes
from benchmarks.lies.case import ByHand, Case, changed, kept, right
from benchmarks.sizes import sized
from trimvae import VAE, fit
from trimvae.cli.demo_data import breast_cancer, train_classifier

COLUMNS, LEAK, OTHER_LEAK = 40, 7, 23
N_TRAIN, N_TEST = sized((2_000, 300), (256, 64))
EPOCHS = sized(30, 1)


def mixture(seed: int) -> Tensor:
    """How 40 columns mix four factors, `(4, 40)`."""
    return torch.randn(4, COLUMNS, generator=torch.Generator().manual_seed(seed)) / 2


def rows(count: int, mixed: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Independent factors `(count, 4)`, and columns that mix them, with noise of .3."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.randn(count, 4, generator=generator)
    return factors, factors @ mixed + 0.3 * torch.randn(count, COLUMNS, generator=generator)


def table_reader(inputs: Tensor, labels: Tensor, seed: int, epochs: int = 20) -> nn.Module:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(inputs.shape[1], 32), nn.ReLU(), nn.Linear(32, 2))
    return train_classifier(network, inputs, labels, epochs=epochs, batch_size=64)


def table_code(
    predictor: nn.Module, inputs: Tensor, seed: int, *, latents: int = 6, epochs: int = EPOCHS
) -> VAE:
    torch.manual_seed(seed)
    vae = VAE.dense((inputs.shape[1],), latents, hidden=(64, 64), scale=0.5)
    fit(
        vae,
        predictor,
        inputs,
        prediction_weight=10.0,
        max_epochs=epochs,
        batch_size=64,
        seed=seed,
        progress=False,
    )
    return vae


def leaked_column(seed: int) -> Case:
    truth = "reads one column, which is the label; the latents are factors of all 40"
    return _leaked({LEAK: 1.0}, truth, seed)


def two_leaked_columns(seed: int) -> Case:
    truth = "reads two columns, which are the label; the latents are factors of all 40"
    return _leaked({LEAK: 1.0, OTHER_LEAK: -1.0}, truth, seed)


def _leaked(leaks: Mapping[int, float], truth: str, seed: int) -> Case:
    """The label is a noisy function of one factor, and is written in some of 40 columns."""
    mixed, columns = mixture(seed), list(leaks)

    def leaking(count: int, draw: int) -> tuple[Tensor, Tensor]:
        factors, inputs = rows(count, mixed, 1_000 * seed + draw)
        noise = torch.randn(count, generator=torch.Generator().manual_seed(1_000 * seed + draw))
        labels = (factors[:, 0] + 0.5 * noise > 0).long()
        for column, sign in leaks.items():
            inputs[:, column] = sign * (2.0 * labels - 1)
        return inputs, labels

    inputs, labels = leaking(N_TRAIN, 1)
    network = table_reader(inputs, labels, seed)
    code = table_code(network, inputs, seed)
    inputs, labels = leaking(N_TEST, 2)
    swapped, others = inputs.clone(), inputs.roll(1, 0)
    swapped[:, columns] *= -1
    others[:, columns] = inputs[:, columns]
    proof = {
        "reads the label": right(network, inputs, labels),
        "follows a swapped label": changed(network, inputs, swapped),
        "does not follow the rest": 1 - changed(network, inputs, others),
    }
    used = f"x{LEAK}" if len(leaks) == 1 else None
    return Case(code, network, inputs, truth, proof, labels, used=used)


def linear_factors(seed: int) -> Case:
    """A linear model of one of four factors, through the least-squares factors of the columns."""
    mixed = mixture(seed)
    inverse = torch.linalg.pinv(mixed)
    factors, inputs = rows(N_TEST, mixed, 1_000 * seed + 2)
    network = nn.Linear(COLUMNS, 2)
    with torch.no_grad():
        network.weight.copy_(torch.stack([-inverse[:, 0], inverse[:, 0]]) * 3)
        network.bias.zero_()
    code = ByHand(lambda given: given @ inverse, lambda latents: latents @ mixed)
    labels = (factors[:, 0] > 0).long()
    proof = {
        "reads the factor": right(network, inputs, labels),
        "the code keeps the decision": kept(code, network, inputs),
    }
    truth = "reads one factor, which is a latent"
    return Case(code, network, inputs, truth, proof, labels)


def tumours(seed: int) -> Case:
    """Breast cancer, as in the demo."""
    data = breast_cancer()
    assert data.train_labels is not None  # it has labels
    assert data.test_labels is not None  # likewise
    network = table_reader(data.train_inputs, data.train_labels, seed)
    code = table_code(network, data.train_inputs, seed, epochs=sized(100, 1))
    code = independent_axes(code, data.train_inputs)
    proof = {"reads the label": right(network, data.test_inputs, data.test_labels)}
    truth = "reads what 30 measurements have in common"
    return Case(code, network, data.test_inputs, truth, proof, data.test_labels)
