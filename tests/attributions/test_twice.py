"""Second derivatives through attention, and what has none."""

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import nn
from torch.nn import functional as F

from attributions import differentiable
from attributions.predictors import Predictor
from attributions.twice import check_twice_differentiable, twice_differentiable


class Attentive(nn.Module):
    """Six numbers as three tokens that attend to each other."""

    def __init__(self, kind="encoder"):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Linear(2, 8)
        self.layer = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"), 1
        )
        self.head, self.kind = nn.Linear(8, 3), kind

    def forward(self, inputs):
        tokens = self.embed(inputs.unflatten(1, (3, 2)))
        if self.kind == "encoder":
            return self.head(self.layer(tokens).mean(dim=1))
        heads = tokens.unflatten(2, (2, 4)).transpose(1, 2)
        if self.kind == "fused":
            attended = F.scaled_dot_product_attention(heads, heads, heads)
        else:
            attended = (heads @ heads.mT / 2).softmax(dim=-1) @ heads
        return self.head(attended.transpose(1, 2).flatten(2).mean(dim=1))


class Once(torch.autograd.Function):
    """A square with one derivative only."""

    @staticmethod
    def forward(ctx, inputs):
        ctx.save_for_backward(inputs)
        return inputs.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        (inputs,) = ctx.saved_tensors
        return 2 * inputs * gradient


@pytest.fixture
def inputs():
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["encoder", "fused"])
def test_attributions_through_attention_stand_in_a_loss(kind, inputs):
    network = Attentive(kind).eval().requires_grad_(False)
    inputs = inputs.double().requires_grad_()
    network = network.double()
    method = differentiable(IntegratedGradients(network))
    loss = method.attribute(inputs, target=1, n_steps=3).abs().sum()
    (gradient,) = torch.autograd.grad(loss, inputs)
    step = 1e-5 * torch.randn(4, 6, generator=torch.Generator().manual_seed(2)).double()
    inputs = inputs.detach()
    ends = [
        method.attribute(inputs + sign * step, target=1, n_steps=3).abs().sum().detach()
        for sign in (1, -1)
    ]
    assert float((gradient * step).sum()) == pytest.approx(float(ends[0] - ends[1]) / 2, rel=1e-5)


def test_the_plain_mathematics_give_the_same_derivatives_as_attention_written_out(inputs):
    found = []
    for kind in ("fused", "written out"):
        network = Attentive(kind).double().eval()
        point = inputs.double().clone().requires_grad_()
        with twice_differentiable():
            outputs = network(point).square().sum()
        (gradient,) = torch.autograd.grad(outputs, point, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), point)[0])
    torch.testing.assert_close(*found)


def test_kernels_are_chosen_within_the_block_alone():
    before = torch.backends.cuda.flash_sdp_enabled()
    with twice_differentiable():
        assert not torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled() == before


@pytest.mark.parametrize("network", [Attentive(), Attentive("fused"), nn.Linear(6, 3), nn.ReLU()])
def test_ordinary_networks_pass(network, inputs):
    check_twice_differentiable(Predictor(network), inputs)
    assert not inputs.requires_grad


def test_an_operator_without_a_second_derivative_is_refused_before_training(inputs):
    with pytest.raises(RuntimeError, match="`predictor` must be twice differentiable for penal"):
        check_twice_differentiable(Predictor(Once.apply), inputs)


def test_torch_s_own_words_name_the_operator(inputs):
    def refused(_):
        raise RuntimeError("derivative for aten::_flash_attention_backward is not implemented")

    with pytest.raises(RuntimeError, match="Got aten::_flash_attention_backward, whose second"):
        check_twice_differentiable(Predictor(refused), inputs)


def test_any_other_error_comes_out_as_itself(inputs):
    def broken(_):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="^out of memory"):
        check_twice_differentiable(Predictor(broken), inputs)
