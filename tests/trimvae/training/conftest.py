import pytest
import torch
from torch import nn

from tests.trimvae.models.cases import SHAPE
from tests.trimvae.training.cases import GAMES


@pytest.fixture
def table():
    return torch.randn(96, 6)


@pytest.fixture
def predictor():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


@pytest.fixture(params=GAMES.values(), ids=GAMES.keys())
def model(request):
    return request.param()


@pytest.fixture
def images():
    return torch.rand(24, *SHAPE, generator=torch.Generator().manual_seed(2))
