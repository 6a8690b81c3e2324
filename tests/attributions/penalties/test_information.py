from types import SimpleNamespace

import pytest
import torch
from torch import nn

from attributions import Trim
from attributions.penalties.information import InformationFlow, negative_information
from tests.cases import (
    smooth_predictor,
)
from tests.reference import mutual_information_loop


def test_information_is_minus_the_loop_over_the_same_samples():
    predictor = smooth_predictor(features=3)
    generator = torch.Generator().manual_seed(0)
    like = torch.zeros(1, dtype=torch.float64)
    seen = []

    def function(z):
        seen.append(predictor(z).softmax(dim=1))
        return predictor(z)

    found = negative_information(
        function, 3, (1,), n_alpha=6, n_beta=5, like=like, generator=generator
    )
    expected = mutual_information_loop(seen[0].unflatten(0, (6, 5)).tolist())
    assert found.item() == pytest.approx(-expected)


def test_the_penalty_is_a_reward_for_the_latents_chosen():
    trim = Trim(lambda inputs: 10 * inputs[:, :1], nn.Identity())
    latents = torch.zeros(2, 3)

    def of(chosen):
        step = SimpleNamespace(
            trim=trim, latents=latents, generator=torch.Generator().manual_seed(0)
        )
        return InformationFlow(chosen=chosen, n_alpha=200, n_beta=20)(step)

    assert of((0,)) < -0.4  # of ln 2 = .69 at most
    assert of((1, 2)).abs() < 0.05
