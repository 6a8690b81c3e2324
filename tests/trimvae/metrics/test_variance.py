import pytest
import torch

from trimvae.metrics.variance import variance_shares


def loop(latents, factors):
    shares = torch.zeros(latents.shape[1], factors.shape[1])
    for j in range(latents.shape[1]):
        column, mean = latents[:, j], latents[:, j].mean()
        for f in range(factors.shape[1]):
            between = 0.0
            for level in set(factors[:, f].tolist()):
                group = column[factors[:, f] == level]
                between += len(group) * float(group.mean() - mean) ** 2
            shares[j, f] = between / float((column - mean).square().sum())
    return shares


def test_it_is_the_variance_between_groups_over_all():
    generator = torch.Generator().manual_seed(0)
    factors = torch.randint(5, (60, 3), generator=generator)
    latents = torch.randn(60, 4, generator=generator) + factors[:, :1]
    found = variance_shares(latents, factors)
    torch.testing.assert_close(found, loop(latents, factors), rtol=0, atol=1e-5)


def test_an_angle_is_found_that_a_correlation_misses():
    angle = torch.arange(12).repeat(5)
    latents = torch.stack([(angle * torch.pi / 6).cos(), torch.full((60,), 3.0)], dim=1)
    assert variance_shares(latents, angle[:, None]).flatten().tolist() == pytest.approx([1, 0])


def test_independent_factors_of_a_sum_share_its_variance():
    factors = torch.cartesian_prod(torch.arange(4), torch.arange(3))
    latents = (2.0 * factors[:, 0] + factors[:, 1]).unsqueeze(1)
    found = variance_shares(latents, factors)[0]
    assert found.sum().item() == pytest.approx(1, abs=1e-6)
    assert (found[0] / found[1]).item() == pytest.approx(4 * 1.25 / (2 / 3), abs=1e-4)


def test_rows_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="`latents` and `factors` must have one row for each"):
        variance_shares(torch.zeros(3, 2), torch.zeros(2, 1, dtype=torch.long))
