import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.distributions import Normal

from attributions.codes import (
    Block,
    Decoder,
    at_once,
    blocks_of,
    encode,
    encodes_by_search,
    inputs_for,
    with_noise_of,
)


class Blocked:
    """A code whose second and third latents are noise."""

    blocks = (Block("class", 0, 1, "categorical"), ("noise", 1, 3, "noise"), Block("style", 3, 4))

    def encode(self, inputs):
        return inputs

    def decode(self, latents):
        return 2 * latents


def test_blocks_are_those_of_the_code_or_one_of_real_numbers():
    found = blocks_of(Blocked(), 4)
    assert [block.kind for block in found] == ["categorical", "noise", "real"]
    assert blocks_of(object(), 3) == (Block("latents", 0, 3),)


@pytest.mark.parametrize(
    "blocks",
    [
        (Block("a", 0, 2),),
        (Block("a", 0, 2), Block("b", 3, 4)),
        (Block("a", 0, 3), Block("b", 2, 4)),
        (Block("a", 1, 4),),
    ],
)
def test_blocks_that_leave_out_or_repeat_a_latent_are_refused(blocks):
    code = Blocked()
    code.blocks = blocks
    with pytest.raises(ValueError, match="`blocks` must cover 4 latents, each once and in order"):
        blocks_of(code, 4)


@pytest.mark.parametrize("kind", [np.float32, ">f8", np.uint8, bool])
def test_an_array_goes_to_the_dtype_of_the_code_and_a_tensor_stays(kind):
    array = np.array([[0, 1], [1, 1]], dtype=kind)[::-1]
    expected = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    assert torch.equal(inputs_for(nn.Linear(2, 1).double(), array), expected.double())
    assert torch.equal(inputs_for(Blocked(), array), expected)
    assert inputs_for(Blocked(), expected) is expected


@pytest.mark.parametrize(
    "inputs",
    [pd.DataFrame({"a": [1.0]}), np.array(["a"]), np.ma.masked_array([1.0], mask=[True]), [[1.0]]],
    ids=["table", "text", "masked", "list"],
)
def test_what_is_neither_tensor_nor_numbers_is_refused(inputs):
    with pytest.raises(TypeError, match="`inputs` must be a tensor or an array of numbers. Got"):
        inputs_for(Blocked(), inputs)


def test_noise_does_not_move_along_the_path():
    latents, starts = torch.randn(3, 4), torch.zeros(1, 4)
    found = with_noise_of(Blocked(), starts, latents)
    expected = torch.zeros(3, 4)
    expected[:, 1:3] = latents[:, 1:3]
    assert torch.equal(found, expected)
    assert not starts.any()
    assert with_noise_of(object(), starts, latents) is starts


def test_a_posterior_gives_mean_and_deviation_and_a_tensor_no_deviation():
    class Sure(Blocked):
        def encode(self, inputs):
            return Normal(inputs, torch.full_like(inputs, 0.5))

    inputs = torch.randn(3, 4)
    latents, deviations = encode(Sure(), inputs)
    assert torch.equal(latents, inputs)
    assert (deviations == 0.5).all()
    latents, deviations = encode(Blocked(), inputs)
    assert torch.equal(latents, inputs)
    assert not deviations.any()


def test_an_encoder_in_place_changes_nobodys_inputs():
    class InPlace(Blocked):
        def encode(self, inputs):
            return inputs.clamp_(0, 1)

    inputs = torch.randn(3, 4)
    before = inputs.clone()
    torch.testing.assert_close(encode(InPlace(), inputs).latents, before.clamp(0, 1))
    assert torch.equal(inputs, before)


@pytest.mark.parametrize("shape", [(3, 2, 2), (2, 4), (3,)])
def test_latents_of_another_shape_are_refused(shape):
    class Bad(Blocked):
        def encode(self, inputs):
            return torch.zeros(shape)

    with pytest.raises(ValueError, match="`code.encode` must return latents of shape"):
        encode(Bad(), torch.randn(3, 4))


def test_a_decoder_is_the_codes_decode_and_holds_its_parts():
    class Learned(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 6)

        def decode(self, latents):
            return self.linear(latents)

    code = Learned()
    decoder = Decoder(code)
    latents = torch.randn(3, 2)
    torch.testing.assert_close(decoder(latents), code.linear(latents))
    assert code.linear in list(decoder.modules())
    assert Decoder(Blocked())(latents).equal(2 * latents)


def test_a_code_without_an_inverter_searches():
    code = Blocked()
    assert not encodes_by_search(code)
    code.inversion_steps = 50
    assert encodes_by_search(code)
    code.inverter = nn.Identity()
    assert not encodes_by_search(code)


@pytest.mark.parametrize(
    ("shape", "device", "expected"),
    [
        ((1, 28, 28), "cpu", 256),
        ((1, 64, 64), "cpu", 64),
        ((3, 128, 128), "cpu", 16),
        ((3, 256, 256), "cpu", 8),
        ((3, 2048, 2048), "cpu", 1),
        ((1, 64, 64), "meta", 256),
        ((3, 128, 128), "meta", 32),
    ],
)
def test_as_many_pass_at_once_as_a_processors_caches_hold(shape, device, expected):
    assert at_once(torch.empty((1, *shape), device=device)) == expected
