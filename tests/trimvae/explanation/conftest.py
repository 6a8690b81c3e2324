import pytest
import torch
from torch import nn


@pytest.fixture
def predictor():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))


@pytest.fixture
def inputs():
    return torch.randn(12, 6)
