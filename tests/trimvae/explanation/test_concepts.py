"""Explanations by concepts: complete, and the same over places as in one."""

import pytest
import torch
from torch import nn

from attributions import Contrast
from attributions.transforms import Features, NonNegativeParts, PrincipalComponents
from trimvae import evaluate
from trimvae.explanation.concepts import concept_maps, explain_concepts


def a_network():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.ReLU(),
        nn.Conv2d(6, 5, 3),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(45, 4),
    ).double()


@pytest.fixture
def pictures():
    return torch.rand(12, 3, 7, 7, dtype=torch.float64)


@pytest.mark.parametrize("basis", [NonNegativeParts, PrincipalComponents])
def test_concepts_add_up_to_the_networks_own_outputs(pictures, basis):
    network = a_network()
    features = Features(network, "1", basis, pictures, latent_size=3)
    found = explain_concepts(features, pictures, explained="output", n_steps=64)
    torch.testing.assert_close(found.explained_at, network(pictures), rtol=0, atol=1e-10)
    ends = found.explained_at_baseline + found.attributions.sum(dim=2)
    torch.testing.assert_close(ends, network(pictures), rtol=0, atol=1e-5)
    assert found.latent_names == ("concept 0", "concept 1", "concept 2")
    assert set(found.to_frame()["latent"]) == set(found.latent_names)


@pytest.mark.parametrize("target", [None, 2])
def test_maps_add_up_to_the_attributions_of_their_concepts(pictures, target):
    features = Features(a_network(), "1", NonNegativeParts, pictures, latent_size=3)
    found = explain_concepts(features, pictures, explained="output", n_steps=16)
    expected = found.target_attributions if target is None else found.attributions[:, target]
    maps = concept_maps(features, pictures, target, n_steps=16)
    assert maps.shape == (12, 3, 5, 5)
    torch.testing.assert_close(maps.sum(dim=(2, 3)), expected, rtol=0, atol=1e-10)


def test_a_contrast_has_one_map(pictures):
    features = Features(a_network(), "1", NonNegativeParts, pictures, latent_size=2)
    both = concept_maps(features, pictures, explained=Contrast(1, 3))
    one, other = (concept_maps(features, pictures, target) for target in (1, 3))
    torch.testing.assert_close(both, one - other, rtol=0, atol=1e-10)


def test_evaluate_takes_what_the_network_sees_at_the_layer(pictures):
    from attributions.transforms import Amounts

    amounts = Amounts(Features(a_network(), "1", NonNegativeParts, pictures, latent_size=2))
    seen = amounts.read(pictures)
    found = evaluate(amounts, amounts.predictor, seen, n_alpha=3, n_beta=3, n_interventions=4)
    assert 0 <= found.metrics["agreement"] <= 1


def test_what_does_not_fit_is_refused(pictures):
    features = Features(a_network(), "1", NonNegativeParts, pictures, latent_size=2)
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(batch, 3, 7, 7\). Got"):
        explain_concepts(features, pictures[..., :5])
    with pytest.raises(ValueError, match="`target` must be from 0 to 3. Got 4"):
        concept_maps(features, pictures, 4)
    with pytest.raises(ValueError, match="`n_steps` must be at least 1. Got 0"):
        concept_maps(features, pictures, n_steps=0)
    with pytest.raises(ValueError, match="in the dtype of the code"):
        concept_maps(features, pictures.float())
