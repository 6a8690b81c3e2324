import pytest
import torch
from torch import nn
from torch.distributions import Normal

from attributions import Trim
from attributions.axes import Rotation
from attributions.codes import Block, blocks_of
from attributions.flattening import Flattened
from attributions.methods import integrated_gradients
from attributions.turned import TurnedNormal
from tests.attributions.foreign import Diffusers, Grid, Tokens


def double_predictor(classes=3):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, 2), nn.SiLU(), nn.Flatten(), nn.Linear(36, classes)
        ).double()


def images(count=5):
    return torch.rand(
        count, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )


def test_a_grid_is_flattened_and_scaled_as_diffusion_models_see_it_and_comes_back():
    autoencoder, inputs = Diffusers(), images()
    code = Flattened(autoencoder)
    posterior = code.encode(inputs)
    grid = autoencoder.grid(inputs)
    assert isinstance(posterior, Normal)
    torch.testing.assert_close(posterior.mean, (0.5 * (grid - 0.25)).flatten(1))
    torch.testing.assert_close(posterior.stddev, torch.full((5, 16), 0.05, dtype=torch.float64))
    torch.testing.assert_close(code.decode(posterior.mean), autoencoder.drawn(grid))


@pytest.mark.parametrize("group_by", ["channels", "cells"])
@pytest.mark.parametrize("shape", [(4, 2, 3), (5, 3), (2, 2, 1, 3), (6,)])
def test_every_order_of_the_latents_is_undone(group_by, shape):
    class Reshaped(nn.Module):
        def encode(self, inputs):
            return inputs.view(-1, *shape)

        def decode(self, latents):
            assert latents.shape[1:] == shape
            return latents.reshape(len(latents), -1)

    code = Flattened(Reshaped(), group_by=group_by)
    inputs = torch.randn(2, torch.Size(shape).numel())
    latents = code.encode(inputs)
    assert latents.shape == inputs.shape
    assert torch.equal(code.decode(latents), inputs)


def test_a_block_is_a_channel_or_a_cell_and_holds_its_own_numbers():
    inputs = images()
    grid = Diffusers().grid(inputs)
    by_channel = Flattened(Diffusers())
    latents = 2 * by_channel.encode(inputs).mean + 0.25
    assert [block.name for block in by_channel.blocks] == [f"channel {i}" for i in range(4)]
    block = by_channel.blocks[2]
    torch.testing.assert_close(latents[:, block.start : block.stop], grid[:, 2].flatten(1))
    by_cell = Flattened(Diffusers(), group_by="cells")
    latents = 2 * by_cell.encode(inputs).mean + 0.25
    assert [block.name for block in by_cell.blocks][1:3] == ["cell (0, 1)", "cell (1, 0)"]
    block = by_cell.blocks[2]
    torch.testing.assert_close(latents[:, block.start : block.stop], grid[:, :, 1, 0])
    for code in (by_channel, by_cell):
        assert blocks_of(code, 16) == code.blocks


def test_tokens_are_blocks_of_their_own_or_of_their_width():
    inputs = torch.arange(12.0).view(1, 12)
    code = Flattened(Tokens())
    assert torch.equal(code.encode(inputs), inputs)
    assert [tuple(block[:3]) for block in code.blocks][:2] == [("token 0", 0, 3), ("token 1", 3, 6)]
    assert code.latent_names[4] == "token 1 [1]"
    by_width = Flattened(Tokens(), group_by="channels")
    assert by_width.encode(inputs)[0, :4].tolist() == [0, 3, 6, 9]
    assert [block.name for block in by_width.blocks] == ["channel 0", "channel 1", "channel 2"]
    assert torch.equal(by_width.decode(by_width.encode(inputs)), inputs)


def test_latents_are_named_by_their_place_where_the_autoencoder_names_none():
    code = Flattened(Diffusers(), (4, 2, 2))
    assert code.latent_names[5] == "channel 1 (0, 1)"
    by_cell = Flattened(Diffusers(), (4, 2, 2), group_by="cells")
    assert by_cell.latent_names[5] == "cell (0, 1) [1]"
    code.autoencoder.latent_names = own = tuple(map(str, range(16)))
    assert code.latent_names == own


def test_a_flat_code_stays_what_it_is_with_its_posterior_blocks_and_names():
    class Turned(nn.Module):
        blocks, latent_names = (Block("style", 0, 2),), ("a", "b")

        def encode(self, inputs):
            return TurnedNormal(Normal(inputs, torch.ones_like(inputs)), Rotation(2))

        def decode(self, latents):
            return latents

    code = Flattened(Turned())
    assert isinstance(code.encode(torch.randn(3, 2)), TurnedNormal)
    assert code.latent_names == ("a", "b")
    assert code.blocks == Turned.blocks


def test_pixels_of_another_range_are_brought_to_zero_and_one():
    class Doubled(Grid):
        def encode(self, inputs):
            self.seen = inputs
            return inputs

        def decode(self, latents):
            return latents

    code, inputs = Flattened(Doubled(), value_range=(-1, 1)), images()
    latents = code.encode(inputs)
    torch.testing.assert_close(latents, (2 * inputs - 1).flatten(1))
    torch.testing.assert_close(code.decode(latents), inputs)


def test_trim_at_a_grid_is_exactly_the_predictor_and_gradients_are_complete():
    code, predictor, inputs = Flattened(Diffusers()), double_predictor(), images()
    latents = code.encode(inputs).mean.detach()
    trim = Trim(predictor, code.decode)
    residual = trim.residual(inputs, latents)
    torch.testing.assert_close(trim(latents, residual), predictor(inputs), rtol=0, atol=1e-14)
    found = integrated_gradients(trim, latents, residual=residual, n_steps=64).attributions
    change = trim(latents, residual) - trim(torch.zeros_like(latents), residual)
    torch.testing.assert_close(found.sum(dim=2), change, rtol=0, atol=1e-10)
    assert torch.autograd.gradcheck(code.decode, latents[:2].requires_grad_())


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="`group_by` must be 'channels' or 'cells'. Got 'rows'"):
        Flattened(Diffusers(), group_by="rows")
    with pytest.raises(ValueError, match="`value_range` must be lowest and highest value"):
        Flattened(Diffusers(), value_range=(1, -1))
    with pytest.raises(TypeError, match="`code` must have the methods encode and decode"):
        Flattened(nn.Linear(2, 2))
