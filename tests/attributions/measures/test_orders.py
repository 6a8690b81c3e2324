import pytest
import torch

from attributions.measures.orders import (
    curve_area,
    curve_score,
    deletion,
    deletion_and_insertion,
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


def test_both_ways_at_once_are_each_alone_and_ask_for_less_than_half():
    torch.manual_seed(2)
    network = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    latents, target = torch.randn(4, 5), torch.tensor([0, 1, 2, 0])
    scores, start, asked = torch.randn(4, 5), torch.randn(1, 5), []

    def function(z):
        asked.append(len(z))
        return network(z)

    def generator():
        return torch.Generator().manual_seed(0)

    both = deletion_and_insertion(
        function, latents, scores, target, start, n_random=10, generator=generator()
    )
    together, asked[:] = sum(asked), []
    for curves, insertion in zip(both, (False, True), strict=True):
        alone = deletion(
            function, latents, scores, target, start, insertion=insertion, generator=generator()
        )
        for ours, theirs in zip(curves, alone, strict=True):
            torch.testing.assert_close(ours, theirs)
    # Ends once, 4 between: of random orders, of the two given, and 5 + 4 + 3 + 2 greedy ones.
    assert together == 4 * (2 + 10 * 4 + 2 * 4 + 2 * 14)
    assert sum(asked) == 2 * 4 * (2 + 10 * 4 + 4 + 14)


def test_one_latent_has_a_single_order():
    for curves in deletion_and_insertion(
        lambda z: 2 * z, torch.ones(3, 1), torch.ones(3, 1), torch.zeros(3, dtype=torch.long)
    ):
        assert curves.curve.shape == (3, 2)
        for bound in (curves.random, curves.oracle):
            assert torch.equal(bound, curves.curve)
