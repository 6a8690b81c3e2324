import inspect

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
from attributions.penalties.sparsity import (
    l1_over_l2,
)
from tests.cases import LinearCase, assert_same_snapshot, smooth_decoder, smooth_predictor, snapshot

METHODS = {
    "Saliency": lambda trim: differentiable(Saliency(trim)),
    "InputXGradient": lambda trim: differentiable(InputXGradient(trim)),
    "IntegratedGradients": lambda trim: differentiable(IntegratedGradients(trim)),
    "ExpectedGradients": lambda trim: differentiable(ExpectedGradients(trim)),
}


def scores_of(name, trim, latents, residual):
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
        return l1_over_l2(scores_of(name, trim, latents, residual))

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
    with pytest.raises(ValueError, match="`n_steps` must be at least 1"):
        path_contributions(lambda latents: latents, torch.randn(3, 2), target=0, n_steps=0)


def test_a_differentiable_method_can_be_passed_again():
    method = differentiable(Saliency(lambda latents: latents.pow(3)))
    latents = torch.randn(3, 2, requires_grad=True)
    scores = differentiable(method).attribute(latents, target=0)
    scores.sum().backward()
    torch.testing.assert_close(latents.grad[:, 0], 6 * latents[:, 0].detach())


KINDS = {
    "Saliency": (Saliency, {"abs": False}),
    "InputXGradient": (InputXGradient, {}),
    "IntegratedGradients": (IntegratedGradients, {"n_steps": 7}),
}


def two_inputs(first, second, scale=1.0):
    """(batch, 2, 3) outputs of two inputs and one more argument."""
    joint = torch.cat([first.tanh(), second.flatten(1).sin()], dim=1)
    return scale * torch.einsum("bi,bj->bij", joint[:, :2] * joint[:, 2:4], joint[:, :3])


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "target", [(1, 2), [(0, 0), (1, 2), (0, 1)]], ids=["one for all", "one each"]
)
def test_tuples_of_inputs_and_targets_of_many_dimensions_are_captums(name, target):
    kind, options = KINDS[name]
    inputs = (torch.randn(3, 2), torch.randn(3, 2, 2))
    options = {**options, "target": target, "additional_forward_args": 1.5}
    plain = kind(two_inputs).attribute(tuple(x.clone().requires_grad_() for x in inputs), **options)
    kept = differentiable(kind(two_inputs)).attribute(inputs, **options)
    assert isinstance(kept, tuple)
    for ours, theirs in zip(kept, plain, strict=True):
        assert ours.requires_grad
        torch.testing.assert_close(ours.detach(), theirs.detach())
    assert not any(tensor.requires_grad for tensor in inputs)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "target", [2, [0, 2, 1], torch.tensor([0, 2, 1]), torch.tensor(1), torch.tensor([1])], ids=str
)
def test_targets_of_every_kind_are_captums(name, target):
    kind, options = KINDS[name]
    trim, latents = Trim(smooth_predictor(), smooth_decoder()), torch.randn(3, 3).double()
    theirs = kind(trim).attribute(latents.clone().requires_grad_(), target=target, **options)
    ours = differentiable(kind(trim)).attribute(latents, target=target, **options)
    torch.testing.assert_close(ours.detach(), theirs.detach())


@pytest.mark.parametrize("baselines", [None, 1, 0.5, "row", "each"])
@pytest.mark.parametrize("rule", ["gausslegendre", "riemann_trapezoid"])
def test_baselines_of_every_kind_and_the_convergence_delta_are_captums(baselines, rule):
    trim, latents = Trim(smooth_predictor(), smooth_decoder()), torch.randn(3, 3).double()
    given = {"row": torch.randn(1, 3).double(), "each": torch.randn(3, 3).double()}
    options = {
        "baselines": given.get(baselines, baselines),
        "target": 1,
        "n_steps": 6,
        "method": rule,
        "return_convergence_delta": True,
    }
    theirs = IntegratedGradients(trim).attribute(latents.clone(), **options)
    ours = differentiable(IntegratedGradients(trim)).attribute(latents, **options)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.detach(), other.detach())
    assert ours[0].requires_grad


def test_everything_may_be_passed_by_place_or_by_name():
    trim, latents = Trim(smooth_predictor(), smooth_decoder()), torch.randn(3, 3).double()
    method = differentiable(IntegratedGradients(trim))
    named = method.attribute(inputs=latents, target=1, n_steps=6, method="riemann_left")
    placed = method.attribute(latents, None, 1, None, 6, "riemann_left", None, False)
    torch.testing.assert_close(placed, named)
    with pytest.raises(TypeError, match="`internal_batch_size` must be None.*Got 3"):
        method.attribute(latents, None, 1, None, 6, "riemann_left", 3)
    with pytest.raises(TypeError, match="n_step"):
        method.attribute(latents, target=1, n_step=6)


def test_local_attributions_and_signs_are_kept():
    trim, latents = Trim(smooth_predictor(), smooth_decoder()), torch.randn(3, 3).double()
    local = IntegratedGradients(trim, multiply_by_inputs=False)
    ours = differentiable(local).attribute(latents, target=0)
    torch.testing.assert_close(ours, local.attribute(latents.clone(), target=0), check_dtype=False)
    signed = differentiable(Saliency(trim)).attribute(latents, target=0, abs=False)
    assert (signed < 0).any()
    torch.testing.assert_close(
        differentiable(Saliency(trim)).attribute(latents, target=0), signed.abs()
    )


@pytest.mark.parametrize("kind", ["smoothgrad", "smoothgrad_sq", "vargrad"])
@pytest.mark.parametrize("name", [*KINDS, "ExpectedGradients"])
def test_noise_tunnel_around_a_differentiable_method_is_captums(name, kind):
    trim, latents = Trim(smooth_predictor(), smooth_decoder()), torch.randn(3, 3).double()

    def smoothed(method):
        torch.manual_seed(0)
        return NoiseTunnel(method).attribute(
            latents.clone(), nt_type=kind, nt_samples=4, stdevs=0.1, target=2
        )

    if name == "ExpectedGradients":
        found = smoothed(ExpectedGradients(trim))
        assert found.shape == latents.shape
        assert not found.requires_grad
        return
    found, expected = smoothed(differentiable(KINDS[name][0](trim))), smoothed(KINDS[name][0](trim))
    torch.testing.assert_close(found, expected.detach())
    assert not found.requires_grad


def test_the_copy_introduces_itself_as_captums_own():
    method = differentiable(IntegratedGradients(lambda latents: latents))
    assert type(method).__name__ == "IntegratedGradients"
    assert inspect.signature(method.attribute) == inspect.signature(
        IntegratedGradients(None).attribute
    )
    assert method.attribute.__doc__ == IntegratedGradients.attribute.__doc__
    assert method.has_convergence_delta()
    assert method.multiplies_by_inputs


def test_a_function_in_place_is_differentiated_where_it_was_asked():
    def squared(latents):
        return latents.mul_(latents.clone())

    latents = torch.randn(3, 2)
    before = latents.clone()
    scores = differentiable(Saliency(squared)).attribute(latents, target=0, abs=False)
    torch.testing.assert_close(scores[:, 0], 2 * before[:, 0])
    assert torch.equal(latents, before)


def test_inference_mode_is_refused():
    method = differentiable(Saliency(lambda latents: latents.pow(2)))
    with (
        torch.inference_mode(),
        pytest.raises(RuntimeError, match=r"must be asked outside torch.inference_mode"),
    ):
        method.attribute(torch.randn(3, 2), target=0)
