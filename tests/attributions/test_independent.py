"""Axes along which latents are independent."""

import pytest
import torch

from attributions.axes import Rotation
from attributions.codes import Block
from attributions.independent import independent_axes
from attributions.transforms import Identity
from attributions.turned import AlongAxes
from tests.attributions.test_explanatory import Mixed, rotation
from trimvae import VAE


@pytest.fixture(scope="module")
def inputs():
    return 2 * torch.rand(1000, 5, generator=torch.Generator().manual_seed(0)) - 1


def alike(latents, inputs):
    size = latents.shape[1]
    return torch.corrcoef(torch.cat([latents, inputs], dim=1).T)[:size, size:].abs()


@pytest.mark.parametrize("seed", range(3))
def test_factors_that_a_code_has_mixed_are_found(inputs, seed):
    found = independent_axes(Mixed(rotation(5, seed)), inputs)
    assert alike(found.encode(inputs), inputs).amax(dim=1).min() > 0.97
    assert torch.allclose(found.decode(found.encode(inputs)), inputs, atol=1e-5)


def test_a_code_whose_latents_are_factors_keeps_their_places_and_signs(inputs):
    found = independent_axes(Identity((5,)), inputs)
    assert (
        torch.corrcoef(torch.cat([found.encode(inputs), inputs], 1).T)[:5, 5:].diag() > 0.97
    ).all()


def test_only_latents_of_a_block_are_turned_and_dead_ones_are_left(inputs):
    blocks = (Block("one", 0, 2), Block("other", 2, 4), Block("noise", 4, 5, "noise"))
    turn = torch.block_diag(rotation(2), rotation(2, 1), torch.ones(1, 1))
    found = independent_axes(Mixed(turn, blocks), inputs)
    assert found.axes.groups == ((0, 1), (2, 3))
    assert alike(found.encode(inputs), inputs).amax(dim=1).min() > 0.97
    dead = inputs.clone()
    dead[:, 1] = 0.5
    assert independent_axes(Identity((5,)), dead).axes.groups == ((0, 2, 3, 4),)


def test_a_vae_stays_one_and_axes_that_it_has_are_taken_off(inputs):
    torch.manual_seed(0)
    vae = VAE.dense((5,), 3)
    found = independent_axes(vae.with_axes(Rotation(3, matrix=rotation(3))), inputs)
    assert isinstance(found, VAE)
    again = independent_axes(vae, inputs)
    assert torch.equal(found.encode(inputs).mean, again.encode(inputs).mean)


def test_it_is_the_same_each_time(inputs):
    code = Mixed(rotation(5))
    first, second = (independent_axes(code, inputs) for _ in "ab")
    assert torch.equal(first.encode(inputs), second.encode(inputs))
    assert isinstance(first, AlongAxes)


def test_what_cannot_be_turned_is_refused(inputs):
    with pytest.raises(ValueError, match="`inputs` must be more than the latents"):
        independent_axes(Identity((5,)), inputs[:5])
    with pytest.raises(ValueError, match="`inputs` must be finite"):
        independent_axes(Identity((5,)), inputs.log())
    with pytest.raises(TypeError, match="`inputs` must be a tensor"):
        independent_axes(Identity((5,)), [[1.0]])
    with pytest.warns(UserWarning, match="latents squared"):
        independent_axes(Identity((5,)), inputs[:20])
