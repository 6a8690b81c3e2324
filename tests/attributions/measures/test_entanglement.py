"""Latents that go together, beside what numpy and closed forms say."""

import numpy as np
import pytest
import torch

from attributions.measures.entanglement import (
    gaussian_total_correlation,
    latent_copies,
    latent_correlation,
)

SHARES = torch.tensor([0.5, 0.3, 0.2]).double()


def mixed(count=300):
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return latents @ torch.tensor([[1.0, 0.6, 0.0], [0.0, 1.0, -0.3], [0.0, 0.0, 2.0]]).double()


def test_the_weighted_correlation_is_that_of_pairs_one_by_one():
    latents = mixed()
    table = np.corrcoef(latents.T.numpy())
    total = weight = 0.0
    for i in range(3):
        for j in range(3):
            if i != j:
                total += float(SHARES[i] * SHARES[j]) * abs(table[i, j])
                weight += float(SHARES[i] * SHARES[j])
    assert latent_correlation(latents, SHARES).item() == pytest.approx(total / weight)


def test_total_correlation_is_minus_half_the_logarithm_of_the_determinant():
    latents = mixed()
    expected = -0.5 * np.log(np.linalg.det(np.corrcoef(latents.T.numpy())))
    assert gaussian_total_correlation(latents, SHARES).item() == pytest.approx(expected)


def test_two_normal_latents_have_the_information_of_their_correlation():
    rho, count = 0.8, 200_000
    noise = torch.randn(count, 2, generator=torch.Generator().manual_seed(1)).double()
    latents = torch.stack([noise[:, 0], rho * noise[:, 0] + (1 - rho**2) ** 0.5 * noise[:, 1]], 1)
    found = gaussian_total_correlation(latents, torch.tensor([0.5, 0.5]))
    assert found.item() == pytest.approx(-0.5 * np.log(1 - rho**2), abs=0.02)


def test_posterior_deviations_are_added_to_the_variances():
    latents = mixed()
    deviations = torch.full_like(latents, 0.5)
    samples = torch.cat([latents + 0.5 * torch.randn_like(latents) for _ in range(200)])
    found = gaussian_total_correlation(latents, SHARES, deviations)
    assert found.item() == pytest.approx(
        gaussian_total_correlation(samples, SHARES).item(), abs=0.02
    )
    assert found < gaussian_total_correlation(latents, SHARES)


def test_latents_that_are_not_used_or_do_not_vary_are_left_out():
    latents = mixed()
    with_copy = torch.cat([latents, latents[:, :1], torch.ones(300, 1).double()], dim=1)
    shares = torch.tensor([0.5, 0.3, 0.2, 0.0, 0.5]).double()
    expected = gaussian_total_correlation(latents, SHARES)
    torch.testing.assert_close(gaussian_total_correlation(with_copy, shares), expected)
    assert gaussian_total_correlation(latents, torch.tensor([1.0, 0.0, 0.0])) == 0
    assert latent_correlation(latents, torch.tensor([1.0, 0.0, 0.0])) == 0


def test_a_copy_is_infinitely_entangled_and_named():
    latents = mixed()[:, [0, 1, 0]]
    assert gaussian_total_correlation(latents, SHARES) > 15
    assert latent_copies(latents) == [(0, 2, 1.0)]
    assert latent_copies(latents, torch.ones_like(latents)) == []
    assert latent_copies(mixed()) == []


def test_a_single_example_and_other_shares_are_refused():
    for act in (latent_correlation, gaussian_total_correlation):
        with pytest.raises(ValueError, match="two examples or more"):
            act(torch.ones(1, 3), SHARES)
        with pytest.raises(ValueError, match="two examples or more"):
            act(torch.ones(5, 2), SHARES)
