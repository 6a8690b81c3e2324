import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn

from attributions import Trim, expected_gradients, integrated_gradients
from attributions.measures.fidelity import completeness_error
from attributions.methods.jacobians import jacobian
from attributions.outputs import visible_change
from tests.cases import (
    LinearCase,
    convolutional_decoder,
    relu_case,
    smooth_decoder,
    smooth_predictor,
)


def test_expected_gradients_are_complete_against_the_mean_over_the_baselines():
    trim, latents, _, _ = relu_case()
    baselines = torch.randn(20, 4).double()
    generator = torch.Generator().manual_seed(0)
    scores = expected_gradients(trim, latents, baselines, n_steps=1000, generator=generator)
    change = (trim(latents) - trim(baselines).mean(dim=0)).detach()
    assert completeness_error(scores, change) < 0.05


def test_adaptive_steps_reach_the_tolerance_with_points_only_where_needed():
    trim, latents, residual, change = relu_case()
    latents = torch.cat([latents, latents * 1e-3])
    residual = torch.cat([residual, residual])
    for tolerance in (0.05, 0.004):  # a jump of the gradient is known to a thousandth of the path
        result = integrated_gradients(
            trim, latents, residual=residual, n_steps=None, tolerance=tolerance
        )
        with torch.no_grad():
            change = trim(latents, residual) - trim(torch.zeros_like(latents), residual)
        errors = (result.attributions.sum(dim=2) - change).abs()
        assert (errors <= tolerance * visible_change(change) + 1e-12).all()
    assert result.n_steps[:5].double().mean() > result.n_steps[5:].double().mean()
    fine = integrated_gradients(trim, latents, residual=residual, n_steps=500)
    size = fine.attributions.abs().amax()
    assert (result.attributions - fine.attributions).abs().amax() < 0.01 * size
    assert (result.total_variation - fine.total_variation).abs().amax() < 0.01 * size


def test_adaptive_steps_say_where_a_path_cannot_be_integrated():
    def steps(z):
        return (z > 0.3).double() + 0 * z

    with pytest.warns(UserWarning, match="missed by 2 of 2 examples at 1025 points"):
        result = integrated_gradients(steps, torch.ones(2, 1).double(), n_steps=None)
    assert result.n_steps.tolist() == [1025, 1025]
    with pytest.raises(ValueError, match="`tolerance` must be above 0"):
        integrated_gradients(steps, torch.ones(2, 1).double(), n_steps=None, tolerance=0.0)


def test_each_class_is_complete_and_not_only_their_sum():
    """Nine classes are linear, and complete with any points; one percent of their sum is a tenth of
    the class with a kink."""

    def function(z):
        return torch.cat([z.expand(-1, 9), 2 * (z - 0.5 + 1 / 30).clamp_min(0)], dim=1)

    latents = torch.ones(1, 1).double()
    result = integrated_gradients(function, latents, n_steps=None, tolerance=0.01)
    change = function(latents)[0] - function(torch.zeros_like(latents))[0]
    error = (result.attributions[0, :, 0] - change).abs()
    assert result.n_steps.item() > 9
    assert (error <= 0.01 * change).all()
    first = integrated_gradients(function, latents, n_steps=None, tolerance=0.1)
    assert first.n_steps.item() == 9
    error = (first.attributions[0, :, 0] - change).abs()
    assert error[-1] > 0.01 * change[-1]
    assert error.sum() < 0.01 * change.sum()


def test_an_example_at_its_baseline_has_no_attribution():
    trim, latents, _, _ = relu_case()
    result = integrated_gradients(trim, latents, latents, n_steps=None)
    assert not result.attributions.any()
    assert (result.n_steps == 9).all()


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
    predictor = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(196, 10),
    )
    trim = Trim(predictor, convolutional_decoder(4))
    latents = torch.randn(3, 4)
    forward = integrated_gradients(trim, latents, n_steps=8, mode="forward").attributions
    reverse = integrated_gradients(trim, latents, n_steps=8, mode="reverse").attributions
    torch.testing.assert_close(forward, reverse, atol=1e-5, rtol=1e-4)


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


def test_expected_gradients_stratify_their_points():
    """The mean of one point in each of n strata is off by a hundredth of that of n free ones."""
    latents = torch.ones(200, 1).double()
    scores = expected_gradients(lambda z: z.pow(3), latents, n_steps=20)[:, 0, 0]
    free_points = (9 / 5 - 1) ** 0.5 / 20**0.5  # deviation of the mean of 20 values 3 a^2
    assert scores.mean().item() == pytest.approx(1, abs=0.01)
    assert scores.std() < 0.15 * free_points


def test_expected_gradients_draw_a_baseline_for_every_path_and_obey_the_generator():
    baselines = torch.tensor([[0.0], [10.0]]).double()

    def scores(seed):
        return expected_gradients(
            lambda z: z,
            torch.ones(300, 1).double(),
            baselines,
            n_steps=1,
            generator=torch.Generator().manual_seed(seed),
        )[:, 0, 0]

    found = scores(0)
    assert set(found.tolist()) == {1.0, -9.0}
    assert 100 < (found == 1).sum() < 200
    assert torch.equal(found, scores(0))
    assert not torch.equal(found, scores(1))


@pytest.mark.parametrize("n_steps", [None, 50])
def test_the_residual_of_each_example_goes_with_it(n_steps):
    trim, latents, residual, change = relu_case()
    result = integrated_gradients(trim, latents, residual=residual, n_steps=n_steps, max_points=7)
    assert completeness_error(result.attributions, change) < 0.02
    assert completeness_error(result.attributions.flip(0), change) > 0.1


@pytest.mark.parametrize("n_steps", [1, 2, 3, 8])
def test_gauss_legendre_is_exact_for_polynomials_of_its_degree(n_steps):
    """With n points up to degree 2 n - 1 of the slope, from any baseline, and no further."""
    power = 2 * n_steps
    start, end = torch.tensor([[0.5]]).double(), torch.tensor([[2.0]]).double()
    exact = integrated_gradients(lambda z: z.pow(power), end, start, n_steps=n_steps)
    torch.testing.assert_close(exact.attributions[0], end.pow(power) - start.pow(power))
    beyond = integrated_gradients(lambda z: z.pow(power + 2), end, start, n_steps=n_steps)
    error = beyond.attributions[0] - (end.pow(power + 2) - start.pow(power + 2))
    assert error.abs() > 1e-9
    assert exact.n_steps.tolist() == [n_steps]


def test_progress_counts_the_examples_done():
    done = []
    integrated_gradients(
        lambda z: z, torch.randn(10, 2), n_steps=4, max_points=16, progress=done.append
    )
    assert done == [4, 8, 10]


def test_paths_work_where_gradients_are_off_and_leave_no_graph():
    trim, latents, residual, _ = relu_case()
    latents.requires_grad_()
    expected = integrated_gradients(trim, latents, residual=residual)
    with torch.no_grad():
        found = integrated_gradients(trim, latents, residual=residual)
        adaptive = integrated_gradients(trim, latents, residual=residual, n_steps=None)
        drawn = expected_gradients(trim, latents, residual=residual)
    torch.testing.assert_close(found.attributions, expected.attributions)
    assert not any(part.requires_grad for part in (*expected, *adaptive, drawn))


def test_functions_in_place_move_no_latents_and_no_baselines():
    latents, baselines = torch.rand(3, 2).double() + 1, torch.rand(3, 2).double()
    copies = latents.clone(), baselines.clone()
    for n_steps in (5, None):
        found = integrated_gradients(
            lambda z: z.mul_(z.clone()), latents, baselines, n_steps=n_steps
        ).attributions
        expected = torch.diag_embed(copies[0].pow(2) - copies[1].pow(2))
        torch.testing.assert_close(found, expected)
    assert torch.equal(latents, copies[0])
    assert torch.equal(baselines, copies[1])


def test_adaptive_steps_are_simpsons_and_so_exact_for_cubic_slopes():
    start, end = torch.tensor([[0.5]]).double(), torch.tensor([[2.0]]).double()
    result = integrated_gradients(lambda z: z.pow(4), end, start, n_steps=None, tolerance=1e-9)
    torch.testing.assert_close(result.attributions[0], end.pow(4) - start.pow(4))
    assert result.n_steps.tolist() == [9]  # the fewest


@pytest.mark.parametrize("tolerance", ["a", None])
def test_a_tolerance_that_is_no_number_is_refused(tolerance):
    with pytest.raises(TypeError, match="`tolerance` must be a number. Got"):
        integrated_gradients(lambda z: z, torch.ones(1, 2), n_steps=None, tolerance=tolerance)
