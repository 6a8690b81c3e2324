import itertools
import math

import lightning as L
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal

from tests import reference
from trimvae import VAE, Sparsity, fit
from trimvae.objectives import (
    DIPVAE,
    BetaTCVAE,
    BetaVAE,
    CapacityVAE,
    FactorVAE,
    Pass,
    Perceptual,
    Ramp,
    batch_decomposition,
    batch_weights,
    covariance_penalties,
    decomposition,
    features,
    kl,
    objective_named,
    permuted,
    reconstruction,
)

QUIET = {"progress": False, "batch_size": 16, "max_epochs": 2}
ALL = {
    "vae": BetaVAE(),
    "warm-up": BetaVAE(Ramp(4.0, steps=5)),
    "capacity": CapacityVAE(Ramp(3.0, steps=5)),
    "factor": FactorVAE(6.4, width=8, depth=2),
    "btcvae mss": BetaTCVAE(6.4),
    "btcvae mws": BetaTCVAE(6.4, estimator="mws"),
    "dip I": DIPVAE(moments="I"),
    "dip II": DIPVAE(moments="II"),
}


def prior(size: int = 3) -> Normal:
    return Normal(torch.zeros(size).double(), torch.ones(size).double())


def batch(n: int = 8, size: int = 3, seed: int = 0, **options) -> Pass:
    generator = torch.Generator().manual_seed(seed)
    draw = {"generator": generator, "dtype": torch.float64}
    mean = torch.randn(n, size, **draw).requires_grad_()
    deviation = torch.rand(n, size, **draw) + 0.2
    posterior = Normal(mean, deviation)
    latents = mean + deviation * torch.randn(n, size, **draw)
    inputs = torch.rand(n, 5, **draw)
    observation = Bernoulli(logits=torch.randn(n, 5, **draw), validate_args=False)
    return Pass(
        inputs, posterior, prior(size), latents, observation, **{"dataset_size": 100, **options}
    )


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


def test_beta_tc_with_all_weights_one_is_the_plain_vae():
    one = batch()
    assert torch.equal(BetaTCVAE(1.0)(one).total, BetaVAE()(one).total)


def test_beta_tc_weighs_each_part():
    one = batch()
    parts = batch_decomposition(one.latents, one.posterior, one.prior, 100)
    plain = BetaVAE()(one).total
    weighted = BetaTCVAE(6.0, alpha=3.0, gamma=0.5)(one).total
    expected = plain + 2 * parts[0] + 5 * parts[1] - 0.5 * parts[2]
    torch.testing.assert_close(weighted, expected)


def test_capacity_takes_the_absolute_value_of_the_batch_mean():
    # KLs of 0 and 50 nats around a capacity of 25: pythae's would pay 25, the equation nothing.
    mean = torch.tensor([[0.0], [10.0]]).double()
    one = batch(n=2, size=1)._replace(posterior=Normal(mean, torch.ones(2, 1).double()))
    loss = CapacityVAE(capacity=25.0, gamma=1000.0)(one)
    torch.testing.assert_close(loss.total, loss.terms["reconstruction"])
    far = CapacityVAE(capacity=20.0, gamma=10.0)(one)
    torch.testing.assert_close(far.total, far.terms["reconstruction"] + 50.0)


def test_ramps_give_their_value_at_the_pass_step():
    one = batch(step=50)
    ramped = BetaVAE(Ramp(4.0, steps=100))(one)
    torch.testing.assert_close(ramped.total, BetaVAE(2.0)(one).total)
    late = CapacityVAE(Ramp(25.0, steps=100))(batch(step=10_000))
    torch.testing.assert_close(late.total, CapacityVAE(25.0)(batch()).total)


@pytest.mark.parametrize("moments", ["I", "II"])
def test_dip_penalties_are_those_of_the_covariance_matrix(moments):
    one = batch(n=20)
    off, on = covariance_penalties(one.posterior, moments)
    covariance = torch.cov(one.posterior.mean.T, correction=0)
    if moments == "II":
        covariance = covariance + torch.diag(one.posterior.variance.mean(0))
    expected = sum(covariance[i, j] ** 2 for i, j in itertools.permutations(range(3), 2))
    torch.testing.assert_close(off, expected)
    torch.testing.assert_close(on, ((covariance.diagonal() - 1) ** 2).sum())


def test_dip_defaults_follow_the_study():
    assert DIPVAE(5.0, moments="I").diagonal == 50.0
    assert DIPVAE(5.0, moments="II").diagonal == 5.0


def test_shuffling_keeps_each_latents_values_and_breaks_their_dependence():
    latents = torch.randn(2000, 1).expand(2000, 2).contiguous()
    shuffled = permuted(latents)
    assert torch.equal(shuffled.sort(0).values, latents.sort(0).values)
    assert torch.corrcoef(shuffled.T)[0, 1].abs() < 0.1


def factor_pass() -> tuple[FactorVAE, Pass]:
    objective = FactorVAE(10.0, width=8, depth=2)
    objective.build(3)
    objective.double()
    return objective, batch(second_latents=permuted(torch.randn(8, 3).double()))


def test_the_discriminators_loss_leaves_no_gradient_in_the_encoder():
    objective, one = factor_pass()
    terms = objective(one).terms
    terms["discriminator"].backward()
    assert one.posterior.mean.grad is None
    assert objective.discriminator[0].weight.grad.abs().sum() > 0


def test_the_vaes_step_leaves_no_gradient_in_the_discriminator():
    objective, one = factor_pass()
    loss = objective(one)
    (loss.total - loss.terms["discriminator"]).backward()
    assert one.posterior.mean.grad.abs().sum() > 0
    gradients = [parameter.grad for parameter in objective.parameters()]
    assert all(gradient is None or not gradient.any() for gradient in gradients)


def test_a_trained_discriminator_estimates_the_total_correlation_of_a_gaussian():
    correlation = 0.8
    torch.manual_seed(0)
    objective = FactorVAE(1.0, width=64, depth=2)
    objective.build(2)
    optimizer = torch.optim.Adam(objective.parameters(), 1e-3, betas=objective.betas)
    root = torch.linalg.cholesky(torch.tensor([[1.0, correlation], [correlation, 1.0]]))

    def both(n):
        return torch.randn(n, 2) @ root.T, permuted(torch.randn(n, 2) @ root.T)

    for _ in range(400):
        optimizer.zero_grad()
        objective._classify(*both(512)).backward()
        optimizer.step()
    with torch.no_grad():
        logits = objective.discriminator(both(20_000)[0])
    estimate = (logits[:, 0] - logits[:, 1]).mean().item()
    assert estimate == pytest.approx(-0.5 * math.log(1 - correlation**2), abs=0.1)


def small_vae(**options) -> VAE:
    return VAE.dense(event_shape=(6,), latent_size=3, hidden=(8,), **options)


@pytest.mark.parametrize("name", list(ALL))
def test_every_objective_trains_with_prediction_loss_and_penalty_and_logs_the_parts(name):
    torch.manual_seed(0)
    predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    vae = small_vae()
    before = [parameter.clone() for parameter in vae.parameters()]
    history = fit(
        vae, predictor, torch.randn(64, 6), objective=ALL[name], penalties=[Sparsity()], **QUIET
    )
    terms = history[-1]
    assert {"reconstruction", "kl", "prediction", "sparsity"} <= set(terms)
    parts = [
        terms[part] for part in ("mutual_information", "total_correlation", "dimension_wise_kl")
    ]
    assert all(math.isfinite(value) for value in terms.values())
    # One sample of 64 posteriors against the mean of KLs over two slightly changing steps.
    assert sum(parts) == pytest.approx(terms["kl"], rel=0.5, abs=0.3)
    after = list(vae.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_factor_vae_reads_two_batches_a_step_and_trains_its_discriminator():
    objective = FactorVAE(6.4, width=8, depth=2)
    objective.build(3)
    before = objective.discriminator[0].weight.detach().clone()
    steps = []

    class Counter(L.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, index):
            steps.append(len(batch))

    fit(
        small_vae(),
        None,
        torch.randn(64, 6),
        objective=objective,
        prediction_weight=0,
        callbacks=[Counter()],
        **QUIET,
    )
    assert steps == [32, 32, 32, 32]
    assert not torch.equal(before, objective.discriminator[0].weight)


def test_a_resumed_factor_vae_repeats_an_uninterrupted_one(tmp_path):
    data = torch.randn(64, 6)

    def run(folder, epochs, resume=False):
        torch.manual_seed(0)
        vae, objective = small_vae(), FactorVAE(6.4, width=8, depth=2)
        options = {**QUIET, "max_epochs": epochs, "schedule": "constant"}
        fit(
            vae,
            None,
            data,
            objective=objective,
            prediction_weight=0,
            checkpoint_dir=folder,
            resume=resume,
            **options,
        )
        return vae, objective

    whole, whole_objective = run(tmp_path / "whole", 4)
    run(tmp_path / "parts", 2)
    resumed, resumed_objective = run(tmp_path / "parts", 4, resume=True)
    for left, right in (
        (whole, resumed),
        (whole_objective.discriminator, resumed_objective.discriminator),
    ):
        for a, b in zip(left.parameters(), right.parameters(), strict=True):
            assert torch.equal(a, b)


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
    predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    data = torch.randn(256, 2) @ torch.randn(2, 6)
    last = {}
    for weight in (0.0, 200.0):
        torch.manual_seed(0)
        objective = Perceptual(predictor, ["0"], weight=weight, objective=BetaTCVAE(4.0))
        history = fit(
            small_vae(),
            predictor,
            data,
            objective=objective,
            prediction_weight=0,
            **{**QUIET, "max_epochs": 15},
        )
        last[weight] = history[-1]["perceptual"]
    assert last[200.0] < 0.8 * last[0.0]


def test_objectives_are_found_by_their_short_names():
    assert objective_named("vae") == BetaVAE(1.0)
    assert objective_named("betavae") == BetaVAE(4.0)
    assert objective_named("btcvae", 5.0, warm_up=10) == BetaTCVAE(Ramp(5.0, 10, start=1.0))
    assert objective_named("capacity", 20.0, warm_up=10) == CapacityVAE(Ramp(20.0, 10))
    assert objective_named("dipvae1", 2.0) == DIPVAE(2.0, 20.0, "I")
    assert objective_named("factorvae").gamma == 6.4


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: batch_weights(1, 10), "at least 2 examples"),
        (lambda: batch_weights(8, 4), "`dataset_size` must be at least the batch's 8"),
        (lambda: batch_weights(8, 40, "exact"), "`estimator` must be one of"),
        (lambda: BetaTCVAE(estimator="exact"), "`estimator` must be one of"),
        (lambda: BetaTCVAE(-1.0), "`beta` must be at least 0"),
        (lambda: BetaVAE(float("nan")), "`beta` must be at least 0"),
        (lambda: CapacityVAE(gamma=-1.0), "`gamma` must be at least 0"),
        (lambda: Ramp(1.0, steps=0), "`steps` must be at least 1"),
        (lambda: DIPVAE(moments="III"), "`moments` must be one of"),
        (lambda: FactorVAE(width=0), "`width`, `depth` and `learning_rate` must be positive"),
        (lambda: BetaTCVAE()(batch(dataset_size=None)), "`dataset_size` must be known"),
        (lambda: BetaTCVAE()(batch(n=1)), "at least 2 examples"),
        (lambda: DIPVAE()(batch(n=1)), "2 examples or more"),
        (lambda: Perceptual(nn.Linear(5, 2), []), "`layers` must name a submodule"),
        (lambda: features(nn.Linear(5, 2), ["conv"], torch.ones(1, 5)), "Got 'conv'"),
        (lambda: objective_named("gan"), "`objective` must be one of"),
        (lambda: objective_named("vae", 2.0), "`weight` must be left out"),
        (lambda: objective_named("dipvae1", warm_up=3), "`warm_up` must be left out"),
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


def test_a_batch_of_one_is_an_error_that_names_the_remedy():
    for objective in (BetaTCVAE(), FactorVAE(width=4, depth=1)):
        with pytest.raises(ValueError, match="drop an incomplete last batch"):
            fit(
                small_vae(),
                None,
                torch.randn(1, 6),
                objective=objective,
                prediction_weight=0,
                progress=False,
                max_epochs=1,
            )


def test_terms_are_sums_over_the_event_and_means_over_the_batch():
    one = batch()
    per_pixel = -one.observation.log_prob(one.inputs)
    torch.testing.assert_close(
        reconstruction(one.inputs, one.observation), per_pixel.sum() / len(one.inputs)
    )
    mean, deviation = one.posterior.mean, one.posterior.stddev
    closed = 0.5 * (mean**2 + deviation**2 - 1 - 2 * deviation.log()).sum() / len(mean)
    torch.testing.assert_close(kl(one.posterior, one.prior), closed)
