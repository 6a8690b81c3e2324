import pytest
import torch

from attributions.factors import aligned, completed, nearest_orthonormal, predictor_factors
from attributions.measures import class_dependence, participation_ratio
from attributions.penalties.sharing import shared_sparsity


def of_three_bits(count=800, noise=0.1, seed=0):
    """Logits of a classifier that tells the eight corners of three factors apart."""
    generator = torch.Generator().manual_seed(seed)
    factors = 2 * torch.rand(count, 3, generator=generator, dtype=torch.float64) - 1
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3).double()
    evidence = torch.tanh(4 * factors) + noise * torch.randn(
        count, 3, generator=generator, dtype=torch.float64
    )
    logits = 5 * evidence @ corners.T
    return factors, logits, logits.argmax(dim=1)


def correlations(one, other):
    both = torch.cat([one, other], dim=1).T
    return torch.corrcoef(both)[: one.shape[1], one.shape[1] :].abs()


def test_factors_that_classes_share_are_found_rather_than_the_classes():
    factors, logits, target = of_three_bits()
    found = predictor_factors(logits, target)
    assert found.scores.shape == (800, 3)
    assert correlations(found.scores, factors).max(dim=0).values.min() > 0.85
    assert class_dependence(found.contributions(target), target) < 0.3
    sparse = predictor_factors(logits, target, class_price=0.0)
    assert class_dependence(sparse.contributions(target), target) > 0.6


def with_class_directions():
    """Logits of ten classes in nine directions, each with evidence of its own."""
    generator = torch.Generator().manual_seed(1)
    classes = torch.randint(10, (800,), generator=generator)
    logits = torch.randn(800, 10, generator=generator, dtype=torch.float64)
    logits += 6 * torch.nn.functional.one_hot(classes, 10)
    return logits - logits.mean(dim=1, keepdim=True), logits.argmax(dim=1)


def test_the_price_trades_sparsity_for_what_classes_share():
    logits, target = with_class_directions()
    sparse, shared = (
        predictor_factors(logits, target, class_price=p, starts=1) for p in (0.0, 2.0)
    )
    of_sparse, of_shared = (found.contributions(target) for found in (sparse, shared))
    assert class_dependence(of_sparse, target) > class_dependence(of_shared, target) + 0.2
    assert participation_ratio(of_sparse).mean() + 1 < participation_ratio(of_shared).mean()


def test_no_turn_near_the_one_found_is_cheaper():
    _, logits, target = of_three_bits()
    found = predictor_factors(logits, target)
    least = shared_sparsity(found.contributions(target), target)
    generator = torch.Generator().manual_seed(3)
    for _ in range(30):
        skew = 0.05 * torch.randn(3, 3, generator=generator, dtype=torch.float64)
        turn = torch.linalg.matrix_exp(skew - skew.T)
        other = (found.scores @ turn.T) * (found.loadings @ turn.T)[target]
        assert shared_sparsity(other, target) > least - 1e-4


def test_factors_are_scaled_uncorrelated_and_give_the_outputs_back():
    logits, target = with_class_directions()
    found = predictor_factors(logits, target, least_variance=0.0, most=9, starts=1)
    count = len(logits)
    torch.testing.assert_close(found.scores.T @ found.scores / count, torch.eye(9).double())
    torch.testing.assert_close(found.mean + found.scores @ found.loadings.T, logits)
    picked = (logits - found.mean).gather(1, target.unsqueeze(1))[:, 0]
    torch.testing.assert_close(found.contributions(target).sum(dim=1), picked)


def test_order_sign_and_determinism():
    _, logits, target = of_three_bits()
    found = predictor_factors(logits, target)
    size = found.contributions(target).abs().mean(dim=0)
    assert torch.equal(size, size.sort(descending=True).values)
    strongest = found.loadings.gather(0, found.loadings.abs().argmax(dim=0, keepdim=True))
    assert bool((strongest > 0).all())
    again = predictor_factors(logits, target, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.scores, again.scores)


def test_directions_without_variance_are_no_factors_and_most_bounds_them():
    _, logits, target = of_three_bits(noise=0.0)
    assert predictor_factors(logits, target).scores.shape[1] == 3
    assert predictor_factors(logits, target, most=2, starts=1).scores.shape[1] == 2
    flat = torch.ones(20, 4)
    assert predictor_factors(flat, flat[:, 0].long()).scores.shape == (20, 0)


def rotation(size, seed=0):
    noise = torch.randn(size, size, generator=torch.Generator().manual_seed(seed))
    return torch.linalg.qr(noise.double())[0]


def test_alignment_finds_a_turn_that_was_made():
    scores = rotation(300)[:, :4] * 300**0.5
    scores = scores - scores.mean(dim=0)
    turn = rotation(4, seed=1)
    found = aligned(scores @ turn, scores, [range(4)])
    torch.testing.assert_close(found, turn, atol=1e-2, rtol=0)


def test_alignment_keeps_to_its_groups():
    latents = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
    turn = aligned(latents, latents[:, [4, 0]].double() @ rotation(2), [(0, 1), (3, 4)])
    torch.testing.assert_close(turn @ turn.T, torch.eye(5).double())
    assert torch.equal(turn[2], torch.eye(5).double()[2])
    assert not turn[:2, 2:].any()
    assert not turn[3:, :3].any()


def test_a_group_with_fewer_latents_than_factors_takes_those_that_it_holds():
    latents = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)).double()
    noise = torch.randn(500, 1, generator=torch.Generator().manual_seed(1)).double()
    turn = aligned(latents, torch.cat([noise, latents.flip(1)], dim=1), [(0, 1)])
    torch.testing.assert_close(turn.abs().round(), torch.eye(2).double().flip(0))


@pytest.mark.parametrize("count", [0, 2, 4])
def test_rows_are_completed_by_what_is_nearest_to_the_latents(count):
    axes = torch.eye(4).double()
    rows = axes[[3, 1, 0, 2][:count]]
    basis = completed(rows)
    torch.testing.assert_close(basis @ basis.T, axes)
    assert torch.equal(basis.abs().round().sort(dim=1).values[:, -1], torch.ones(4).double())


def test_nearest_orthonormal_is_scipys_polar_factor():
    linalg = pytest.importorskip("scipy.linalg")
    matrix = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).double()
    expected = linalg.polar(matrix.numpy())[0]
    torch.testing.assert_close(nearest_orthonormal(matrix), torch.from_numpy(expected))
