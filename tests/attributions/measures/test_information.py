import math

import numpy as np
import pytest
import torch

from attributions.measures.information import (
    information_flow,
    information_flows,
    mutual_information,
)
from tests.reference import (
    mutual_information_loop,
)


def test_mutual_information_is_that_of_the_loop():
    probabilities = torch.rand(7, 5, 4, dtype=torch.float64).softmax(dim=2)
    probabilities[0, :, 0] = 0
    expected = mutual_information_loop(probabilities.tolist())
    assert mutual_information(probabilities).item() == pytest.approx(expected)


def test_information_flow_of_a_decision_by_one_latent_is_ln_two():
    generator = torch.Generator().manual_seed(0)

    def sign_of_first(z):
        return 100 * z[:, :1]

    flow = information_flow(sign_of_first, 4, [0], n_alpha=4000, n_beta=4, generator=generator)
    assert flow.information.item() == pytest.approx(math.log(2), abs=0.02)
    assert flow.control.item() < 0.2  # n_beta = 4 leaves a large bias
    idle = information_flow(sign_of_first, 4, [1, 2], n_alpha=500, n_beta=50, generator=generator)
    torch.testing.assert_close(idle.information, idle.control, atol=0.003, rtol=0)
    torch.testing.assert_close(idle.control, idle.bias, atol=0.003, rtol=0)


def test_information_flow_is_causal_not_correlational():
    """A prior of two equal columns: the second copies the first, and moves nothing."""
    column = torch.randn(1000, 1)
    flow = information_flow(
        lambda z: 100 * z[:, :1], 2, [1], n_beta=100, prior=torch.cat([column, column], dim=1)
    )
    assert flow.information < 0.03
    with pytest.raises(ValueError, match="`chosen` must name latents from 0 to 1"):
        information_flow(lambda z: z, 2, [])


def test_the_bias_is_that_of_the_formula():
    """n_beta times the bias does not depend on n_beta: Var / (2 M q), summed over classes."""

    def soft(z):
        return z[:, :1] + z[:, 1:]

    def flow(n_beta):
        generator = torch.Generator().manual_seed(0)
        return information_flow(
            soft, 2, [0], n_alpha=4000, n_beta=n_beta, generator=generator, max_points=10**6
        )

    few, many = flow(3), flow(50)
    assert 3 * few.bias.item() == pytest.approx(50 * many.bias.item(), rel=0.1)
    corrected = few.information - few.bias
    assert corrected.item() == pytest.approx((many.information - many.bias).item(), rel=0.15)
    assert information_flow(soft, 2, [0], n_alpha=10, n_beta=1).bias.isnan()


def test_samples_follow_the_generator_the_prior_and_their_placement():
    seen = []

    def function(z):
        seen.append(z)
        return z[:, :2]

    def flow(seed, **options):
        seen.clear()
        generator = torch.Generator().manual_seed(seed)
        found = information_flow(
            function, 3, [1], n_alpha=5, n_beta=4, generator=generator, **options
        )
        return found.information, torch.cat(seen)

    first, points = flow(0)
    assert torch.equal(first, flow(0)[0])
    assert not torch.equal(first, flow(1)[0])
    # The latent chosen keeps its value while the others move.
    assert points.shape == (20, 3)
    assert (points[:, 1].view(5, 4).std(dim=1) == 0).all()
    assert (points[:, 0].view(5, 4).std(dim=1) > 0).all()
    assert flow(0, dtype=torch.float64)[1].dtype == torch.float64
    prior = torch.tensor([[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]])
    drawn = flow(0, prior=prior)[1]
    for column in range(3):
        assert set(drawn[:, column].tolist()) == set(prior[:, column].tolist())
    assert {tuple(row) for row in drawn.tolist()} > {tuple(row) for row in prior.tolist()}


def test_latents_that_do_not_exist_are_refused():
    for chosen in ([2], [-1], [0, 5]):
        with pytest.raises(ValueError, match="`chosen` must name latents from 0 to 1"):
            information_flow(lambda z: z, 2, chosen)


def test_mutual_information_is_differentiable_also_at_zero():
    probabilities = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]], requires_grad=True)
    mutual_information(probabilities).backward()
    assert probabilities.grad.isfinite().all()


def test_the_interval_of_a_flow_holds_it_and_narrows_with_samples():
    widths = []
    for n_alpha in (50, 800):
        generator = torch.Generator().manual_seed(0)
        flow = information_flow(
            lambda z: z[:, :1], 4, [0], n_alpha=n_alpha, n_beta=2, generator=generator
        )
        low, high = flow.interval
        assert low <= flow.information <= high
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]


def soft_decision(z):
    """Of three latents, by an interaction as well: so that the others must be averaged over."""
    return torch.stack([2 * z[:, 0], z[:, 1] * z[:, 0], z[:, 1] - 1], dim=1)


def test_flows_of_all_latents_at_once_are_those_of_each_alone():
    generator = torch.Generator().manual_seed(0)
    options = {"n_alpha": 400, "n_beta": 50, "generator": generator}
    together = [information_flows(soft_decision, 3, **options) for _ in range(5)]
    for latent in range(3):
        alone = [information_flow(soft_decision, 3, [latent], **options) for _ in range(5)]
        for name, tolerance in (("information", 0.03), ("bias", 0.001), ("control", 0.001)):
            ours, theirs = (
                torch.stack([getattr(flow, name) for flow in flows]).mean().item()
                for flows in ([found[latent] for found in together], alone)
            )
            assert ours == pytest.approx(theirs, abs=tolerance), (latent, name)


def test_flows_of_all_latents_ask_each_value_as_often_among_independent_others():
    seen = []

    def function(z):
        seen.append(z)
        return z

    flows = information_flows(function, 4, n_alpha=6, n_beta=50, max_points=64)
    points = torch.cat(seen)
    assert max(map(len, seen)) == 64
    assert points.shape == (300, 4)
    for column in points.T:
        values, counts = column.unique(return_counts=True)
        assert len(values) == 6
        assert (counts == 50).all()
    pairs = torch.stack([column.unique(return_inverse=True)[1] for column in points.T])
    assert len((6 * pairs[0] + pairs[1]).unique()) == 36
    # From the definition, a value at a time.
    answers = points.softmax(dim=1)
    for latent, flow in enumerate(flows):
        groups = [answers[pairs[latent] == value].tolist() for value in range(6)]
        assert flow.information.item() == pytest.approx(mutual_information_loop(groups), abs=1e-5)
        assert torch.equal(flow.control, flows[0].control)


def test_samples_are_spread_over_every_latents_prior():
    """Of n equal parts of a normal, or of the sorted rows of a prior, each holds one sample."""
    seen = []
    information_flow(lambda z: seen.append(z) or z, 3, [1], n_alpha=20, n_beta=5, max_points=100)
    information_flows(lambda z: seen.append(z) or z, 3, n_alpha=20, n_beta=5, max_points=100)
    alpha, values = seen[0][::5, 1:2], seen[1][:20]
    for samples in (alpha, values, seen[0][:, [0, 2]]):
        parts = (len(samples) * torch.special.ndtr(samples)).floor()
        for column in parts.T:
            assert column.long().sort().values.tolist() == list(range(len(samples)))
    rows = torch.arange(40.0).view(40, 1).repeat(1, 2)[torch.randperm(40)]
    information_flows(lambda z: seen.append(z) or z, 2, n_alpha=10, n_beta=1, prior=rows)
    for column in seen[-1].T:
        assert (column.sort().values / 4).floor().tolist() == list(range(10))


def test_a_quarter_of_the_spread_samples_does_as_well_as_independent_ones():
    """Errors of .018 and .022 nats; of as few independent samples about twice as much."""
    many = {"n_alpha": 2_000, "n_beta": 200, "max_points": 10**6}
    generator = torch.Generator().manual_seed(0)
    true = information_flow(soft_decision, 3, [0, 1], generator=generator, **many).information
    ours, independent = [], []
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        few = {"n_alpha": 50, "n_beta": 10, "generator": generator, "max_points": 10**6}
        flow = information_flow(soft_decision, 3, [0, 1], **few)
        ours.append(flow.information - flow.bias - true)
        alpha = torch.randn(200, 1, 3, generator=generator).expand(-1, 10, -1)
        samples = torch.randn(200, 10, 3, generator=generator)
        samples[..., :2] = alpha[..., :2]
        answers = soft_decision(samples.flatten(0, 1)).softmax(dim=1).unflatten(0, (200, 10))
        bias = (answers.var(dim=1).mean(dim=0) / (20 * answers.mean(dim=(0, 1)))).sum()
        independent.append(mutual_information(answers) - bias - true)
    error, theirs = (torch.stack(each).square().mean().sqrt() for each in (ours, independent))
    assert error < 1.5 * theirs


def test_flows_draw_from_the_rows_of_a_prior():
    seen = []
    prior = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], dtype=torch.float64)
    information_flows(lambda z: seen.append(z) or z, 2, n_alpha=30, n_beta=2, prior=prior)
    points = torch.cat(seen)
    assert points.dtype == torch.float64
    assert set(points[:, 1].tolist()) == {10.0, 20.0, 30.0}


def test_flows_of_some_latents_are_those_of_all():
    def flows(**options):
        generator = torch.Generator().manual_seed(0)
        return information_flows(
            soft_decision, 3, n_alpha=20, n_beta=4, generator=generator, **options
        )

    whole = flows()
    assert flows(chosen=[2, 0]) == [whole[2], whole[0]]


def test_whole_numbers_of_numpy_bound_the_memory_as_pythons_do():
    plain, found = (
        information_flow(
            lambda z: 5 * z, 2, [1], n_alpha=20, n_beta=8, max_points=most,
            generator=torch.Generator().manual_seed(0),
        )
        for most in (7, np.int64(7))
    )  # fmt: skip
    assert torch.equal(found.information, plain.information)
