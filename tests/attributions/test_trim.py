import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn

from attributions import Predictor, Trim
from tests.cases import LinearCase, assert_same_snapshot, convolutional_decoder, snapshot


def test_with_residual_it_is_the_predictor_at_the_inputs():
    case = LinearCase()
    trim = Trim(case.predictor, case.decoder)
    residual = trim.residual(case.inputs, case.latents)
    torch.testing.assert_close(trim(case.latents, residual), case.predictor(case.inputs))
    assert not residual.requires_grad
    assert not trim.residual(case.inputs.requires_grad_(), case.latents).requires_grad


def test_without_residual_it_is_the_predictor_at_the_reconstruction():
    case = LinearCase()
    trim = Trim(case.predictor, case.decoder)
    torch.testing.assert_close(trim(case.latents), case.predictor(case.decoder(case.latents)))


def test_integrated_gradients_with_residual_are_complete_on_convolutions():
    predictor = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), nn.SiLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 10)
    )
    inputs = torch.rand(16, 1, 28, 28)
    latents = torch.randn(16, 6)
    trim = Trim(predictor, convolutional_decoder(6))
    residual = trim.residual(inputs, latents)
    target = torch.arange(16) % 10
    scores = IntegratedGradients(trim).attribute(
        latents, target=target, additional_forward_args=residual, n_steps=32
    )
    rows = torch.arange(16)
    change = (predictor(inputs) - trim(torch.zeros_like(latents), residual))[rows, target]
    error = (scores.sum(dim=1) - change).abs().max() / change.abs().mean()
    assert error < 1e-4


def test_a_residual_recomputed_on_every_call_breaks_completeness_by_the_whole_attribution():
    case = LinearCase()
    trim = Trim(case.predictor, case.decoder)

    def recomputing(latents, inputs):
        return trim(latents, inputs - case.decoder(latents))

    scores = IntegratedGradients(recomputing).attribute(
        case.latents.requires_grad_(), target=0, additional_forward_args=case.inputs
    )
    assert scores.abs().max() < 1e-12


def test_preprocess_stands_between_decoder_and_predictor():
    predictor = nn.Linear(6, 4)
    trim = Trim(predictor, nn.Identity(), preprocess=lambda inputs: (inputs - 1) / 2)
    inputs = torch.randn(3, 6)
    torch.testing.assert_close(trim(inputs), predictor((inputs - 1) / 2))


def test_a_decoder_of_another_size_is_refused():
    trim = Trim(nn.Linear(6, 4), nn.Linear(3, 5))
    with pytest.raises(ValueError, match=r"`decoder` must return the shape of the inputs"):
        trim.residual(torch.randn(2, 6), torch.randn(2, 3))


def test_the_mode_is_handed_back_after_an_error():
    predictor = nn.Sequential(nn.Dropout(), nn.Linear(6, 4)).train()
    predictor[0].eval()
    before = snapshot(predictor)
    with pytest.raises(RuntimeError):
        Trim(predictor, nn.Identity())(torch.randn(3, 7))
    assert_same_snapshot(before, snapshot(predictor))


def test_the_residual_is_held_fixed_while_latents_move():
    case = LinearCase()
    trim = Trim(case.predictor, case.decoder)
    residual = trim.residual(case.inputs, case.latents)
    moved = case.latents + 1
    expected = case.predictor(case.decoder(moved) + case.inputs - case.decoder(case.latents))
    torch.testing.assert_close(trim(moved, residual), expected)


def test_decoders_and_predictors_in_place_change_nobodys_tensors():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 3)

        def forward(self, inputs):
            return self.linear(inputs.clamp_(0, 1).mul_(2))

    def decode(latents):
        return latents.mul_(3).repeat(1, 2)

    trim = Trim(InPlace(), decode, preprocess=lambda inputs: inputs.sub_(0.5))
    inputs, latents = torch.randn(4, 6), torch.randn(4, 3)
    before = inputs.clone(), latents.clone()
    residual = trim.residual(inputs, latents)
    kept = residual.clone()
    torch.testing.assert_close(residual, inputs - 3 * latents.repeat(1, 2))
    first = trim(latents, residual)
    torch.testing.assert_close(first, trim(latents, residual))
    torch.testing.assert_close(first, trim.of_inputs(inputs), atol=1e-5, rtol=1e-5)
    latents.requires_grad_()
    trim(latents, residual).sum().backward()
    assert latents.grad.abs().sum() > 0
    assert torch.equal(inputs, before[0])
    assert torch.equal(latents.detach(), before[1])
    assert torch.equal(residual, kept)


def test_a_predictor_made_before_is_used_as_it_is():
    made = Predictor(nn.Linear(6, 4), explained="centred_logit")
    trim = Trim(made, nn.Identity(), explained="output")
    assert trim.predictor is made
    torch.testing.assert_close(trim(torch.randn(3, 6)).sum(dim=1), torch.zeros(3))
