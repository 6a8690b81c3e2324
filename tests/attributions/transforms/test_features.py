"""A layer's activations in a basis: exact through the tail, concept by concept."""

import pytest
import torch
from torch import nn

from attributions import Trim
from attributions.codes import blocks_of
from attributions.methods import integrated_gradients
from attributions.transforms import (
    Features,
    NonNegativeParts,
    PrincipalComponents,
    SparseDictionary,
)
from tests.attributions.transforms.test_cutting import Residual, Tokens, a_network, logits

BASES = [
    (PrincipalComponents, {}),
    (SparseDictionary, {"k": 2, "n_steps": 30}),
]


def smooth():
    """A network whose tail integrated gradients can follow to 1e-10."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.Softplus(),
        nn.Conv2d(6, 4, 3),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(36, 5),
    ).double()


@pytest.fixture
def pictures():
    return torch.rand(12, 3, 7, 7, dtype=torch.float64)


@pytest.mark.parametrize(("basis", "options"), [*BASES, (NonNegativeParts, {})])
def test_the_network_is_what_the_tail_sees_with_the_residual_held(pictures, basis, options):
    network = smooth()
    features = Features(network, "1", basis, pictures, latent_size=3, **options)
    trim = Trim(features.tail, features.decode)
    activations = features.activations(pictures)
    latents = features.encode(activations)
    residual = trim.residual(activations, latents)
    assert latents.shape == (12, 3 * 25)
    assert features.grid == (5, 5)
    torch.testing.assert_close(trim(latents, residual), network(pictures), rtol=0, atol=1e-10)
    found = integrated_gradients(trim, latents, None, residual, n_steps=64).attributions
    change = network(pictures) - trim(torch.zeros_like(latents), residual)
    torch.testing.assert_close(found.sum(dim=2), change, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "layer", "grid"),
    [(Residual, "blocks.1", (12, 12)), (Tokens, "encoder.layers.1", (10,)), (Tokens, "head", ())],
)
def test_maps_tokens_and_vectors_are_layers_alike(kind, layer, grid):
    network, inputs = a_network(kind)
    features = Features(network, layer, PrincipalComponents, inputs, latent_size=2)
    activations = features.activations(inputs)
    latents = features.encode(activations)
    trim = Trim(features.tail, features.decode)
    outputs = trim(latents, trim.residual(activations, latents))
    torch.testing.assert_close(outputs, logits(network(inputs)), rtol=0, atol=1e-10)
    assert features.maps(inputs).shape == (5, 2, *grid)
    assert len(features.latent_names) == features.latent_size == latents.shape[1]


def test_a_whole_basis_leaves_nothing_out_and_rows_are_channels_at_a_place(pictures):
    network = smooth()
    activations = network[:2](pictures).detach()
    basis = PrincipalComponents(activations.movedim(1, -1).reshape(-1, 6), 6)
    features = Features(network, "1", basis, pictures)
    torch.testing.assert_close(features.decode(features.encode(activations)), activations)
    rows = features.rows(activations)
    torch.testing.assert_close(rows[3, 1 * 5 + 2], activations[3, :, 1, 2])
    torch.testing.assert_close(features.shaped(rows), activations)
    alone = basis.encode(activations[3, :, 1, 2].unsqueeze(0))[0]
    torch.testing.assert_close(features.maps(pictures)[3, :, 1, 2], alone)


def test_blocks_are_concepts_and_names_say_where(pictures):
    features = Features(smooth(), "1", PrincipalComponents, pictures, latent_size=2)
    blocks = blocks_of(features, features.latent_size)
    assert [(block.name, block.start, block.stop) for block in blocks] == [
        ("concept 0", 0, 25),
        ("concept 1", 25, 50),
    ]
    assert features.latent_names[26] == "concept 1 at 0, 1"


def test_channels_may_stand_last(pictures):
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.network, self.here = smooth(), nn.Identity()

        def forward(self, inputs):
            hidden = self.network[:2](inputs).permute(0, 2, 3, 1)
            return self.network[2:](self.here(hidden).permute(0, 3, 1, 2))

    turned = Turned()
    ways = {"1": (turned.network, None), "here": (turned, -1)}
    maps = [
        Features(
            network, layer, PrincipalComponents, pictures, latent_size=2, channel_dim=dim
        ).maps(pictures)
        for layer, (network, dim) in ways.items()
    ]
    torch.testing.assert_close(maps[0], maps[1])
    with pytest.raises(ValueError, match="`channel_dim` must count channels. Got 0"):
        Features(turned, "here", PrincipalComponents, pictures, channel_dim=0)


def test_nmf_of_a_layer_below_zero_is_refused(pictures):
    match = "`layer` must not be negative for NMF. Got a minimum of -.* at '3'. Choose a layer"
    with pytest.raises(ValueError, match=match):
        Features(smooth(), "3", NonNegativeParts, pictures, latent_size=2)


def test_a_basis_of_another_size_is_refused_and_so_are_options_of_a_fitted_one(pictures):
    basis = PrincipalComponents(torch.randn(20, 4).double(), 2)
    with pytest.raises(ValueError, match=r"rows \(6,\), the channels of '1'. Got \(4,\)"):
        Features(smooth(), "1", basis, pictures)
    with pytest.raises(TypeError, match="Got a PrincipalComponents that is fitted already"):
        Features(smooth(), "3", basis, pictures, latent_size=2)
