from types import SimpleNamespace

import pytest
import torch
from torch import nn

from attributions import Trim
from attributions.penalties.decoder import (
    Hessian,
    JacobianSparsity,
    hessian_variance,
    jacobian_l1,
    jacobian_l1_over_l2,
    neighbour_distance,
)
from tests.cases import smooth_decoder
from tests.reference import jacobian_loop


def test_jacobian_penalties_are_those_of_central_differences():
    decoder, latents = smooth_decoder(), torch.randn(4, 3).double()
    columns = jacobian_loop(decoder, latents).transpose(1, 2)
    expected = columns.abs().sum(dim=(1, 2)).mean()
    torch.testing.assert_close(jacobian_l1(decoder, latents), expected, rtol=1e-6, atol=0)
    ratio = (columns.abs().sum(dim=2) / columns.norm(dim=2)).mean()
    torch.testing.assert_close(jacobian_l1_over_l2(decoder, latents), ratio, rtol=1e-6, atol=0)


def test_only_the_ratio_ignores_the_stretching_of_latents():
    decoder, latents = smooth_decoder(), torch.randn(4, 3).double()

    def stretched(z):
        return decoder(z / 10)

    assert jacobian_l1(stretched, 10 * latents) < 0.11 * jacobian_l1(decoder, latents)
    torch.testing.assert_close(
        jacobian_l1_over_l2(stretched, 10 * latents), jacobian_l1_over_l2(decoder, latents)
    )


def test_the_hessian_penalty_of_a_quadratic_is_known():
    """The second difference is v'Hv; its variance over signs is 2 sum over i != j of H_ij^2."""
    matrix = torch.tensor([[1.0, 3.0], [3.0, -2.0]]).double()

    def quadratic(z):
        return 0.5 * torch.einsum("bi,ij,bj->b", z, matrix, z)[:, None]

    latents = torch.randn(3, 2).double()
    generator = torch.Generator().manual_seed(0)
    found = hessian_variance(quadratic, latents, k=4000, generator=generator).item()
    assert found == pytest.approx(2 * (9 + 9), rel=0.1)
    assert hessian_variance(lambda z: z.pow(3), latents, k=4).item() == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="`k` must be at least 2"):
        hessian_variance(quadratic, latents, k=1)


def test_the_nearest_neighbour_is_the_nearest():
    latents, data = torch.randn(5, 3), torch.randn(7, 3)
    generator = torch.Generator().manual_seed(3)
    found = neighbour_distance(lambda z: z, latents, data, generator=generator)
    generator.manual_seed(3)
    chosen = torch.randint(3, (5, 1), generator=generator)
    moved = latents.scatter(1, chosen, torch.randn(5, 1, generator=generator))
    distances = [min((row - other).pow(2).sum().item() for other in data) for row in moved]
    assert found.item() == pytest.approx(sum(distances) / 5, rel=1e-5)


def test_jacobian_sparsity_looks_at_as_many_examples_as_it_says_and_knows_both_forms():
    decoder, latents = smooth_decoder(), torch.randn(5, 3).double()
    step = SimpleNamespace(trim=Trim(nn.Identity(), decoder), latents=latents)
    found = JacobianSparsity(examples=2)(step)
    torch.testing.assert_close(found, jacobian_l1_over_l2(decoder, latents[:2]))
    found = JacobianSparsity(form="l1")(step)
    torch.testing.assert_close(found, jacobian_l1(decoder, latents))
    with pytest.raises(ValueError, match="`form` must be one of.*'l0'"):
        JacobianSparsity(weight=1.0, form="l0")


def test_the_hessian_penalty_passes_its_directions_and_its_step_on():
    decoder, latents = smooth_decoder(), torch.randn(5, 3).double()

    def seeded():
        return torch.Generator().manual_seed(2)

    step = SimpleNamespace(trim=Trim(nn.Identity(), decoder), latents=latents, generator=seeded())
    found = Hessian(k=3, epsilon=0.5)(step)
    expected = hessian_variance(decoder, latents, k=3, epsilon=0.5, generator=seeded())
    torch.testing.assert_close(found, expected)
    other = hessian_variance(decoder, latents, k=3, epsilon=0.1, generator=seeded())
    assert not torch.allclose(found, other, rtol=1e-4)
