from types import SimpleNamespace

import pytest
import torch

from attributions import Monotonicity
from attributions.measures.simplicity import monotonicity
from attributions.penalties.monotonicity import against_sign, turning_back


def test_turning_back_is_zero_for_monotone_paths_and_one_for_a_round_trip():
    monotone = torch.rand(3, 4, 5) * torch.tensor([1.0, -1, 1, -1, 1])
    assert turning_back(monotone).item() == pytest.approx(0, abs=1e-6)
    assert turning_back(torch.tensor([[[1.0], [-1.0]]])).item() == pytest.approx(1)


def test_a_latent_that_moves_nothing_does_not_count_as_turning_back():
    contributions = torch.rand(3, 4, 2)
    contributions[:, :, 1] = 1e-9 * torch.randn(3, 4)
    assert turning_back(contributions) < 1e-6


def test_against_sign_counts_movement_in_the_wrong_direction():
    contributions = torch.tensor([[[2.0, -1.0, 1.0]]])
    assert against_sign(contributions, torch.tensor([1, 1, 0])).item() == pytest.approx(0.25)
    assert against_sign(contributions, torch.tensor([1, -1, 1])).item() == 0


def test_the_penalty_is_free_unless_directions_are_given():
    contributions = torch.randn(3, 2, 4)
    step = SimpleNamespace(contributions=contributions)
    assert torch.equal(Monotonicity()(step), turning_back(contributions))
    sign = (1, -1, 0, 1)
    found = Monotonicity(weight=1.0, sign=sign)(step)
    assert torch.equal(found, against_sign(contributions, torch.tensor(sign)))
    with pytest.raises(ValueError, match=r"`sign` must have one entry per latent \(4\). Got 2"):
        Monotonicity(sign=(1, -1))(step)


def test_turning_back_is_one_minus_monotonicity():
    contributions = torch.randn(5, 3, 4)
    net, total = contributions.mean(dim=1), contributions.abs().mean(dim=1)
    torch.testing.assert_close(turning_back(contributions), 1 - monotonicity(net, total))


def test_directions_may_differ_from_example_to_example():
    contributions = torch.tensor([[[2.0, -1.0]], [[2.0, -1.0]]])
    sign = torch.tensor([[1, -1], [-1, 1]])  # all right, all wrong
    assert against_sign(contributions, sign).item() == pytest.approx(0.5)
