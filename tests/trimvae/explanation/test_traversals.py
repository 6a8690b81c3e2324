"""One latent moved: where, what is decoded there, and what the predictor says."""

import pytest
import torch
from torch import nn

from attributions import Predictor
from tests.trimvae.explanation.made import Identity, linear
from trimvae import VAE, traverse


def test_a_traversal_moves_one_latent_and_asks_the_predictor():
    vae, predictor = VAE.dense((6,), latent_size=3, hidden=(16,)), nn.Linear(6, 4)
    latents = torch.tensor([0.3, -1.0, 2.0])
    traversal = traverse(vae, predictor, latents, 1, values=torch.tensor([-1.0, 0.5]))
    torch.testing.assert_close(traversal.inputs[0], vae.decode(latents[None])[0].detach())
    moved = torch.tensor([[0.3, 0.5, 2.0]])
    torch.testing.assert_close(traversal.outputs[1], predictor(vae.decode(moved))[0].detach())
    assert not traversal.outputs.requires_grad


def test_without_values_it_spans_99_percent_of_a_normal_prior():
    latents = torch.zeros(2)
    assert traverse(Identity(), linear([1.0, 0.0]), latents, 0).values.tolist() == pytest.approx(
        [-2.5 + 0.625 * step for step in range(9)]
    )
    few = traverse(Identity(), linear([1.0, 0.0]), latents, 1, n_steps=3)
    assert few.values.tolist() == [-2.5, 0.0, 2.5]
    assert few.inputs[:, 1].tolist() == [-2.5, 0.0, 2.5]
    assert few.inputs[:, 0].tolist() == [0.0] * 3


def test_a_predictor_brings_its_preprocessing():
    predictor = Predictor(linear([1.0, 1.0]), preprocess=lambda inputs: 10 * inputs)
    found = traverse(Identity(), predictor, torch.tensor([1.0, 0.0]), 1, values=torch.ones(1))
    assert found.outputs.item() == 20


def test_arrays_are_as_good_as_tensors():
    latents = torch.tensor([1.0, 0.0])
    values = torch.tensor([0.5, 1.5])
    one = traverse(Identity(), linear([1.0, 2.0]), latents, 1, values=values)
    other = traverse(Identity(), linear([1.0, 2.0]), latents.numpy(), 1, values=values.numpy())
    assert torch.equal(one.outputs, other.outputs)


def test_what_cannot_be_traversed_is_named():
    vae, predictor = VAE.dense((6,), latent_size=3, hidden=(4,)), nn.Linear(6, 4)
    for latent in (3, -1):
        with pytest.raises(ValueError, match=f"`latent` must be from 0 to 2. Got {latent}"):
            traverse(vae, predictor, torch.zeros(3), latent)
    with pytest.raises(ValueError, match=r"`latents` must have shape \(3,\)"):
        traverse(vae, predictor, torch.zeros(2, 3), 0)
    with pytest.raises(ValueError, match="`n_steps` must be at least 1. Got 0"):
        traverse(vae, predictor, torch.zeros(3), 0, n_steps=0)
