import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from trimvae import VAE, fit
from trimvae.objectives import FactorVAE
from trimvae.training.remembering import Remembered, remembers

TABLE = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))


class Counting(nn.Module):
    """A predictor that counts the examples it is asked about, in all its replicas."""

    asked = 0

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, inputs):
        Counting.asked += len(inputs)
        return self.layer(inputs)


class Rows(Dataset):
    """A data set of the user's own, which may draw."""

    def __init__(self, noise=0.0):
        self.noise = noise

    def __len__(self):
        return len(TABLE)

    def __getitem__(self, number):
        return TABLE[number] + self.noise * torch.randn(6), number


def trained(predictor, data, **options):
    torch.manual_seed(0)
    vae = VAE.dense(event_shape=(6,), latent_size=2, hidden=(8,))
    fit(vae, predictor, data, batch_size=8, progress=False, **{"max_epochs": 3, **options})
    return torch.cat([parameter.flatten() for parameter in vae.parameters()]).detach()


def predictor():
    torch.manual_seed(1)
    return Counting()


@pytest.mark.parametrize("data", [TABLE, TensorDataset(TABLE), TABLE.numpy()])
def test_a_training_with_remembered_outputs_is_that_which_asks_at_every_step(data):
    remembered = trained(predictor(), data)
    asking = trained(predictor(), data, cache_outputs=False)
    torch.testing.assert_close(remembered, asking, rtol=1e-4, atol=1e-5)


def test_a_factor_vae_remembers_the_outputs_of_its_own_half_of_the_batch():
    remembered = trained(predictor(), TABLE, objective=FactorVAE())
    asking = trained(predictor(), TABLE, objective=FactorVAE(), cache_outputs=False)
    torch.testing.assert_close(remembered, asking, rtol=1e-4, atol=1e-5)


def test_a_predictor_is_asked_once_about_every_input_and_at_reconstructions():
    counts = []
    for cached in (True, False):
        Counting.asked = 0
        trained(predictor(), TABLE, max_epochs=6, cache_outputs=cached)
        counts.append(Counting.asked)
    # Six epochs of 40 inputs become one, and a batch at the start of every epoch is a check.
    assert counts[1] - counts[0] == 6 * 40 - 40 - 6 * 8


def test_a_data_set_that_draws_nothing_may_be_remembered():
    remembered = trained(predictor(), Rows(), cache_outputs=True)
    torch.testing.assert_close(remembered, trained(predictor(), Rows()), rtol=1e-4, atol=1e-5)


def test_a_data_set_of_ones_own_is_asked_about_at_every_step_by_default():
    assert not remembers(Rows(), None, 1)
    assert remembers(TABLE, None, 1)
    assert not remembers(TABLE, True, 2)


def test_inputs_that_change_between_epochs_are_noticed():
    with pytest.raises(ValueError, match=r"`cache_outputs` must go with inputs .* stay the same"):
        trained(predictor(), Rows(noise=1.0), cache_outputs=True)


def test_a_loader_has_no_numbers_and_is_refused_before_training():
    with pytest.raises(ValueError, match=r"`cache_outputs` must be left out for a DataLoader"):
        trained(predictor(), DataLoader(TensorDataset(TABLE), batch_size=8), cache_outputs=True)


def test_many_outputs_are_kept_in_a_file_and_are_the_same():
    layer = nn.Linear(6, 3)
    numbers = np.array([7, 3, 39])
    kept = [Remembered(TABLE, layer, torch.device("cpu"), bound) for bound in (2**30, 0)]
    with torch.no_grad():
        expected = layer(TABLE[[7, 3, 39]])
    for remembered in kept:
        torch.testing.assert_close(remembered.at(numbers), expected)
    assert isinstance(kept[1]._kept, np.memmap)


def test_a_game_remembers_as_well():
    from trimvae.models import InfoGAN

    images = torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(784, 3))
    outcomes = []
    for cached in (True, False):
        torch.manual_seed(0)
        game = InfoGAN(image_shape=(1, 28, 28))
        history = fit(
            game, classifier, images, batch_size=8, max_epochs=2, progress=False,
            cache_outputs=cached,
        )  # fmt: skip
        outcomes.append(history[-1]["prediction"])
    assert outcomes[0] == pytest.approx(outcomes[1], rel=1e-3)
