import pytest
import torch
from torch import nn

from attributions import Trim, explanatory_axes
from attributions.axes import Linear, Rotation
from attributions.chaining import Chained
from attributions.codes import baseline_of
from attributions.flattening import Flattened
from attributions.methods import integrated_gradients
from attributions.transforms import Identity
from tests.attributions.foreign import Diffusers, Tokens
from trimvae import VAE, explain


def images(count=5):
    return torch.rand(
        count, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )


def inner(latent_size=3):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        vae = VAE.dense((4, 2, 2), latent_size, hidden=(8,), likelihood="gaussian")
    return vae.double().eval()


def predictor():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.SiLU(), nn.Linear(8, 3)).double()


def test_a_chain_is_the_inner_code_of_the_scaled_grid_and_draws_through_both():
    outer, vae, inputs = Diffusers(), inner(), images()
    code = Chained(outer, vae)
    grid = 0.5 * (outer.grid(inputs) - 0.25)
    torch.testing.assert_close(code.outer_latents(inputs), grid)
    torch.testing.assert_close(code.encode(inputs).mean, vae.encode(grid).mean)
    torch.testing.assert_close(code.encode(inputs).stddev, vae.encode(grid).stddev)
    latents = code.encode(inputs).mean
    torch.testing.assert_close(
        code.decode(latents), outer.drawn(2 * vae.decode(latents) + 0.25), rtol=0, atol=1e-14
    )


def test_an_identity_inside_is_the_outer_code_whatever_its_blocks():
    for group_by in ("channels", "cells"):
        outer = Flattened(Diffusers(), group_by=group_by)
        code, inputs = Chained(outer, Identity((4, 2, 2))), images()
        torch.testing.assert_close(
            code.decode(code.encode(inputs)), outer.decode(outer.encode(inputs).mean)
        )
    tokens = Chained(Tokens(), Identity((4, 3)))
    rows = torch.randn(2, 12)
    assert torch.equal(tokens.decode(tokens.encode(rows)), rows)


def test_trim_through_a_chain_is_exactly_the_predictor_and_its_gradients_are_the_chains():
    code, inputs = Chained(Diffusers(), inner()), images()
    latents = code.encode(inputs).mean.detach()
    trim = Trim(predictor(), code.decode)
    residual = trim.residual(inputs, latents)
    torch.testing.assert_close(trim(latents, residual), predictor()(inputs), rtol=0, atol=1e-14)
    found = integrated_gradients(trim, latents, residual=residual, n_steps=64).attributions
    change = trim(latents, residual) - trim(torch.zeros_like(latents), residual)
    torch.testing.assert_close(found.sum(dim=2), change, rtol=0, atol=1e-10)
    assert torch.autograd.gradgradcheck(code.decode, latents[:2].requires_grad_())


@pytest.mark.parametrize("layer", [Rotation, Linear])
def test_a_chain_along_axes_draws_the_same_and_takes_them_off_again(layer):
    code, inputs = Chained(Diffusers(), inner()), images()
    axes = layer(3, matrix=torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0])
    turned = code.with_axes(axes)
    assert isinstance(turned, Chained)
    latents = code.encode(inputs).mean
    torch.testing.assert_close(turned.encode(inputs).mean, axes(latents))
    torch.testing.assert_close(turned.decode(axes(latents)), code.decode(latents))
    torch.testing.assert_close(turned.baseline(1), axes(torch.zeros(1, 3, dtype=torch.float64)))
    assert code.axes is None
    assert turned.latent_names == ("axis0", "axis1", "axis2")
    torch.testing.assert_close(turned.with_axes(None).encode(inputs).mean, latents)


def test_a_transform_inside_is_turned_as_well():
    code, rows = Chained(Tokens(), Identity((4, 3))), torch.randn(2, 12)
    turned = code.with_axes(Rotation(12, matrix=torch.eye(12).flip(0)))
    assert torch.equal(turned.encode(rows), code.encode(rows).flip(1))
    assert torch.equal(turned.with_axes(None).encode(rows), rows)
    assert code.with_axes(None) is code


def test_where_attributions_start_and_what_is_known_is_the_inner_codes():
    code = Chained(Diffusers(), inner())
    assert code.latent_size == 3
    assert code.blocks == ()
    assert code.trained_with is None
    assert not code.baseline(2).any()
    plain = Chained(Tokens(), Tokens())
    with pytest.raises(RuntimeError, match="`latent_size` must be known first. Got an inner code"):
        plain.baseline(1)
    with pytest.raises(TypeError, match="`code` must have the methods encode and decode"):
        Chained(Diffusers(), nn.Linear(2, 2))


def test_a_chain_without_a_start_of_its_own_starts_at_0():
    class Sums(nn.Module):
        def encode(self, inputs):
            return inputs.sum(dim=2)

        def decode(self, latents):
            return latents.unsqueeze(2).repeat(1, 1, 3) / 3

    code = Chained(Tokens(), Sums())
    latents = code.encode(torch.ones(2, 12))
    assert torch.equal(latents, torch.full((2, 4), 3.0))
    assert torch.equal(baseline_of(code, latents), torch.zeros(1, 4))
    assert code.latent_size == 4


@pytest.mark.filterwarnings("ignore")
def test_explanations_and_axes_serve_a_chain_like_any_code():
    code = Chained(Diffusers(), inner())
    turned = explanatory_axes(code, predictor(), images(40), held_out=0)
    assert isinstance(turned, Chained)
    explanation = explain(turned, predictor(), images())
    assert explanation.attributions.shape == (5, 3, 3)
    plain = explain(code, predictor(), images())
    torch.testing.assert_close(explanation.reencoded_outputs, plain.reencoded_outputs)
