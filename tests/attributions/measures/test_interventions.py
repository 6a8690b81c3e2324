import pytest
import torch

from attributions.measures.interventions import sufficiency, traversal_monotonicity
from attributions.measures.orders import deletion

WEIGHT = torch.tensor([[3.0, 2.0, 1.0, 0.0]])


def linear(z):
    return z @ WEIGHT.T


def test_sufficiency_moves_the_best_latents_only():
    def margin(z):  # decided by z0 alone
        return torch.stack([z[:, 0], -z[:, 0]], dim=1)

    latents = torch.tensor([[1.0, 5.0], [-2.0, 0.0]])
    low, high = torch.full((2,), -3.0), torch.full((2,), 3.0)
    found = sufficiency(margin, latents, torch.tensor([[1.0, 0.0]] * 2), low, high, k=2, n_steps=13)
    assert found.flipped.all()
    # Grid of step 0.5 with 0 on it, where a tie is decided for the first class.
    assert found.distance.tolist() == [1.5, 2.0]
    useless = sufficiency(margin, latents, torch.tensor([[0.0, 1.0]] * 2), low, high, k=1)
    assert not useless.flipped.any()
    assert useless.rate.tolist() == [0.0]
    assert useless.distance.isinf().all()


def test_sufficiency_of_a_binary_logit_crosses_zero():
    found = sufficiency(
        lambda z: z[:, :1],
        torch.tensor([[-1.0, 0.0]]),
        torch.tensor([[1.0, 0.0]]),
        torch.tensor([-2.0, 0.0]),
        torch.tensor([2.0, 0.0]),
        k=1,
        n_steps=5,
    )
    assert found.distance.item() == 2.0  # a logit of 0 is still the negative class


def test_traversal_monotonicity_weighs_images_by_what_moves():
    def function(z):
        return (z[:, 0].pow(3) + torch.cos(torch.pi * z[:, 1]))[:, None]

    target = torch.zeros(3, dtype=torch.long)
    ends = torch.full((3,), -1.0), torch.full((3,), 1.0)
    scores = traversal_monotonicity(function, torch.randn(3, 3), target, *ends)
    assert scores[0].item() == pytest.approx(1)
    assert scores[1].item() == pytest.approx(0, abs=0.1)
    assert scores[2].isnan()


def test_attributions_that_cannot_be_ranked_are_refused():
    latents, target = torch.ones(2, 4), torch.zeros(2, dtype=torch.long)
    broken = torch.full((2, 4), torch.nan)
    ends = torch.zeros(4), torch.ones(4)
    with pytest.raises(ValueError, match="`attributions` must be numbers to be ranked"):
        deletion(linear, latents, broken, target)
    with pytest.raises(ValueError, match="`attributions` must be numbers to be ranked"):
        sufficiency(linear, latents, broken, *ends)
    with pytest.raises(ValueError, match=r"the shape of the latents, \(2, 4\)"):
        deletion(linear, latents, torch.ones(2, 3), target)
    with pytest.raises(ValueError, match="`k` must be from 1 to 4"):
        sufficiency(linear, latents, latents, *ends, k=5)
    with pytest.raises(ValueError, match="`low` must not exceed `high`"):
        sufficiency(linear, latents, latents, ends[1], ends[0])


def test_sufficiency_takes_the_nearest_flip_and_moves_one_latent_after_another():
    def function(z):  # needs both latents
        return z[:, :1] + z[:, 1:] + 1.0

    latents = torch.tensor([[1.0, 0.5]])
    low, high = torch.full((2,), -2.0), torch.full((2,), 2.0)
    scores = torch.tensor([[2.0, 1.0]])
    found = sufficiency(function, latents, scores, low, high, k=2, n_steps=9)
    assert found.flipped.tolist() == [[True, True]]
    # z0 down to -1.5 gives exactly 0, which is not above: 2.5 away; -2 lies further off.
    assert found.distance.item() == pytest.approx(2.5)
    assert found.rate.tolist() == [1.0, 1.0]
    narrow = sufficiency(function, latents, scores, low / 2, high, k=2, n_steps=9)
    assert narrow.flipped.tolist() == [[False, True]]


def test_traversals_of_the_latents_chosen_are_those_of_all():
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    latents, target = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    ends = torch.full((4,), -2.0), torch.full((4,), 2.0)
    whole = traversal_monotonicity(network, latents, target, *ends)
    some = traversal_monotonicity(network, latents, target, *ends, chosen=[3, 1])
    torch.testing.assert_close(some, whole[[3, 1]])
    other = traversal_monotonicity(network, latents, (target + 1) % 3, *ends)
    assert not torch.allclose(whole, other)


def test_a_falling_output_is_monotone():
    scores = traversal_monotonicity(
        lambda z: -z[:, :1], torch.randn(3, 2), torch.zeros(3, dtype=torch.long),
        torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0]), n_steps=5,
    )  # fmt: skip
    assert scores[0].item() == pytest.approx(1)


def test_interventions_work_where_gradients_are_off_and_leave_no_graph():
    network, latents = torch.nn.Linear(4, 2), torch.randn(3, 4, requires_grad=True)
    target = torch.zeros(3, dtype=torch.long)
    ends = torch.full((4,), -1.0), torch.full((4,), 1.0)
    curves = deletion(network, latents, latents.detach(), target)
    found = sufficiency(network, latents, latents.detach(), *ends)
    assert not any(part.requires_grad for part in (*curves, *found))
    with torch.no_grad():
        again = deletion(network, latents, latents, target)
    torch.testing.assert_close(again.curve, curves.curve)


def test_functions_in_place_move_no_latents():
    latents = torch.rand(3, 4) + 1
    before, target = latents.clone(), torch.zeros(3, dtype=torch.long)
    ends = torch.zeros(4), torch.ones(4)

    def in_place(z):
        return z.mul_(2)[:, :2]

    deletion(in_place, latents, latents.clone(), target, latents.mean(dim=0, keepdim=True))
    sufficiency(in_place, latents, latents.clone(), *ends)
    traversal_monotonicity(in_place, latents, target, *ends)
    assert torch.equal(latents, before)


def test_sufficiency_moves_what_speaks_strongest_for_or_against():
    latents, scores = torch.ones(1, 2), torch.tensor([[-2.0, 1.0]])
    ends = torch.full((2,), -3.0), torch.full((2,), 3.0)
    first = sufficiency(lambda z: z[:, :1], latents, scores, *ends, k=1)
    second = sufficiency(lambda z: z[:, 1:], latents, scores, *ends, k=1)
    assert first.flipped.item()
    assert not second.flipped.item()


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_a_predictor_that_says_the_same_everywhere_is_never_flipped(classes):
    latents = torch.randn(6, 3)
    scores, ends = torch.rand(6, 3), torch.full((3,), 2.0)
    found = sufficiency(lambda z: z.new_zeros(len(z), classes), latents, scores, -ends, ends)
    assert not found.flipped.any()
    assert found.distance.isinf().all()
