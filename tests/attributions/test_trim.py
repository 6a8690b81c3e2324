import subprocess
import sys

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn

from attributions import Contrast, Trim
from attributions.predictors import check_predictor
from tests.cases import (
    FunctionModule,
    HuggingFaceStyle,
    LinearCase,
    assert_same_snapshot,
    convolutional_predictor,
    snapshot,
)
from trimvae import VAE


def test_importing_attributions_loads_nothing_of_trimvae_and_no_torchvision():
    code = (
        "import sys; sys.modules['torchvision'] = None; import attributions; "
        "print([m for m in sys.modules if m.split('.')[0] in ('trimvae', 'lightning')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_with_residual_it_is_the_predictor_at_the_inputs():
    case = LinearCase()
    trim = Trim(case.predictor, case.decoder)
    residual = trim.residual(case.inputs, case.latents)
    torch.testing.assert_close(trim(case.latents, residual), case.predictor(case.inputs))
    assert not residual.requires_grad


def test_without_residual_it_is_the_predictor_at_the_reconstruction():
    case = LinearCase()
    trim = Trim(case.predictor, case.decoder)
    torch.testing.assert_close(trim(case.latents), case.predictor(case.decoder(case.latents)))


def test_integrated_gradients_with_residual_are_complete_on_convolutions():
    vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=6).eval()
    predictor = nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1), nn.SiLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 10)
    )
    inputs = torch.rand(16, 1, 28, 28)
    latents = torch.randn(16, 6)
    trim = Trim(predictor, vae.decode)
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


def test_the_centred_logit_ignores_a_constant_added_to_all_logits():
    case = LinearCase()
    centred = Trim(case.predictor, case.decoder, explained="centred_logit")
    shifted = Trim(lambda x: case.predictor(x) + 7, case.decoder, explained="centred_logit")
    torch.testing.assert_close(centred(case.latents), shifted(case.latents))
    torch.testing.assert_close(centred(case.latents).sum(1), torch.zeros(5, dtype=torch.float64))


def test_a_contrast_is_the_difference_of_two_outputs():
    case = LinearCase()
    outputs = Trim(case.predictor, case.decoder)(case.latents)
    contrast = Trim(case.predictor, case.decoder, explained=Contrast(target=3, against=1))
    torch.testing.assert_close(contrast(case.latents), (outputs[:, 3] - outputs[:, 1])[:, None])


def test_logarithms_of_probabilities_when_centred_equal_centred_logits():
    case = LinearCase()
    softmax = nn.Sequential(case.predictor, nn.Softmax(dim=1))
    from_softmax = Trim(softmax, case.decoder, explained="centred_logit", probabilities=True)
    from_logits = Trim(case.predictor, case.decoder, explained="centred_logit")
    torch.testing.assert_close(from_softmax(case.latents), from_logits(case.latents))


@pytest.mark.parametrize(
    "shape_of",
    [
        lambda logits: logits,
        lambda logits: (logits, "features"),
        lambda logits: {"logits": logits},
        lambda logits: [logits],
    ],
)
def test_outputs_may_come_as_tensor_tuple_list_or_mapping(shape_of):
    predictor = FunctionModule(shape_of)
    inputs = torch.randn(3, 6)
    outputs = Trim(predictor, nn.Identity())(inputs)
    torch.testing.assert_close(outputs, predictor.linear(inputs))


def test_hugging_face_style_and_single_outputs_are_columns():
    inner = nn.Linear(6, 4)
    inputs = torch.randn(3, 6)
    torch.testing.assert_close(Trim(HuggingFaceStyle(inner), nn.Identity())(inputs), inner(inputs))
    flat = FunctionModule(lambda logits: logits[:, 0])
    assert Trim(flat, nn.Identity())(inputs).shape == (3, 1)


def test_preprocess_stands_between_decoder_and_predictor():
    predictor = nn.Linear(6, 4)
    trim = Trim(predictor, nn.Identity(), preprocess=lambda inputs: (inputs - 1) / 2)
    inputs = torch.randn(3, 6)
    torch.testing.assert_close(trim(inputs), predictor((inputs - 1) / 2))


def test_the_predictor_runs_in_eval_mode_and_gets_no_gradient():
    predictor = convolutional_predictor().train()
    before = snapshot(predictor)
    trim = Trim(predictor, nn.Identity())
    inputs = torch.rand(4, 1, 28, 28, requires_grad=True)
    torch.testing.assert_close(trim(inputs), trim(inputs))  # no dropout
    (gradient,) = torch.autograd.grad(trim(inputs)[:, 0].sum(), inputs, create_graph=True)
    gradient.abs().sum().backward()
    assert inputs.grad is not None
    assert_same_snapshot(before, snapshot(predictor))


def test_the_mode_is_handed_back_after_an_error():
    predictor = nn.Sequential(nn.Dropout(), nn.Linear(6, 4)).train()
    predictor[0].eval()
    before = snapshot(predictor)
    with pytest.raises(RuntimeError):
        Trim(predictor, nn.Identity())(torch.randn(3, 7))
    assert_same_snapshot(before, snapshot(predictor))


def test_a_decoder_of_another_size_is_refused():
    trim = Trim(nn.Linear(6, 4), nn.Linear(3, 5))
    with pytest.raises(ValueError, match=r"`decoder` must return the shape of the inputs"):
        trim.residual(torch.randn(2, 6), torch.randn(2, 3))


def test_unknown_explained_and_missing_classes_are_refused():
    with pytest.raises(ValueError, match="`explained` must be 'output', 'centred_logit'"):
        Trim(nn.Linear(6, 4), nn.Identity(), explained="probability")
    with pytest.raises(ValueError, match="`explained` must name classes below 4"):
        Trim(nn.Linear(6, 4), nn.Identity(), explained=Contrast(4, 0))(torch.randn(2, 6))


class Restless(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs):
        self.calls += 1
        return self.linear(inputs)


REFUSED = {
    "argmax": (lambda logits: logits.argmax(1), TypeError, "Return the logits, not their argmax"),
    "no_grad": (lambda logits: logits.detach(), RuntimeError, "`predictor` must be differentiable"),
    "nan": (lambda logits: logits * float("nan"), ValueError, "must return finite outputs"),
    "batch": (lambda logits: logits[:1], ValueError, "one row of outputs per example"),
    "dropout": (lambda logits: nn.functional.dropout(logits), ValueError, "not change in eval"),
    "map": (lambda logits: logits[:, :, None], ValueError, r"\(batch, classes\)"),
    "text": (lambda logits: "cat", TypeError, "must return a tensor"),
    "keys": (lambda logits: {"score": logits}, TypeError, r"the keys \['score'\]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_predictors_that_cannot_be_explained_are_refused(name):
    function, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        check_predictor(FunctionModule(function), torch.randn(5, 6))


def test_a_predictor_whose_buffers_change_is_refused_and_restored():
    predictor = Restless()
    with pytest.raises(ValueError, match=r"buffers that changed \(calls\)"):
        check_predictor(predictor, torch.randn(5, 6))
    assert predictor.calls == 0


def test_another_dtype_or_device_is_refused():
    with pytest.raises(ValueError, match="`predictor` must have the dtype of the inputs"):
        check_predictor(nn.Linear(6, 4).double(), torch.randn(5, 6))
    with pytest.raises(ValueError, match="`predictor` must be on the device of the inputs"):
        check_predictor(nn.Linear(6, 4).to("meta"), torch.randn(5, 6))


def test_a_softmax_is_recognised_and_said():
    predictor = nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1))
    with pytest.warns(UserWarning, match="ends in a softmax"):
        _, probabilities = check_predictor(predictor, torch.randn(5, 6))
    assert probabilities


def test_checking_leaves_predictor_and_generator_alone():
    predictor = convolutional_predictor().train()
    inputs = torch.rand(5, 1, 28, 28)
    before, state = snapshot(predictor), torch.get_rng_state()
    check_predictor(predictor, inputs)
    assert_same_snapshot(before, snapshot(predictor))
    assert torch.equal(state, torch.get_rng_state())
