import pytest
import torch

from attributions.axes.turning import flat, nearest_rotation, rotation_from, unflat
from tests.attributions.axes.made import GROUPS, SIZE, layers, orthogonal, within


def test_a_rotation_of_two_latents_is_by_its_angle():
    angle = torch.tensor([0.3], dtype=torch.float64)
    cosine, sine = angle.cos().item(), angle.sin().item()
    expected = torch.tensor([[cosine, -sine], [sine, cosine]], dtype=torch.float64)
    torch.testing.assert_close(rotation_from(angle, 2), expected)


def test_whatever_the_angles_a_rotation_is_orthogonal_and_its_derivative_is_right():
    angles = torch.randn(10, dtype=torch.float64, requires_grad=True)
    turn = rotation_from(10 * angles, 5)
    torch.testing.assert_close(turn @ turn.T, torch.eye(5, dtype=torch.float64))
    assert torch.linalg.det(turn).item() == pytest.approx(1)
    assert torch.autograd.gradcheck(lambda some: rotation_from(some, 5), angles)


def test_rounding_is_taken_off_a_rotation():
    exact = orthogonal(8)
    mended = nearest_rotation(exact.float().double())
    torch.testing.assert_close(mended @ mended.T, torch.eye(8).double(), rtol=0, atol=1e-14)
    torch.testing.assert_close(mended, exact, rtol=0, atol=1e-6)
    assert torch.equal(nearest_rotation(torch.eye(3)), torch.eye(3))


def test_matrices_come_back_from_a_vector():
    blocks = [torch.randn(2, 2).double(), torch.randn(3, 3).double()]
    for one, other in zip(unflat(flat(blocks), [2, 3]), blocks, strict=True):
        assert torch.equal(one, other)
    assert unflat(flat([]), []) == []


def test_axes_turned_further_are_the_turn_times_the_axes_and_can_be_ordered_and_signed(axes):
    latents = torch.randn(20, SIZE, dtype=torch.float64)
    before = axes(latents)
    turn = within(seed=7)
    further = axes.turned(turn)
    torch.testing.assert_close(further(latents), before @ turn.T)
    torch.testing.assert_close(further.inverse(further(latents)), latents)
    swap = torch.eye(SIZE)[[3, 1, 2, 0, 4, 5]] * torch.tensor([1, 1, 1, -1, 1, 1]).unsqueeze(1)
    ordered = axes.turned(swap)(latents)
    torch.testing.assert_close(ordered[:, 0], before[:, 3])
    torch.testing.assert_close(ordered[:, 3], -before[:, 0])
    torch.testing.assert_close(axes(latents), before)  # the first stay as they are


def test_a_reflection_can_be_trained_from():
    flip = torch.diag(torch.tensor([-1.0, 1, 1, 1, 1, 1]))
    rotation = layers()["rotation"].turned(flip)
    with torch.no_grad():
        rotation.angles.add_(0.5)
    assert torch.linalg.det(rotation.matrix).sign() == -torch.linalg.det(within()).sign()


def test_bad_matrices_are_said(axes):
    with pytest.raises(ValueError, match=r"`matrix` must have shape \(6, 6\). Got \(5, 5\)"):
        axes.turned(torch.eye(5))
    with pytest.raises(
        ValueError, match="`matrix` must be orthogonal: .* Got rows of lengths 2 to"
    ):
        axes.turned(2 * torch.eye(SIZE))
    with pytest.raises(ValueError, match="`matrix` must be orthogonal"):
        axes.turned(torch.full((SIZE, SIZE), torch.nan))
    with pytest.raises(ValueError, match="`matrix` must turn each group of latents within itself"):
        axes.turned(orthogonal(SIZE))
    flipped = torch.eye(SIZE)
    flipped[1, 1] = -1  # in no group
    with pytest.raises(ValueError, match="be the identity elsewhere"):
        axes.turned(flipped)


def test_there_is_an_angle_for_each_pair_of_a_group_and_no_other_is_trained():
    assert layers()["rotation"].angles.shape == (len(GROUPS),)
