"""One latent for each concept: the same path, summed over places."""

import pytest
import torch

from attributions import Trim
from attributions.methods import integrated_gradients
from attributions.transforms import Amounts, Features, NonNegativeParts, PrincipalComponents
from tests.attributions.transforms.test_features import BASES, smooth

EVERY = [*BASES, (NonNegativeParts, {})]


def case(basis, options):
    network, pictures = smooth(), torch.rand(12, 3, 7, 7, dtype=torch.float64)
    features = Features(network, "1", basis, pictures, latent_size=3, **options)
    return network, pictures, features, Amounts(features)


@pytest.mark.parametrize(("basis", "options"), EVERY)
def test_attributions_of_amounts_are_those_of_the_concepts_places_summed(basis, options):
    network, pictures, features, amounts = case(basis, options)
    seen = amounts.read(pictures)
    trim = Trim(amounts.predictor, amounts.decode)
    latents = amounts.encode(seen)
    residual = trim.residual(seen, latents)
    torch.testing.assert_close(trim(latents, residual), network(pictures), rtol=0, atol=1e-10)
    found = integrated_gradients(trim, latents, None, residual, n_steps=16).attributions

    activations = features.activations(pictures)
    wide = features.encode(activations)
    places = Trim(features.tail, features.decode)
    rest = places.residual(activations, wide)
    each = integrated_gradients(places, wide, None, rest, n_steps=16).attributions
    torch.testing.assert_close(found, features.on_grid(each).sum(dim=(3, 4)), rtol=0, atol=1e-10)
    start = places(torch.zeros_like(wide), rest)
    torch.testing.assert_close(trim(torch.zeros_like(latents), residual), start)


@pytest.mark.parametrize(("basis", "options"), EVERY)
def test_an_amount_is_the_mean_absolute_coefficient_with_the_sign_of_the_sum(basis, options):
    _, pictures, features, amounts = case(basis, options)
    maps = features.maps(pictures).flatten(2)
    expected = maps.abs().mean(dim=2) * (1 - 2 * (maps.sum(dim=2) < 0).double())
    seen = amounts.read(pictures)
    torch.testing.assert_close(amounts.encode(seen), expected)
    torch.testing.assert_close(seen[:, :3] * seen[:, 3:6], maps)


def test_without_residual_amounts_are_spread_evenly():
    features, amounts = case(PrincipalComponents, {})[2:]
    latents = torch.randn(4, 3, dtype=torch.float64)
    spread = latents.repeat_interleave(features.places, dim=1)
    expected = features.tail(features.decode(spread))
    torch.testing.assert_close(amounts.predictor(amounts.decode(latents)), expected)
    torch.testing.assert_close(amounts.encode(amounts.decode(latents)), latents)


def test_a_concept_that_is_absent_would_be_everywhere_alike():
    _, pictures, features, amounts = case(NonNegativeParts, {})
    features.basis.components[1] = 0  # then no place has any of it
    seen = amounts.read(pictures)
    assert torch.equal(seen[:, 1], torch.zeros_like(seen[:, 1]))
    assert torch.equal(seen[:, 4], torch.ones_like(seen[:, 4]))
    assert bool(seen.isfinite().all())
