import pytest
import torch
from torch import nn
from torch.distributions import Normal

from tests.trimvae.objectives.cases import batch
from trimvae import VAE, fit
from trimvae.objectives import BetaTCVAE, Perceptual, features

QUIET = {"progress": False, "batch_size": 16}


def test_perceptual_error_is_zero_for_the_same_image_and_one_for_nothing_kept():
    network = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    one = batch()
    same = one._replace(observation=Normal(one.inputs, 1.0))
    assert Perceptual(network, ["0"])(same).terms["perceptual"] == 0
    with torch.no_grad():
        network[0].bias.zero_()
    nothing = one._replace(observation=Normal(torch.zeros_like(one.inputs), 1.0))
    terms = Perceptual(network, ["0"])(nothing).terms
    torch.testing.assert_close(terms["perceptual"], torch.tensor(1.0).double())


def test_perceptual_features_are_the_layers_own_and_leave_the_network_alone():
    network = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    inputs = torch.randn(3, 5, requires_grad=True)
    (found,) = features(network, ["0"], inputs)
    torch.testing.assert_close(found, network[0](inputs))
    found.sum().backward()
    assert inputs.grad is not None
    assert network[0].weight.grad is None
    assert network.training
    assert not network[0]._forward_hooks


def test_perceptual_trains_on_the_explained_predictor_and_improves_its_features():
    torch.manual_seed(0)
    predictor = nn.Sequential(nn.Linear(6, 2), nn.Tanh(), nn.Linear(2, 3))
    data, last = torch.randn(256, 6), {}
    for weight in (0.0, 200.0):
        torch.manual_seed(0)
        vae = VAE.dense(event_shape=(6,), latent_size=2, hidden=(16,))
        objective = Perceptual(predictor, ["0"], weight=weight, objective=BetaTCVAE(4.0))
        options = {"prediction_weight": 0, "max_epochs": 8, "learning_rate": 0.02, **QUIET}
        history = fit(vae, predictor, data, objective=objective, **options)
        last[weight] = history[-1]["perceptual"]
    # On ten seeds, data and predictors: at most 0.33.
    assert last[200.0] < 0.7 * last[0.0]


def test_networks_and_preprocesses_that_work_in_place_reach_nobodys_tensors():
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(5, 2)).double()
    one = batch()
    inputs, means = one.inputs.clone(), one.observation.mean.clone()
    Perceptual(network, ["1"], preprocess=lambda images: images.sub_(5.0))(one)
    assert torch.equal(one.inputs, inputs)
    assert torch.equal(one.observation.mean, means)


def test_a_network_without_submodules_is_told_so():
    with pytest.raises(ValueError, match="Got '0'. This one has none: pass a whole network"):
        features(nn.Linear(4, 3), ["0"], torch.randn(2, 4))


def test_layers_that_do_not_exist_are_named():
    with pytest.raises(ValueError, match="`layers` must name a submodule"):
        Perceptual(nn.Linear(5, 2), [])
    with pytest.raises(ValueError, match="Got 'conv'"):
        features(nn.Linear(5, 2), ["conv"], torch.ones(1, 5))
