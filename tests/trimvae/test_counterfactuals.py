import pytest
import torch
from torch import nn

from tests.cases import assert_same_snapshot, snapshot
from trimvae import VAE, counterfactuals


class Identity(nn.Module):
    """A code whose inputs are its latents."""

    def encode(self, inputs):
        return inputs

    def decode(self, latents):
        return latents


def linear(weight, bias=0.0):
    layer = nn.Linear(len(weight), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weight]))
        layer.bias.fill_(bias)
    return layer


def test_a_linear_decision_is_flipped_by_its_strongest_latent_at_the_closed_form_distance():
    latents = torch.tensor([[1.0, 1.0, 1.0]])
    predictor = linear([1.0, 3.0, 0.5])  # the margin is 4.5: the second latent falls by 1.5
    found = counterfactuals(Identity(), predictor, latents)
    assert found.figures.valid.all()
    expected = torch.tensor([[1.0, -0.5, 1.0]])
    torch.testing.assert_close(found.latents, expected, atol=2e-3, rtol=0)
    assert found.figures.changed_latents.item() == 1


def test_the_gradient_shift_finds_the_nearest_point_of_a_linear_boundary():
    latents = torch.tensor([[0.6, 0.9, -0.2], [0.1, 0.1, 0.4]])
    weight = torch.tensor([1.0, 2.0, -0.5])
    found = counterfactuals(Identity(), linear(weight.tolist()), latents, method="gradient")
    distance = (latents @ weight).abs() / weight.norm()
    assert found.figures.valid.all()
    torch.testing.assert_close(found.figures.latent_distance, distance, atol=2e-3, rtol=0)


def test_several_latents_move_where_one_does_not_suffice():
    latents = torch.tensor([[2.0, 2.0]])
    predictor = linear([1.0, 1.0], bias=-0.9)
    alone = counterfactuals(Identity(), predictor, latents, n_latents=1, low=torch.zeros(2))
    assert not alone.figures.valid.item()
    both = counterfactuals(Identity(), predictor, latents, n_latents=2, low=torch.zeros(2))
    assert both.figures.valid.item()
    assert both.latents.sum() == pytest.approx(0.9, abs=2e-3)


def test_each_example_reaches_the_class_it_was_asked_for():
    torch.manual_seed(0)
    predictor, latents = nn.Linear(3, 4), torch.randn(6, 3)
    own = predictor(latents).argmax(dim=1)
    target = (own + 1) % 4
    for method in ("sparse", "gradient"):
        found = counterfactuals(Identity(), predictor, latents, target=target, method=method)
        reached = predictor(found.latents).argmax(dim=1)
        assert torch.equal(found.figures.valid, reached == target)
    assert found.metrics["validity"] == pytest.approx(found.figures.valid.double().mean().item())


def test_what_is_already_so_needs_no_move():
    latents = torch.tensor([[1.0, 1.0]])
    for method in ("sparse", "gradient"):
        found = counterfactuals(Identity(), linear([1.0, 1.0]), latents, target=1, method=method)
        assert torch.equal(found.latents, latents)
        assert found.figures.valid.all()


def test_plausibility_compares_with_the_examples_own_latents():
    latents = torch.tensor([[0.0, 0.5]])
    found = counterfactuals(Identity(), linear([0.0, 1.0]), latents)
    before = -0.5 * 0.25 - torch.log(torch.tensor(2 * torch.pi))
    assert found.log_prior_before.item() == pytest.approx(before.item(), abs=1e-5)
    assert found.reencoding_error.item() == 0
    assert found.metrics["log_prior_change"] == pytest.approx(0.125, abs=2e-3)


def test_nothing_of_the_callers_changes():
    vae = VAE.dense((5,), latent_size=2, hidden=(8,)).train()
    predictor = nn.Sequential(nn.Linear(5, 3), nn.Dropout()).train()
    before, state = (snapshot(vae), snapshot(predictor)), torch.get_rng_state()
    counterfactuals(vae, predictor, torch.randn(2, 2, generator=torch.Generator()))
    assert_same_snapshot(before[0], snapshot(vae))
    assert_same_snapshot(before[1], snapshot(predictor))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 7}, "`target` must be a class from 0 to 3. Got 7"),
        ({"target": torch.tensor([0, 1, 2])}, r"`target` must be one class or have shape \(2,\)"),
        ({"method": "best"}, "`method` must be 'sparse' or 'gradient'. Got 'best'"),
        ({"n_latents": 0}, "`n_latents` must be at least 1"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        counterfactuals(Identity(), nn.Linear(3, 4), torch.randn(2, 3), **options)
