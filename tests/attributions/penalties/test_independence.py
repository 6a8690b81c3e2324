from types import SimpleNamespace

import pytest
import torch
from torch import nn

from attributions import Trim
from attributions.penalties.independence import Independence, pointwise_independence
from tests.cases import smooth_decoder
from tests.reference import jacobian_loop


def test_pointwise_independence_is_the_off_diagonal_of_the_jacobian():
    torch.manual_seed(1)
    encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    decoder, inputs = smooth_decoder(), torch.randn(4, 6).double()
    with torch.no_grad():
        latents = encoder(inputs)
        residual = inputs - decoder(latents)
    expected = 0.0
    for example in range(4):  # the residual belongs to its example

        def again(z, example=example):
            return encoder(decoder(z) + residual[example])

        rows = jacobian_loop(again, latents[example : example + 1])[0]
        expected += (rows.abs().sum() - rows.diagonal().abs().sum()).item() / 4
    assert pointwise_independence(encoder, decoder, inputs).item() == pytest.approx(expected)


def test_the_penalty_asks_the_first_examples_of_the_step():
    encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    decoder, inputs = smooth_decoder(), torch.randn(4, 6).double()
    step = SimpleNamespace(trim=Trim(nn.Identity(), decoder), encode=encoder, inputs=inputs)
    found = Independence(examples=2)(step)
    torch.testing.assert_close(found, pointwise_independence(encoder, decoder, inputs[:2]))


def test_a_code_that_gives_back_its_latents_is_independent():
    rotation = torch.linalg.qr(torch.randn(3, 3).double())[0]
    encode, decode = (lambda x: x @ rotation), (lambda z: z @ rotation.T)
    assert pointwise_independence(encode, decode, torch.randn(4, 3).double()) < 1e-12
