"""What is asked for, and the figures beside what is found."""

import math

import pytest
import torch
from torch import nn

from attributions import Predictor
from tests.trimvae.explanation.made import Identity, linear
from trimvae import find_counterfactuals


def test_each_example_reaches_the_class_it_was_asked_for():
    predictor, latents = nn.Linear(3, 4), torch.randn(6, 3)
    own = predictor(latents).argmax(dim=1)
    target = (own + 1) % 4
    for method in ("sparse", "gradient"):
        found = find_counterfactuals(Identity(), predictor, latents, target=target, method=method)
        reached = predictor(found.latents).argmax(dim=1)
        assert torch.equal(found.figures.valid, reached == target)
        assert bool(found.figures.valid.any())
        assert found.metrics["validity"] == pytest.approx(
            found.figures.valid.double().mean().item()
        )


def test_what_is_already_so_needs_no_move():
    latents = torch.tensor([[1.0, 1.0]])
    for method in ("sparse", "gradient"):
        found = find_counterfactuals(
            Identity(), linear([1.0, 1.0]), latents, target=1, method=method
        )
        assert torch.equal(found.latents, latents)
        assert found.figures.valid.all()


def test_plausibility_compares_with_the_examples_own_latents():
    latents = torch.tensor([[0.0, 0.5]])
    found = find_counterfactuals(Identity(), linear([0.0, 1.0]), latents)
    before = -0.5 * 0.25 - torch.log(torch.tensor(2 * torch.pi))
    assert found.log_prior_before.item() == pytest.approx(before.item(), abs=1e-5)
    assert found.reencoding_error.item() == 0
    assert found.metrics["log_prior_change"] == pytest.approx(0.125, abs=2e-3)


def test_figures_but_validity_are_of_valid_moves_alone():
    latents = torch.tensor([[0.0, 0.5], [50.0, 50.0]])  # one latent alone cannot flip the second
    found = find_counterfactuals(Identity(), linear([1.0, 1.0]), latents, n_latents=1)
    assert found.figures.valid.tolist() == [True, False]
    assert found.metrics["validity"] == 0.5
    nearest = found.figures.latent_distance[0].item()
    assert (
        found.metrics["latent_distance"] == pytest.approx(nearest) == pytest.approx(0.5, abs=2e-3)
    )
    none = find_counterfactuals(Identity(), linear([1.0, 1.0]), latents[1:], n_latents=1).metrics
    assert none.pop("validity") == 0.0
    assert all(math.isnan(value) for value in none.values())


def test_re_encoding_measures_where_encoder_and_decoder_disagree():
    class Shifted(Identity):
        def encode(self, inputs):
            return inputs + torch.tensor([3.0, 4.0])

    found = find_counterfactuals(Shifted(), linear([0.0, 1.0]), torch.tensor([[0.0, 0.5]]))
    assert found.reencoding_error.item() == pytest.approx(5.0)


def test_the_predictor_is_asked_behind_its_preprocessing():
    shifted = Predictor(linear([1.0, 0.0]), preprocess=lambda inputs: inputs - 1.0)
    found = find_counterfactuals(Identity(), shifted, torch.zeros(1, 2))
    torch.testing.assert_close(found.latents, torch.tensor([[1.0, 0.0]]), atol=2e-3, rtol=0)


def test_arrays_are_as_good_as_tensors():
    latents = torch.randn(3, 2)
    one = find_counterfactuals(Identity(), linear([1.0, 1.0]), latents, low=torch.full((2,), -3.0))
    other = find_counterfactuals(
        Identity(), linear([1.0, 1.0]), latents.numpy(), low=torch.full((2,), -3.0).numpy()
    )
    assert torch.equal(one.latents, other.latents)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 7}, "`target` must be a class from 0 to 3. Got 7"),
        ({"target": torch.tensor([0, 1, 2])}, r"`target` must be one class or have shape \(2,\)"),
        ({"method": "best"}, "`method` must be 'sparse' or 'gradient'. Got 'best'"),
        ({"n_latents": 0}, "`n_latents` must be at least 1"),
        ({"n_steps": 1}, "`n_steps` at least 2. Got 3 and 1"),
        ({"low": torch.zeros(2)}, r"`low` must have shape \(3,\). Got \(2,\)"),
        ({"high": torch.zeros(1, 3)}, r"`high` must have shape \(3,\). Got \(1, 3\)"),
        ({"target": "name"}, "`target` must be a class from 0 to 3. Got 'name'"),
        ({"target": 1.5}, "`target` must be a class from 0 to 3. Got 1.5"),
        (
            {"low": torch.ones(3), "high": torch.tensor([2.0, -1.0, 2.0])},
            "`low` must be finite numbers that do not exceed `high`. Got 1 and -1 of latent 1",
        ),
        ({"low": torch.full((3,), math.nan)}, "`low` must be finite.* Got nan and 2.5 of latent 0"),
        ({"high": torch.full((3,), math.inf)}, "`low` must be finite.* Got -2.5 and inf of latent"),
        ({"low": torch.full((3,), math.nan), "method": "gradient"}, "`low` must be finite"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        find_counterfactuals(Identity(), nn.Linear(3, 4), torch.randn(2, 3), **options)


def test_latents_must_be_a_batch():
    for latents in (torch.randn(3), torch.randn(0, 3)):
        with pytest.raises(ValueError, match=r"`latents` must have shape \(batch, latents\)"):
            find_counterfactuals(Identity(), nn.Linear(3, 4), latents)


def test_outputs_that_are_known_are_searched_first():
    latents, predictor = torch.randn(5, 3), nn.Linear(3, 4)
    grid = torch.linspace(-2.5, 2.5, 7)
    known = torch.stack(
        [
            torch.stack([predictor(latents.index_fill(1, torch.tensor(j), v)) for v in grid], 1)
            for j in range(3)
        ],
        dim=1,
    ).detach()
    expected = find_counterfactuals(Identity(), predictor, latents, n_steps=7)
    found = find_counterfactuals(Identity(), predictor, latents, n_steps=7, on_grid=known)
    torch.testing.assert_close(found.latents, expected.latents)
    with pytest.raises(ValueError, match=r"`on_grid` must have shape \(5, 3, 11, 4\). Got \(5, 3"):
        find_counterfactuals(Identity(), predictor, latents, on_grid=known)


def test_known_outputs_decide_which_latent_moves():
    """Either latent could: the first is taken, unless the second alone is said to flip."""
    latents, predictor = torch.zeros(1, 2), linear([1.0, 1.0], bias=-1.0)
    asked = find_counterfactuals(Identity(), predictor, latents, n_steps=3)
    torch.testing.assert_close(asked.latents, torch.tensor([[1.0, 0.0]]), atol=2e-3, rtol=0)
    known = torch.full((1, 2, 3, 1), -9.0)
    known[0, 1, 2] = 9.0
    told = find_counterfactuals(Identity(), predictor, latents, n_steps=3, on_grid=known)
    torch.testing.assert_close(told.latents, torch.tensor([[0.0, 1.0]]), atol=2e-3, rtol=0)
