import pytest
import torch

from tests.trimvae.models.cases import MODELS, SHAPE


@pytest.fixture(params=MODELS.values(), ids=["InfoGAN", "ALAE", "StyleGAN2"])
def model(request):
    return request.param()


@pytest.fixture
def images():
    return torch.rand(24, *SHAPE, generator=torch.Generator().manual_seed(2))
