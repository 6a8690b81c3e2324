import math

import pytest
import torch
from torch.distributions import Normal

from tests import reference
from tests.trimvae.objectives.cases import batch, prior
from trimvae.objectives import batch_decomposition, batch_weights, decomposition


@pytest.mark.parametrize(("size", "dataset"), [(2, 2), (4, 10), (16, 200), (16, 16)])
def test_stratified_weights_sum_to_one_with_the_own_posterior_on_the_diagonal(size, dataset):
    weights = batch_weights(size, dataset).double()
    torch.testing.assert_close(weights.sum(1), torch.ones(size).double(), rtol=0, atol=1e-6)
    expected = [
        [reference.stratified_weight(i, j, size, dataset) for j in range(size)] for i in range(size)
    ]
    torch.testing.assert_close(weights, torch.tensor(expected).double(), rtol=0, atol=1e-6)


def in_circulation(size: int, dataset: int) -> torch.Tensor:
    """What disvae, pythae and the authors' code fill in: 1/N into the first column."""
    others = size - 1
    weights = torch.full((size, size), 1 / others)
    weights.view(-1)[:: size + 1] = 1 / others
    weights[:, 0] = 1 / dataset
    weights[:, 1] = (dataset - others) / (dataset * others)
    weights[others - 1, 0] = (dataset - others) / (dataset * others)
    return weights


def test_the_mean_stratified_estimate_of_the_density_is_the_exact_one():
    generator = torch.Generator().manual_seed(0)
    dataset, size, rounds = 200, 16, 4000
    means = torch.randn(dataset, 2, generator=generator)
    posterior = Normal(means, torch.full_like(means, 0.3))
    ratios = {"ours": [], "in circulation": []}
    for _ in range(rounds):
        chosen = torch.randperm(dataset, generator=generator)[:size]
        latents = means[chosen] + 0.3 * torch.randn(size, 2, generator=generator)
        exact = posterior.log_prob(latents.unsqueeze(1)).sum(2).exp().mean(1)
        own = Normal(means[chosen], torch.tensor(0.3))
        densities = own.log_prob(latents.unsqueeze(1)).sum(2).exp()
        for name, weights in (
            ("ours", batch_weights(size, dataset)),
            ("in circulation", in_circulation(size, dataset)),
        ):
            ratios[name].append(((weights * densities).sum(1).mean() / exact.mean()).item())
    mean = {name: sum(values) / rounds for name, values in ratios.items()}
    assert mean["ours"] == pytest.approx(1.0, abs=0.03)
    assert mean["in circulation"] > 1.3


@pytest.mark.parametrize("estimator", ["mss", "mws"])
def test_a_batch_decomposition_is_the_loops_and_sums_to_the_one_sample_kl(estimator):
    one = batch()
    parts = batch_decomposition(one.latents, one.posterior, one.prior, 100, estimator)

    def weight(i, j):
        return reference.stratified_weight(i, j, 8, 100) if estimator == "mss" else 1 / 800

    expected = reference.decomposition_loop(
        one.latents.tolist(), one.posterior.mean.tolist(), one.posterior.stddev.tolist(), weight
    )
    torch.testing.assert_close(
        torch.stack(list(parts)), torch.tensor(expected).double(), atol=1e-6, rtol=1e-6
    )
    one_sample = one.posterior.log_prob(one.latents) - one.prior.log_prob(one.latents)
    torch.testing.assert_close(sum(parts), one_sample.sum(1).mean())


def test_the_batch_decomposition_has_right_gradients():
    noise = torch.randn(4, 2).double()
    deviation = torch.rand(4, 2).double() + 0.3

    def parts(mean):
        posterior = Normal(mean, deviation)
        latents = mean + deviation * noise
        return torch.stack(list(batch_decomposition(latents, posterior, prior(2), 50)))

    assert torch.autograd.gradcheck(parts, torch.randn(4, 2).double().requires_grad_())


def test_the_reported_decomposition_is_the_loops_on_a_whole_data_set():
    one = batch(n=12)
    posterior = Normal(one.posterior.mean.detach(), one.posterior.stddev)
    parts = decomposition(posterior, one.prior, generator=torch.Generator().manual_seed(3))
    # The same draws: a permutation, then noise.
    generator = torch.Generator().manual_seed(3)
    order = torch.randperm(12, generator=generator)
    noise = torch.randn(12, 3, dtype=torch.float64, generator=generator)
    latents = posterior.mean[order] + posterior.stddev[order] * noise
    expected = reference.decomposition_loop(
        latents.tolist(),
        posterior.mean[order].tolist(),
        posterior.stddev[order].tolist(),
        lambda i, j: 1 / 12,
    )
    torch.testing.assert_close(torch.stack(list(parts)), torch.tensor(expected).double())


def gaussian_code(
    correlation: float, n: int, deviation: float = 0.5
) -> tuple[Normal, float, float]:
    """Posteriors whose mixture is a correlated Gaussian, with its true I and TC."""
    generator = torch.Generator().manual_seed(0)
    signal = 1 - deviation**2
    covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]]).double()
    means = torch.randn(n, 2, generator=generator).double()
    means = means @ torch.linalg.cholesky(covariance - deviation**2 * torch.eye(2).double()).T
    assert signal > correlation
    information = 0.5 * math.log(torch.linalg.det(covariance).item() / deviation**4)
    total_correlation = -0.5 * math.log(torch.linalg.det(covariance).item())
    return Normal(means, torch.full_like(means, deviation)), information, total_correlation


def test_the_reported_decomposition_is_within_five_per_cent_of_the_closed_form():
    posterior, information, total_correlation = gaussian_code(0.7, n=20_000)
    parts = decomposition(
        posterior, prior(2), n_points=10_000, generator=torch.Generator().manual_seed(1)
    )
    assert parts.mutual_information.item() == pytest.approx(information, rel=0.05)
    assert parts.total_correlation.item() == pytest.approx(total_correlation, rel=0.05)
    assert abs(parts.dimension_wise_kl.item()) < 0.02


def test_a_part_of_the_data_set_estimates_the_same_and_independence_gives_zero():
    posterior, information, total_correlation = gaussian_code(0.7, n=20_000)
    some = Normal(posterior.mean[:2000], posterior.stddev[:2000])
    generator = torch.Generator().manual_seed(1)
    parts = decomposition(some, prior(2), dataset_size=20_000, generator=generator)
    assert parts.mutual_information.item() == pytest.approx(information, rel=0.1)
    assert parts.total_correlation.item() == pytest.approx(total_correlation, rel=0.1)
    independent, _, _ = gaussian_code(0.0, n=5000)
    assert abs(decomposition(independent, prior(2), generator=generator).total_correlation) < 0.03


@pytest.mark.parametrize("deviation", [1e-3, 0.1, 3.0])
def test_mutual_information_is_at_most_the_logarithm_of_the_data_set(deviation):
    means = 5 * torch.randn(50, 4)
    posterior = Normal(means, torch.full_like(means, deviation))
    parts = decomposition(posterior, Normal(torch.zeros(4), torch.ones(4)))
    assert parts.mutual_information <= math.log(50) + 1e-5


def test_chunks_of_the_decomposition_change_nothing():
    posterior, _, _ = gaussian_code(0.5, n=300)
    whole, parts = (
        decomposition(
            posterior, prior(2), max_pairs=pairs, generator=torch.Generator().manual_seed(0)
        )
        for pairs in (10**6, 700)
    )
    torch.testing.assert_close(torch.stack(list(whole)), torch.stack(list(parts)))


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: batch_weights(1, 10), "at least 2 examples"),
        (lambda: batch_weights(8, 4), "`dataset_size` must be at least the batch's 8"),
        (lambda: batch_weights(8, 40, "exact"), "`estimator` must be one of"),
        (
            lambda: decomposition(Normal(torch.zeros(1, 2), torch.ones(1, 2)), prior(2)),
            "2 examples or more",
        ),
        (
            lambda: decomposition(
                Normal(torch.zeros(3, 2), torch.ones(3, 2)), prior(2), dataset_size=2
            ),
            "not over more than `dataset_size`",
        ),
    ],
)
def test_bad_arguments_are_named(act, words):
    with pytest.raises(ValueError, match=words):
        act()
