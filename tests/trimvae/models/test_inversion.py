import pytest
import torch
from torch import nn

from attributions.predictors import Predictor
from tests.cases import assert_same_snapshot, snapshot
from tests.trimvae.models.cases import SHAPE, infogan
from trimvae.models import GeneratorAdapter, fit_inverter, invert


def test_inversion_finds_the_latents_of_a_linear_generator():
    torch.manual_seed(0)
    decoder = nn.Linear(3, 20)
    latents = torch.randn(4, 3)
    images = decoder(latents).detach()
    found = invert(decoder, images, torch.zeros(1, 3), n_steps=600, learning_rate=0.1)
    torch.testing.assert_close(found.latents, latents, atol=1e-2, rtol=0)
    assert found.error.max() < 1e-3
    # All at once, each ends where it would alone.
    alone = invert(decoder, images[:1], torch.zeros(1, 3), n_steps=600, learning_rate=0.1)
    torch.testing.assert_close(alone.latents, found.latents[:1], atol=1e-3, rtol=0)


def test_latents_that_are_not_free_stay():
    decoder, images = nn.Linear(3, 8), torch.randn(2, 8)
    free = torch.tensor([False, True, True])
    found = invert(decoder, images, torch.ones(1, 3), free=free, n_steps=20, warn_above=None)
    assert found.latents[:, 0].tolist() == [1, 1]
    assert (found.latents[:, 1] != 1).all()


def test_an_inversion_that_does_not_arrive_is_said_with_its_error():
    with pytest.warns(UserWarning, match="`n_steps` must suffice .* Got 1, after which .*% of"):
        invert(nn.Linear(2, 30), 100 * torch.randn(5, 30), torch.zeros(1, 2), n_steps=1)
    with pytest.raises(ValueError, match="`decode` must return the shape of the images"):
        invert(nn.Linear(2, 30), torch.randn(5, 31), torch.zeros(1, 2))


def test_the_predictors_outputs_are_kept_as_well():
    torch.manual_seed(0)
    decoder, classifier = nn.Linear(2, 30), nn.Linear(30, 2)
    images = torch.randn(6, 30)
    options = {"n_steps": 300, "learning_rate": 0.3, "warn_above": None}
    plain = invert(decoder, images, torch.zeros(1, 2), **options)
    kept = invert(
        decoder, images, torch.zeros(1, 2), predictor=classifier, prediction_weight=500.0, **options
    )

    def missed(found):
        return (classifier(decoder(found.latents)) - classifier(images)).pow(2).sum()

    # With ten classifiers and decoders: at most 0.43.
    assert missed(kept) < 0.7 * missed(plain)


def test_a_feed_forward_inverter_learns_from_samples():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Unflatten(1, SHAPE))
    code = GeneratorAdapter(network, w_dim=5)
    before = {name: value.clone() for name, value in code.state_dict().items()}
    with torch.no_grad():
        images = code.decode(code.draw(64, torch.Generator().manual_seed(5)))
    errors = []
    for n_steps in (1, 150):
        torch.manual_seed(0)
        inverter = fit_inverter(
            code, SHAPE, 5, n_steps=n_steps, generator=torch.Generator().manual_seed(0)
        )
        with torch.no_grad():
            errors.append((code.decode(inverter(images)) - images).pow(2).mean().item())
    assert errors[1] < 0.5 * errors[0]  # at most 0.008 with ten generators
    assert all(torch.equal(value, before[name]) for name, value in code.state_dict().items())


def test_a_predictor_may_carry_what_stands_before_it():
    decoder, classifier = nn.Linear(2, 30), nn.Linear(30, 3)
    images, start = torch.randn(6, 30), torch.zeros(1, 2)
    carried = Predictor(classifier, preprocess=lambda inputs: inputs / 2)
    options = {"n_steps": 20, "prediction_weight": 50.0, "warn_above": None}
    found = invert(decoder, images, start, predictor=carried, **options)
    expected = invert(
        decoder, images, start, predictor=lambda inputs: classifier(inputs / 2), **options
    )
    torch.testing.assert_close(found.latents, expected.latents)


def test_a_search_and_a_sample_leave_a_model_in_training_as_it_was(images):
    model = infogan().train()
    before = snapshot(model)
    invert(model.decode, images, model.baseline(1), n_steps=2, warn_above=None)
    model.sample(5)
    assert_same_snapshot(before, snapshot(model))
