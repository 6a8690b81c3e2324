import numpy as np
import pytest


@pytest.fixture
def factors():
    return np.random.default_rng(0).integers(0, 5, (3000, 3))


@pytest.fixture
def noise():
    return np.random.default_rng(1).normal(size=(3000, 3))
