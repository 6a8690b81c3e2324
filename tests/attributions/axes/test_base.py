import copy

import pytest
import torch

from attributions.axes import Axes, Linear
from attributions.replicas import frozen
from tests.attributions.axes.made import SIZE, UNTOUCHED, correlated, layers


@pytest.mark.parametrize("shape", [(50, SIZE), (SIZE,), (2, 3, SIZE)], ids=str)
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-6), (torch.float64, 1e-11)])
def test_the_way_back_is_exact(axes, shape, dtype, within):
    latents = torch.randn(shape, dtype=dtype)
    coordinates = axes(latents)
    assert coordinates.dtype == dtype
    assert coordinates.shape == shape
    torch.testing.assert_close(axes.inverse(coordinates), latents, rtol=0, atol=within)
    torch.testing.assert_close(axes(axes.inverse(latents)), latents, rtol=0, atol=within)


def test_only_what_is_in_a_group_changes_and_everything_in_it_does(axes):
    latents = torch.randn(50, SIZE)
    latents[0, 0] = float("nan")
    for changed in (axes(latents), axes.inverse(latents)):
        same = (changed == latents).all(dim=0)
        assert [index for index in range(SIZE) if same[index]] == UNTOUCHED


@pytest.mark.parametrize("moved", [0, 3])
def test_a_group_is_moved_by_its_own_latents_alone(axes, moved):
    latents = torch.randn(20, SIZE)
    other = latents.clone()
    other[:, moved] += 1
    changed = (axes(latents) != axes(other)).any(dim=0)
    assert not changed[[1, 2, 4, 5]].any()
    assert changed[[0, 3]].any()


def test_the_jacobian_is_that_of_finite_differences(axes):
    latents = torch.randn(3, SIZE, dtype=torch.float64)
    found = axes.jacobian(latents)
    step = 1e-6
    for index in range(SIZE):
        above, below = latents.clone(), latents.clone()
        above[:, index] += step
        below[:, index] -= step
        difference = (axes(above) - axes(below)) / (2 * step)
        torch.testing.assert_close(found[:, :, index], difference, rtol=1e-6, atol=1e-7)
    assert axes.jacobian(latents[0]).shape == (SIZE, SIZE)


def test_scale_is_how_far_a_small_step_along_an_axis_goes_in_the_latents(axes):
    origin, step = axes(torch.zeros(1, SIZE, dtype=torch.float64)), 1e-6
    ahead = axes.inverse(origin + step * torch.eye(SIZE, dtype=torch.float64))
    behind = axes.inverse(origin - step * torch.eye(SIZE, dtype=torch.float64))
    torch.testing.assert_close(axes.scale, (ahead - behind).norm(dim=1) / (2 * step))


def test_closed_forms_of_scale_and_jacobian_are_those_of_automatic_differentiation():
    linear = layers()["linear"]
    latents = torch.randn(3, SIZE, dtype=torch.float64)
    torch.testing.assert_close(Axes.jacobian(linear, latents), linear.jacobian(latents))
    torch.testing.assert_close(Axes.scale.fget(linear), linear.scale)


def test_derivatives_work_forwards_and_in_batches(axes):
    latents, direction = torch.randn(2, 4, SIZE, dtype=torch.float64)
    axes = frozen(axes)
    _, forwards = torch.func.jvp(axes, (latents,), (direction,))
    expected = (axes.jacobian(latents) @ direction.unsqueeze(2)).squeeze(2)
    torch.testing.assert_close(forwards, expected)
    several = torch.func.vmap(lambda one: torch.func.jvp(axes, (latents,), (one,))[1])
    torch.testing.assert_close(several(direction.expand(3, -1, -1))[2], expected)


def test_gradients_reach_latents_and_parameters_a_second_time():
    for axes in layers().values():
        latents = torch.randn(2, SIZE, dtype=torch.float64, requires_grad=True)
        (first,) = torch.autograd.grad(
            axes.inverse(latents).pow(3).sum(), latents, create_graph=True
        )
        parameters = list(axes.parameters())
        again = torch.autograd.grad(first.pow(2).sum(), parameters, allow_unused=True)
        assert any(gradient is not None and bool(gradient.any()) for gradient in again)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-6), (torch.bfloat16, 0.1)])
def test_weights_of_a_lower_precision_are_undone_as_exactly(axes, dtype, within):
    latents = torch.randn(50, SIZE, dtype=torch.float64)
    rounded = copy.deepcopy(axes).to(dtype)
    torch.testing.assert_close(rounded(latents), axes(latents), rtol=within, atol=within)
    if dtype == torch.float32:
        torch.testing.assert_close(rounded.inverse(rounded(latents)), latents, rtol=0, atol=1e-10)


def test_mixed_precision_is_for_other_layers(axes):
    latents = torch.randn(50, SIZE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(axes(latents), axes(latents.clone()))
        torch.testing.assert_close(axes.inverse(axes(latents)), latents, rtol=0, atol=1e-6)


def test_a_wrong_number_of_latents_is_said(axes):
    for call in (axes, axes.inverse):
        with pytest.raises(ValueError, match="`latents` must have 6 entries, one for each axis"):
            call(torch.randn(3, 5))


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="`size` must be at least 1"):
        Linear(0)


def test_one_latent_can_be_seen_along_one_axis():
    whitened = Linear.fitted(correlated(size=1))
    assert whitened(correlated(size=1)).std().item() == pytest.approx(1)
    for axes in layers(groups=((0,),), size=1).values():
        latents = torch.randn(5, 1)
        torch.testing.assert_close(axes.inverse(axes(latents)), latents, rtol=0, atol=1e-6)
        assert axes.scale.shape == (1,)
