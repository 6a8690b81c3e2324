"""Does more of a latent mean the same in every example? Sums, exclusive or, and in between."""

import pytest
import torch
from torch import nn

from attributions.measures.one_way import changes_along, direction
from attributions.trim import Trim

LATENTS = 2 * torch.rand(300, 2, generator=torch.Generator().manual_seed(0)) - 1


def drawing():
    return torch.Generator().manual_seed(1)


def changes(function, latents=LATENTS, chosen=(0, 1)):
    return changes_along(Trim(function, nn.Identity()), latents, list(chosen))


def test_a_latent_moves_between_its_tenths_and_others_stay():
    found = changes(lambda given: given**2 + given[:, [1, 0]])
    low, high = LATENTS.quantile(torch.tensor([0.1, 0.9]), dim=0)
    expected = torch.stack(
        [
            torch.stack([high[0] ** 2 - low[0] ** 2, high[0] - low[0]]),
            torch.stack([high[1] - low[1], high[1] ** 2 - low[1] ** 2]),
        ]
    )
    torch.testing.assert_close(found, expected.expand(300, 2, 2), atol=1e-5, rtol=1e-5)


def test_no_latent_of_an_exclusive_or_has_a_direction_and_those_of_a_sum_have():
    found = direction(changes(lambda given: given[:, :1] * given[:, 1:]), generator=drawing())
    assert found.value < 0.2
    assert found.interval.high < 0.3
    total = direction(changes(lambda given: given.sum(dim=1, keepdim=True)), generator=drawing())
    assert total.value == pytest.approx(1)
    assert total.interval.low == pytest.approx(1)


@pytest.mark.parametrize("opposite", [0, 10, 25, 50])
def test_it_is_what_the_signs_leave_over(opposite):
    signs = torch.ones(100, 1, 1)
    signs[:opposite] = -1
    assert direction(signs, generator=drawing()).value == pytest.approx(1 - opposite / 50)


def test_sizes_are_added_up_before_the_division():
    """A latent that hardly moves anything hardly counts."""
    strong, weak = torch.full((10, 1), 5.0), torch.tensor([0.1, -0.1] * 5).view(10, 1)
    found = direction(torch.stack([strong, weak], dim=1), generator=drawing())
    assert found.value == pytest.approx(50 / 51)


def test_a_move_that_is_the_same_everywhere_has_a_direction_even_if_it_comes_back():
    found = changes(lambda given: (7 * given[:, :1]).sin(), chosen=[0])
    assert direction(found, generator=drawing()).value == pytest.approx(1)


def test_latents_of_half_precision_move_as_well():
    found = changes(lambda given: given.sum(dim=1, keepdim=True), LATENTS.to(torch.bfloat16))
    assert found.dtype == torch.bfloat16
    assert direction(found, generator=drawing()).value == pytest.approx(1)


def test_changes_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(n, latents, classes\). Got \(3, 2\)"):
        direction(torch.zeros(3, 2))
