import pytest
import torch

from attributions.measures.interventions import (
    curve_area,
    curve_score,
    deletion,
    sufficiency,
    traversal_monotonicity,
)

WEIGHT = torch.tensor([[3.0, 2.0, 1.0, 0.0]])


def linear(z):
    return z @ WEIGHT.T


def test_deletion_of_a_linear_model_has_a_closed_form():
    latents, target = torch.ones(2, 4), torch.zeros(2, dtype=torch.long)
    curves = deletion(linear, latents, latents * WEIGHT, target, n_random=200)
    assert curves.curve.tolist() == [[6.0, 3.0, 1.0, 0.0, 0.0]] * 2
    assert torch.equal(curves.oracle, curves.curve)
    straight = torch.linspace(6, 0, 5)
    torch.testing.assert_close(curves.random.mean(dim=0), straight, atol=0.3, rtol=0)
    assert curve_score(curves).item() == pytest.approx(1)
    worst = deletion(linear, latents, -latents * WEIGHT, target, n_random=200)
    assert curve_score(worst).item() == pytest.approx(-1, abs=0.2)


def test_insertion_is_deletion_backwards():
    latents, target = torch.ones(1, 4), torch.zeros(1, dtype=torch.long)
    curves = deletion(linear, latents, latents * WEIGHT, target, insertion=True)
    assert curves.curve.tolist() == [[0.0, 3.0, 5.0, 6.0, 6.0]]
    assert curve_area(curves.curve).item() == pytest.approx((3 + 5 + 6 + 3) / 4)
    assert curve_score(curves).item() == pytest.approx(1)


def test_no_order_beats_the_oracle_on_a_linear_model_with_both_signs():
    weight = torch.randn(3, 6)

    def function(z):
        return z @ weight.T

    latents, target = torch.randn(40, 6), torch.randint(3, (40,))
    oracle = deletion(function, latents, torch.randn(40, 6), target).oracle
    scores = latents * weight[target]
    exact = deletion(function, latents, scores, target).curve
    torch.testing.assert_close(oracle, exact, atol=1e-5, rtol=1e-5)
    by_size = deletion(function, latents, scores, target, by_size=True)
    assert (curve_area(by_size.curve) >= curve_area(oracle) - 1e-5).all()


def test_sufficiency_moves_the_best_latents_only():
    def margin(z):  # decided by z0 alone
        return torch.stack([z[:, 0], -z[:, 0]], dim=1)

    latents = torch.tensor([[1.0, 5.0], [-2.0, 0.0]])
    low, high = torch.full((2,), -3.0), torch.full((2,), 3.0)
    found = sufficiency(margin, latents, torch.tensor([[1.0, 0.0]] * 2), low, high, k=2, n_steps=13)
    assert found.flipped.all()
    # Grid of step 0.5: a tie is no longer the decision, and 0 is on the grid.
    assert found.distance.tolist() == [1.0, 2.0]
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
    assert found.distance.item() == 1.0


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


def test_attributions_of_zero_are_ranked_in_order_and_score_like_any_order():
    latents, target = torch.ones(2, 4), torch.zeros(2, dtype=torch.long)
    curves = deletion(linear, latents, torch.zeros(2, 4), target)
    assert curves.curve.isfinite().all()
    constant = deletion(lambda z: 0 * z[:, :1], latents, torch.zeros(2, 4), target)
    assert curve_score(constant).isnan()


def test_only_the_target_is_watched():
    """The second output does the opposite of the first."""

    def both(z):
        return torch.cat([linear(z), -linear(z)], dim=1)

    latents = torch.ones(2, 4)
    target = torch.tensor([0, 1])
    curves = deletion(both, latents, latents * WEIGHT, target)
    assert curves.curve.tolist() == [[6.0, 3.0, 1.0, 0.0, 0.0], [-6.0, -3.0, -1.0, 0.0, 0.0]]
    assert curves.oracle[1].tolist() == [-6.0, -6.0, -5.0, -3.0, 0.0]


def test_the_oracle_takes_the_best_of_all_that_are_left():
    """Of every order the lowest at each step, where latents interact: greedy, one by one."""
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    latents, target = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    start = torch.randn(1, 4)
    curves = deletion(network, latents, torch.rand(5, 4), target, start)
    insertion = deletion(network, latents, torch.rand(5, 4), target, start, insertion=True)
    for row in range(5):
        for oracle, before, after, pick in (
            (curves.oracle, latents[row], start[0], min),
            (insertion.oracle, start[0], latents[row], max),
        ):
            point, left, expected = before.clone(), {0, 1, 2, 3}, []
            expected.append(network(point)[target[row]].item())
            while left:
                outputs = {}
                for latent in left:
                    moved = point.clone()
                    moved[latent] = after[latent]
                    outputs[latent] = network(moved)[target[row]].item()
                chosen = pick(outputs, key=outputs.get)
                point[chosen] = after[chosen]
                expected.append(outputs[chosen])
                left.remove(chosen)
            assert oracle[row].tolist() == pytest.approx(expected, abs=1e-5)


def test_curves_go_from_the_latents_to_the_baseline_and_insertion_back():
    network, latents = torch.nn.Linear(4, 2), torch.randn(3, 4)
    target, baselines = torch.tensor([0, 1, 1]), torch.randn(3, 4)
    with torch.no_grad():
        here = network(latents)[torch.arange(3), target]
        there = network(baselines)[torch.arange(3), target]
    for insertion, ends in ((False, (here, there)), (True, (there, here))):
        for curve in deletion(
            network, latents, torch.randn(3, 4), target, baselines, insertion=insertion
        ):
            torch.testing.assert_close(curve[:, 0], ends[0])
            torch.testing.assert_close(curve[:, -1], ends[1])


def test_signed_attributions_go_first_from_above_unless_size_is_asked():
    latents, target = torch.ones(1, 4), torch.zeros(1, dtype=torch.long)
    scores = torch.tensor([[-9.0, 2.0, 1.0, 0.0]])
    signed = deletion(linear, latents, scores, target).curve
    assert signed.tolist() == [[6.0, 4.0, 3.0, 3.0, 0.0]]
    by_size = deletion(linear, latents, scores, target, by_size=True).curve
    assert by_size.tolist() == [[6.0, 3.0, 1.0, 0.0, 0.0]]


def test_random_orders_follow_the_generator_and_average():
    latents, target = torch.ones(2, 4), torch.zeros(2, dtype=torch.long)

    def random(seed, n_random=1):
        generator = torch.Generator().manual_seed(seed)
        scores = torch.ones(2, 4)
        return deletion(
            linear, latents, scores, target, n_random=n_random, generator=generator
        ).random

    assert torch.equal(random(1), random(1))
    assert not torch.equal(random(1), random(2))
    assert set(random(1).flatten().tolist()) <= set(range(7))  # sums of some of 3, 2, 1, 0
    torch.testing.assert_close(
        random(1, 500), torch.linspace(6, 0, 5).expand(2, 5), atol=0.5, rtol=0
    )


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
