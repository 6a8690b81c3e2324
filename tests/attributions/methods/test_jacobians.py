import subprocess
import sys

import pytest
import torch
from torch import nn

from attributions import Trim, integrated_gradients
from attributions.methods.jacobians import input_x_gradient, jacobian, saliency
from tests.cases import (
    ReverseOnly,
    smooth_decoder,
    smooth_predictor,
)
from tests.reference import jacobian_loop


@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
def test_the_jacobian_is_that_of_central_differences(mode):
    trim = Trim(smooth_predictor(), smooth_decoder())
    latents = torch.randn(4, 3, dtype=torch.float64)
    rows = jacobian(trim, latents, mode=mode)
    torch.testing.assert_close(rows, jacobian_loop(trim, latents), atol=1e-8, rtol=1e-6)


def test_operators_without_forward_mode_fall_back_to_reverse_mode():
    weight = torch.randn(50, 2, dtype=torch.float64)
    latents = torch.randn(3, 2, dtype=torch.float64)
    rows = jacobian(lambda z: ReverseOnly.apply(z) @ weight.T, latents)
    torch.testing.assert_close(rows, weight * 2 * latents[:, None])


class ForwardOnly(torch.autograd.Function):
    """An operator with forward mode and without vmap."""

    @staticmethod
    def forward(inputs):
        return inputs.pow(2)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient

    @staticmethod
    def jvp(ctx, tangent):
        return 2 * ctx.saved_tensors[0] * tangent


WIDE = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double()

OPERATORS = {
    "without forward mode": lambda z: ReverseOnly.apply(z),
    "without vmap": lambda z: ForwardOnly.apply(z),
    "of torch without forward mode": lambda z: torch.cdist(
        z[:, :, None], torch.zeros(1, 1, 1).double()
    )[..., 0].pow(2),
    "in place": lambda z: z.mul_(z.clone()),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_where_torch_lacks_one_way_another_gives_the_same(name):
    latents = torch.randn(3, 2, dtype=torch.float64)
    before = latents.clone()
    rows = jacobian(lambda z: OPERATORS[name](z) @ WIDE.T, latents)
    torch.testing.assert_close(rows, WIDE * 2 * before[:, None])
    assert torch.equal(latents, before)


def test_who_insists_on_forward_mode_is_told_what_lacks_it():
    with pytest.raises(NotImplementedError, match="jvp function"):
        jacobian(ReverseOnly.apply, torch.randn(3, 2), mode="forward")
    latents = torch.randn(3, 2)
    rows = jacobian(ForwardOnly.apply, latents, mode="forward")  # without vmap is no obstacle
    torch.testing.assert_close(rows, torch.diag_embed(2 * latents))


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
@pytest.mark.parametrize("kind", [RuntimeError, NotImplementedError, ValueError])
@pytest.mark.parametrize("last", [1, 2, 3])
def test_an_error_of_the_function_comes_out_as_itself(mode, kind, last):
    """However often it was asked before, and whatever else its text holds."""
    calls = []

    def broken(z):
        calls.append(len(z))
        if len(calls) >= last:
            raise kind("my own error: no vmap: no forward AD")
        return z @ WIDE.T

    with pytest.raises(kind, match="my own error"):
        jacobian(broken, torch.randn(8, 2).double(), mode=mode, max_points=2)
    assert len(calls) == last  # it was not asked again in another way


def test_the_way_is_asked_once_for_a_whole_path():
    calls = []

    def function(z):
        calls.append(len(z))
        return ForwardOnly.apply(z) @ WIDE.T

    integrated_gradients(function, torch.ones(2, 2).double(), n_steps=64, max_points=12)
    assert calls.count(1) <= 4  # the number of classes, one tangent, and the columns it lacks


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_what_has_no_graph_is_refused_in_every_mode(mode):
    with pytest.raises(RuntimeError, match="`function` must be differentiable in the latents"):
        jacobian(lambda z: z.detach() @ WIDE.T, torch.randn(3, 2).double(), mode=mode)


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_it_works_where_gradients_are_off_and_says_where_it_cannot(mode):
    trim, latents = Trim(smooth_predictor(), smooth_decoder()), torch.randn(4, 3).double()
    expected = jacobian(trim, latents, mode=mode)
    with torch.no_grad():
        torch.testing.assert_close(jacobian(trim, latents, mode=mode), expected)
    assert not expected.requires_grad
    with (
        torch.inference_mode(),
        pytest.raises(RuntimeError, match=r"outside torch.inference_mode\(\)"),
    ):
        jacobian(trim, latents, mode=mode)


def test_arguments_go_with_their_examples_in_every_mode():
    latents, shift = torch.randn(5, 2).double(), torch.randn(5, 2).double()

    def function(z, shift, scale):
        return (z * shift * scale) @ WIDE.T

    for mode in ("forward", "reverse"):
        rows = jacobian(
            function, latents, shift, torch.tensor(3.0).double(), mode=mode, max_points=4
        )
        torch.testing.assert_close(rows, 3 * shift[:, None] * WIDE)


def test_saliency_and_input_x_gradient_are_made_of_the_jacobian():
    trim, latents = Trim(smooth_predictor(), smooth_decoder()), torch.randn(4, 3).double()
    residual = torch.randn(4, 6).double()
    rows = jacobian(trim, latents, residual)
    torch.testing.assert_close(saliency(trim, latents, residual), rows.abs())
    torch.testing.assert_close(saliency(trim, latents, residual, absolute=False), rows)
    torch.testing.assert_close(input_x_gradient(trim, latents, residual), rows * latents[:, None])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_predictors_have_derivatives_in_one_way_or_another(kind):
    """Fused layers have no forward mode."""
    layer = kind(3, 9, batch_first=True).double()
    trim = Trim(lambda inputs: layer(inputs)[0][:, -1], nn.Unflatten(1, (2, 3)))
    latents = torch.randn(2, 6).double()
    expected = jacobian_loop(trim, latents)
    torch.testing.assert_close(jacobian(trim, latents), expected, atol=1e-7, rtol=1e-5)
    wide = Trim(lambda inputs: layer(inputs)[0].flatten(1).repeat(1, 2), nn.Unflatten(1, (2, 3)))
    torch.testing.assert_close(
        jacobian(wide, latents), jacobian_loop(wide, latents), atol=1e-7, rtol=1e-5
    )


@pytest.mark.slow
def test_forward_mode_warns_of_nothing_when_a_process_first_asks_for_it():
    script = (
        "import torch; from attributions.methods.jacobians import jacobian;"
        "jacobian(torch.nn.Linear(2, 9), torch.ones(1, 2), mode='forward')"
    )
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
