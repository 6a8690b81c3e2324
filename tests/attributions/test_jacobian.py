import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn

from attributions import Trim, integrated_gradients, jacobian
from tests.cases import LinearCase, smooth_decoder, smooth_predictor
from tests.reference import jacobian_loop
from trimvae import VAE


@pytest.mark.parametrize("mode", ["forward", "reverse", "auto"])
def test_the_jacobian_is_that_of_central_differences(mode):
    trim = Trim(smooth_predictor(), smooth_decoder())
    latents = torch.randn(4, 3, dtype=torch.float64)
    rows = jacobian(trim, latents, mode=mode)
    torch.testing.assert_close(rows, jacobian_loop(trim, latents), atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_all_classes_at_once_equal_captum_class_by_class(mode):
    trim = Trim(smooth_predictor(), smooth_decoder(), explained="centred_logit")
    latents = torch.randn(5, 3, dtype=torch.float64)
    inputs = torch.randn(5, 6, dtype=torch.float64)
    residual = trim.residual(inputs, latents)
    baselines = torch.randn(5, 3, dtype=torch.float64)
    ours = integrated_gradients(
        trim, latents, baselines, residual, n_steps=20, max_points=40, mode=mode
    ).attributions
    for target in range(4):
        theirs = IntegratedGradients(trim).attribute(
            latents, baselines, target=target, additional_forward_args=residual, n_steps=20
        )
        # Captum's step sizes are rounded to float32.
        torch.testing.assert_close(ours[:, target], theirs.detach(), atol=1e-7, rtol=1e-6)


def test_single_precision_agrees_on_convolutions_in_both_modes():
    vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=4).eval()
    predictor = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(196, 10),
    )
    trim = Trim(predictor, vae.decode)
    latents = torch.randn(3, 4)
    forward = integrated_gradients(trim, latents, n_steps=8, mode="forward").attributions
    reverse = integrated_gradients(trim, latents, n_steps=8, mode="reverse").attributions
    torch.testing.assert_close(forward, reverse, atol=1e-5, rtol=1e-4)


class ReverseOnly(torch.autograd.Function):
    """An operator without forward mode, as many of users' own are."""

    @staticmethod
    def forward(ctx, inputs):
        ctx.save_for_backward(inputs)
        return inputs.pow(2)

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


def test_operators_without_forward_mode_fall_back_to_reverse_mode():
    weight = torch.randn(50, 2, dtype=torch.float64)
    latents = torch.randn(3, 2, dtype=torch.float64)
    rows = jacobian(lambda z: ReverseOnly.apply(z) @ weight.T, latents)
    torch.testing.assert_close(rows, weight * 2 * latents[:, None])


@pytest.mark.parametrize("max_points", [1, 7, 10_000])
def test_chunks_do_not_change_the_result(max_points):
    trim = Trim(smooth_predictor(), smooth_decoder())
    latents = torch.randn(5, 3, dtype=torch.float64)
    whole = integrated_gradients(trim, latents, n_steps=12)
    parts = integrated_gradients(trim, latents, n_steps=12, max_points=max_points)
    torch.testing.assert_close(whole.attributions, parts.attributions)
    torch.testing.assert_close(whole.total_variation, parts.total_variation)


def test_total_variation_exceeds_attributions_only_where_the_path_turns_back():
    latents = torch.tensor([[1.0, 1.0]], dtype=torch.float64)

    def function(z):  # z0 rises and falls again, z1 only rises
        return (torch.sin(torch.pi * z[:, 0]) + z[:, 1])[:, None]

    result = integrated_gradients(function, latents, n_steps=200)
    torch.testing.assert_close(result.attributions[0, 0], torch.tensor([0.0, 1.0]).double())
    expected = torch.tensor([2.0, 1.0]).double()
    torch.testing.assert_close(result.total_variation[0, 0], expected, atol=1e-3, rtol=0)


def test_linear_closed_form_and_one_row_of_baselines():
    case = LinearCase()
    baselines = torch.ones(1, 3, dtype=torch.float64)
    result = integrated_gradients(Trim(case.predictor, case.decoder), case.latents, baselines)
    expected = (case.latents - 1)[:, None] * case.jacobian
    torch.testing.assert_close(result.attributions, expected)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="`n_steps` must be at least 1"):
        integrated_gradients(lambda z: z, torch.randn(2, 2), n_steps=0)
    with pytest.raises(ValueError, match="`max_points` must be at least 1"):
        integrated_gradients(lambda z: z, torch.randn(2, 2), max_points=0)
    with pytest.raises(RuntimeError, match="`function` must be differentiable"):
        jacobian(lambda z: z.detach(), torch.randn(2, 2))
