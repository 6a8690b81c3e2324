import pytest
import torch
from captum.attr import (
    DeepLift,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    LayerIntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from torch import nn
from torch.func import functional_call

from attributions import ExpectedGradients, Trim, differentiable, path_contributions
from attributions.penalties import l1_over_l2, path_l1_over_l2, turning_back
from tests.cases import (
    LinearCase,
    assert_same_snapshot,
    smooth_decoder,
    smooth_predictor,
    snapshot,
)
from tests.reference import riemann_integrated_gradients

METHODS = {
    "Saliency": lambda trim: differentiable(Saliency(trim)),
    "InputXGradient": lambda trim: differentiable(InputXGradient(trim)),
    "IntegratedGradients": lambda trim: differentiable(IntegratedGradients(trim)),
    "ExpectedGradients": lambda trim: differentiable(ExpectedGradients(trim)),
}


def attribute(name, trim, latents, residual):
    options = {
        "Saliency": {"abs": False},
        "InputXGradient": {},
        "IntegratedGradients": {"n_steps": 5},
        "ExpectedGradients": {"generator": torch.Generator().manual_seed(3)},
    }[name]
    return METHODS[name](trim).attribute(
        latents,
        target=torch.tensor([0, 2, 1]),
        additional_forward_args=residual,
        **options,
    )


@pytest.mark.parametrize("with_residual", [True, False])
@pytest.mark.parametrize("name", METHODS)
def test_the_penalty_gradient_reaches_encoder_and_decoder_exactly(name, with_residual):
    """Finite differences in float64 through encoder, decoder and residual-carrying Trim."""
    encoder, decoder, predictor = smooth_predictor(6, 3), smooth_decoder(), smooth_predictor()
    inputs = torch.randn(3, 6, dtype=torch.float64)
    residual = Trim(predictor, decoder).residual(inputs, encoder(inputs)) if with_residual else None
    modules = {"encoder": encoder, "decoder": decoder}
    names = [(part, key) for part in modules for key, _ in modules[part].named_parameters()]

    def penalty(*values):
        replaced = {part: {} for part in modules}
        for (part, key), value in zip(names, values, strict=True):
            replaced[part][key] = value
        latents = functional_call(encoder, replaced["encoder"], inputs)
        trim = Trim(predictor, lambda z: functional_call(decoder, replaced["decoder"], z))
        return l1_over_l2(attribute(name, trim, latents, residual))

    values = [
        parameter.detach().clone().requires_grad_()
        for module in modules.values()
        for parameter in module.parameters()
    ]
    assert torch.autograd.gradcheck(penalty, values, eps=1e-6, atol=1e-6, rtol=1e-4)
    gradients = torch.autograd.grad(penalty(*values), values, allow_unused=True)
    reached = {
        part
        for (part, _), gradient in zip(names, gradients, strict=True)
        if gradient is not None and gradient.abs().sum() > 0
    }
    assert reached == {"encoder", "decoder"}


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


def test_canary_plain_captum_gives_the_decoder_no_gradient():
    """If this fails, Captum has learned to keep the graph: simplify `differentiable`."""
    decoder = smooth_decoder()
    trim = Trim(smooth_predictor(), decoder)
    latents = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    scores = IntegratedGradients(trim).attribute(latents, target=0)
    scores.abs().sum().backward()
    assert all(parameter.grad is None for parameter in decoder.parameters())
    assert latents.grad is not None  # it seems differentiable
    exact = torch.autograd.grad(
        differentiable(IntegratedGradients(trim)).attribute(latents, target=0).abs().sum(), latents
    )[0]
    assert (latents.grad - exact).abs().max() > 1e-3  # and is wrong
    assert not Saliency(trim).attribute(latents, target=0).requires_grad


@pytest.mark.parametrize("method", [Saliency, InputXGradient, IntegratedGradients])
def test_values_are_those_of_captum(method):
    trim = Trim(smooth_predictor(), smooth_decoder())
    latents = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    plain = method(trim).attribute(latents, target=2)
    kept = differentiable(method(trim)).attribute(latents, target=2)
    torch.testing.assert_close(kept.detach(), plain.detach())
    assert isinstance(differentiable(method(trim)), method)


def test_closed_forms_on_a_linear_case():
    case = LinearCase()
    trim = Trim(case.predictor, case.decoder)
    row = case.jacobian[2]
    latents = case.latents
    for name, expected in {
        "IntegratedGradients": latents * row,
        "InputXGradient": latents * row,
        "ExpectedGradients": latents * row,
    }.items():
        scores = METHODS[name](trim).attribute(latents, target=2)
        torch.testing.assert_close(scores, expected)
    saliency = METHODS["Saliency"](trim).attribute(latents, target=2, abs=False)
    torch.testing.assert_close(saliency, row.expand_as(latents))


def test_expected_gradients_are_unbiased_for_integrated_gradients():
    trim = Trim(smooth_predictor(), smooth_decoder())
    latents = torch.randn(2, 3, dtype=torch.float64)
    scores = torch.stack(
        [ExpectedGradients(trim).attribute(latents, target=1, n_samples=2) for _ in range(500)]
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
        n_samples=4000,
        additional_forward_args=trim.residual(case.inputs, case.latents),
    )
    rows = case.jacobian[[0, 1, 2, 3, 0]]
    expected = (case.latents - baselines.mean(dim=0)) * rows
    assert (scores - expected).abs().max() < 0.1


def test_the_caller_keeps_method_tensors_and_predictor():
    predictor = smooth_predictor()
    before = snapshot(predictor)
    trim = Trim(predictor, smooth_decoder())
    method = IntegratedGradients(trim)
    kept = method.gradient_func
    latents = torch.randn(3, 3, dtype=torch.float64)
    scores = differentiable(method).attribute(latents, target=0)
    scores.abs().sum().backward()
    assert not latents.requires_grad
    assert method.gradient_func is kept
    assert type(method) is IntegratedGradients
    assert_same_snapshot(before, snapshot(predictor))


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (lambda f: DeepLift(nn.Linear(2, 2)), "DeepLift.*no second derivative"),
        (lambda f: GradientShap(f), "GradientShap.*no_grad"),
        (lambda f: NoiseTunnel(Saliency(f)), "NoiseTunnel.*no_grad"),
        (
            lambda f: LayerIntegratedGradients(nn.Sequential(nn.Linear(2, 2)), nn.Linear(2, 2)),
            "LayerIntegratedGradients.*cut from the graph",
        ),
    ],
)
def test_what_only_seems_differentiable_is_refused(method, reason):
    with pytest.raises(TypeError, match=reason):
        differentiable(method(lambda latents: latents))


def test_internal_batch_size_and_no_grad_are_refused():
    method = differentiable(IntegratedGradients(lambda latents: latents.pow(2)))
    with pytest.raises(TypeError, match="`internal_batch_size` must be None"):
        method.attribute(torch.randn(3, 2), target=0, internal_batch_size=3)
    with torch.no_grad(), pytest.raises(RuntimeError, match=r"under torch.no_grad\(\)"):
        method.attribute(torch.randn(3, 2), target=0)


def test_outputs_without_graph_or_target_are_refused():
    with pytest.raises(RuntimeError, match="`forward_func` must be differentiable"):
        differentiable(Saliency(lambda latents: latents.detach())).attribute(
            torch.randn(3, 2), target=0
        )
    with pytest.raises(ValueError, match="`target` must be given"):
        differentiable(Saliency(lambda latents: latents)).attribute(torch.randn(3, 2))
    with pytest.raises(ValueError, match="`n_points` must be at least 1"):
        path_contributions(lambda latents: latents, torch.randn(3, 2), target=0, n_points=0)


def test_a_differentiable_method_can_be_passed_again():
    method = differentiable(Saliency(lambda latents: latents.pow(3)))
    latents = torch.randn(3, 2, requires_grad=True)
    scores = differentiable(method).attribute(latents, target=0)
    scores.sum().backward()
    torch.testing.assert_close(latents.grad[:, 0], 6 * latents[:, 0].detach())
