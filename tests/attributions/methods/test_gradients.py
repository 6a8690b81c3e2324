import pytest
import torch
from torch.func import functional_call

from attributions import ExpectedGradients, Trim, path_contributions
from attributions.methods.gradients import stratified
from attributions.penalties.monotonicity import turning_back
from attributions.penalties.sparsity import path_l1_over_l2
from tests.cases import LinearCase, smooth_decoder, smooth_predictor
from tests.reference import riemann_integrated_gradients


@pytest.mark.parametrize("penalty", [path_l1_over_l2, turning_back])
def test_the_gradient_of_path_penalties_is_exact(penalty):
    decoder, predictor = smooth_decoder(), smooth_predictor()
    trim = Trim(predictor, decoder)
    alphas = torch.rand(3, 2, dtype=torch.float64)
    latents = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)

    def loss(latents, weight):
        trim = Trim(predictor, lambda z: functional_call(decoder, {"0.weight": weight}, z))
        return penalty(path_contributions(trim, latents, target=1, alphas=alphas))

    weight = decoder[0].weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (latents, weight), eps=1e-6, atol=1e-6, rtol=1e-4)
    assert trim(latents).shape == (3, 4)


def test_expected_gradients_are_unbiased_for_integrated_gradients():
    trim = Trim(smooth_predictor(), smooth_decoder())
    latents = torch.randn(2, 3, dtype=torch.float64)
    scores = torch.stack(
        [ExpectedGradients(trim).attribute(latents, target=1, n_steps=2) for _ in range(500)]
    )
    expected = riemann_integrated_gradients(trim, latents, target=1)
    standard_error = scores.std(dim=0) / 500**0.5
    assert ((scores.mean(dim=0) - expected).abs() < 5 * standard_error + 1e-9).all()


def test_expected_gradients_average_over_a_distribution_of_baselines():
    case = LinearCase()
    trim = Trim(case.predictor, case.decoder)
    baselines = torch.randn(50, 3, dtype=torch.float64)
    scores = ExpectedGradients(trim).attribute(
        case.latents,
        baselines,
        target=torch.tensor([0, 1, 2, 3, 0]),
        n_steps=4000,
        additional_forward_args=trim.residual(case.inputs, case.latents),
    )
    rows = case.jacobian[[0, 1, 2, 3, 0]]
    expected = (case.latents - baselines.mean(dim=0)) * rows
    assert (scores - expected).abs().max() < 0.1


def test_strata_hold_one_point_each():
    """Each n-th of the path has exactly one point, uniform inside: the mean has no bias."""
    noise = torch.rand(5000, 4)
    points = stratified(noise)
    assert torch.equal((points * 4).floor(), torch.arange(4.0).expand(5000, 4))
    torch.testing.assert_close(points * 4 - torch.arange(4.0), noise, atol=1e-5, rtol=0)
    assert stratified(torch.tensor([[0.0, 1.0]])).tolist() == [[0.0, 1.0]]


def test_default_points_of_a_path_are_stratified():
    """The slope of z squared at a point is twice the point: contributions show where it lay."""
    contributions = path_contributions(lambda z: z.pow(2), torch.ones(500, 1), target=0, n_steps=8)
    points = contributions[..., 0] / 2
    assert torch.equal((points * 8).floor().clamp_max(7), torch.arange(8.0).expand(500, 8))
    spread = (points * 8 - torch.arange(8.0)).std(dim=0)
    torch.testing.assert_close(spread, torch.full((8,), 12**-0.5), atol=0.03, rtol=0)


def test_points_of_ones_own_are_taken_as_they_are():
    alphas = torch.tensor([[0.1, 0.9, 0.4]])
    latents = torch.tensor([[1.0], [2.0]])
    contributions = path_contributions(lambda z: z.pow(2), latents, target=0, alphas=alphas)
    torch.testing.assert_close(contributions[..., 0], 2 * latents.pow(2) * alphas)
    each = torch.tensor([[0.1, 0.9], [0.2, 0.3]]).double()
    contributions = path_contributions(lambda z: z.pow(2), latents, target=0, alphas=each)
    torch.testing.assert_close(contributions[..., 0], 2 * latents.pow(2) * each.float())


@pytest.mark.parametrize("baselines", [1.5, "row", "each"])
def test_paths_start_at_the_baseline(baselines):
    latents = torch.randn(4, 2)
    start = {"row": torch.randn(1, 2), "each": torch.randn(4, 2)}.get(baselines, baselines)
    alphas = torch.tensor([[0.25, 0.75]])
    found = path_contributions(lambda z: z.pow(2), latents, start, target=1, alphas=alphas)
    start = start if isinstance(start, torch.Tensor) else torch.full((1, 2), start)
    step = (latents - start)[:, None]
    expected = step * 2 * (start[:, None] + alphas[..., None] * step)
    torch.testing.assert_close(found[..., 1], expected[..., 1])
    assert not found[..., 0].any()  # the other output's


def test_the_target_of_each_example_stays_with_its_points():
    weight = torch.randn(3, 2)
    target = torch.tensor([2, 0, 1, 1])
    latents = torch.randn(4, 2)
    expected = (latents * weight[target])[:, None].expand(4, 3, 2)
    for given in (target, target.tolist()):
        found = path_contributions(lambda z: z @ weight.T, latents, target=given, n_steps=3)
        torch.testing.assert_close(found, expected)
        found = ExpectedGradients(lambda z: z @ weight.T).attribute(
            latents, torch.zeros(5, 2), target=given
        )
        torch.testing.assert_close(found, latents * weight[target])


def test_arguments_of_each_example_stay_with_its_points_and_others_go_as_they_are():
    latents, shift = torch.randn(3, 2), torch.randn(3, 2)

    def function(z, shift, power, name):
        assert name == "name"
        return (z * shift).pow(power).sum(dim=1)

    found = path_contributions(
        function, latents, additional_forward_args=(shift, 1, "name"), n_steps=2
    )
    torch.testing.assert_close(found, (latents * shift)[:, None].expand(3, 2, 2))


def test_the_generator_decides_the_points_and_nothing_else_moves():
    def scores(seed):
        return ExpectedGradients(lambda z: z.pow(3)).attribute(
            torch.ones(4, 2), target=0, generator=torch.Generator().manual_seed(seed)
        )

    state = torch.get_rng_state()
    assert torch.equal(scores(1), scores(1))
    assert not torch.equal(scores(1), scores(2))
    assert torch.equal(torch.get_rng_state(), state)


def test_without_recorded_gradients_the_numbers_are_the_same_and_have_no_graph():
    decoder = smooth_decoder()
    trim, latents = Trim(smooth_predictor(), decoder), torch.randn(3, 3).double()
    alphas = torch.rand(3, 2).double()
    kept = path_contributions(trim, latents, target=1, alphas=alphas)
    with torch.no_grad():
        bare = path_contributions(trim, latents, target=1, alphas=alphas)
    torch.testing.assert_close(bare, kept.detach())
    assert kept.requires_grad
    assert not bare.requires_grad


def test_bad_counts_are_refused():
    with pytest.raises(ValueError, match="`n_steps` must be at least 1. Got 0"):
        path_contributions(lambda latents: latents, torch.randn(3, 2), target=0, n_steps=0)
    with pytest.raises(ValueError, match="`n_steps` must be at least 1. Got 0"):
        ExpectedGradients(lambda latents: latents).attribute(torch.randn(3, 2), n_steps=0)


@pytest.mark.parametrize(
    "method", [path_contributions, lambda *a: ExpectedGradients(a[0]).attribute(a[1])]
)
def test_under_inference_mode_the_error_says_so(method):
    with torch.inference_mode(), pytest.raises(RuntimeError, match="outside torch.inference_mode"):
        method(lambda latents: latents.pow(2).sum(dim=1), torch.randn(3, 2))
