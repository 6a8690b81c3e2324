"""A network in two halves is the whole network, however its modules are wired."""

import threading

import pytest
import torch
from torch import nn

from attributions.transforms import CutNetwork


class Block(nn.Module):
    """A residual block, with in-place activations and batch norm."""

    def __init__(self, channels=4):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, inputs):
        out = self.second(self.act(self.norm(self.first(inputs))))
        out += inputs
        return out


class Residual(nn.Module):
    """Sizes taken from the inputs, operations between modules, a module that runs twice."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.shared = nn.ReLU()
        self.blocks = nn.ModuleList([Block() for _ in range(3)])
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(16, 5)

    def forward(self, inputs):
        batch = inputs.size(0)
        hidden = self.shared(self.stem((inputs - 0.5) / 0.25))
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(self.dropout(self.pool(self.shared(hidden)).view(batch, -1)))


class Tokens(nn.Module):
    """A small vision transformer."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(8, 5)

    def forward(self, inputs):
        patches = self.patch(inputs).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(inputs), -1, -1), patches], dim=1)
        return {"logits": self.head(self.encoder(tokens)[:, 0])}


def logits(returned):
    return returned["logits"] if isinstance(returned, dict) else returned


CASES = [
    (Residual, "stem", (4, 12, 12)),
    (Residual, "blocks.0", (4, 12, 12)),
    (Residual, "blocks.2", (4, 12, 12)),
    (Residual, "pool", (4, 2, 2)),
    (Residual, "head", (5,)),
    (Tokens, "encoder.layers.0", (10, 8)),
    (Tokens, "encoder", (10, 8)),
]


def a_network(kind):
    network = kind().double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network.eval(), torch.rand(5, 3, 12, 12, dtype=torch.float64)


@pytest.mark.parametrize(("kind", "layer", "shape"), CASES)
def test_both_halves_are_the_whole_network(kind, layer, shape):
    network, inputs = a_network(kind)
    cut = CutNetwork(network, layer, inputs[:2])
    seen = []
    handle = network.get_submodule(layer).register_forward_hook(lambda m, a, out: seen.append(out))
    expected = logits(network(inputs))
    handle.remove()
    activations = cut.head(inputs)
    assert cut.shape == shape == activations.shape[1:]
    torch.testing.assert_close(activations, seen[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(cut.tail(activations), expected, rtol=0, atol=1e-12)


def test_the_tail_has_the_networks_gradient_and_leaves_what_it_is_given():
    network, inputs = a_network(Residual)
    cut = CutNetwork(network, network.blocks[1], inputs)
    activations = cut.head(inputs).detach()
    before = activations.clone()

    def tail(hidden):
        hidden = network.shared(network.blocks[2](hidden))
        return network.head(network.pool(hidden).flatten(1))

    point, twin = (activations.clone().requires_grad_() for _ in range(2))
    (mine,) = torch.autograd.grad(cut.tail(point)[:, 2].sum(), point)
    (expected,) = torch.autograd.grad(tail(twin)[:, 2].sum(), twin)
    torch.testing.assert_close(mine, expected, rtol=0, atol=1e-12)
    assert torch.equal(activations, before)


def test_modules_before_the_layer_do_not_run_in_the_tail(monkeypatch):
    network, inputs = a_network(Residual)
    cut = CutNetwork(network, "blocks.2", inputs)
    activations = cut.head(inputs)
    ran = []
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", lambda *arguments: ran.append(arguments))
    cut.tail(activations)
    assert ran == []


def test_the_callers_network_stays_as_it_is():
    network, inputs = a_network(Residual)
    network.train()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    cut = CutNetwork(network, "blocks.1", inputs)
    cut.train()
    cut.tail(cut.head(inputs))
    assert network.training
    assert not any(module.training for module in cut.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
    assert all("forward" not in vars(module) for module in network.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_hooks_of_the_callers_act_once():
    network, inputs = a_network(Residual)
    network.blocks[1].register_forward_hook(lambda module, arguments, out: 2 * out)
    cut = CutNetwork(network, "blocks.1", inputs)
    torch.testing.assert_close(cut.tail(cut.head(inputs)), network(inputs))


def test_threads_do_not_meet():
    network, inputs = a_network(Residual)
    cut = CutNetwork(network, "blocks.1", inputs)
    many = [torch.rand(2 + index, 3, 12, 12, dtype=torch.float64) for index in range(4)]
    expected = [network(some) for some in many]
    found = [[] for _ in many]

    def ask(index):
        found[index] += [cut.tail(cut.head(many[index])) for _ in range(10)]

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answers, right in zip(found, expected, strict=True):
        assert len(answers) == 10
        for answer in answers:
            torch.testing.assert_close(answer, right)


def test_a_layer_that_does_not_exist_is_refused_and_near_names_are_listed():
    network, inputs = a_network(Residual)
    with pytest.raises(ValueError, match=r"Got 'block\.1'. Near it: 'blocks\.1'"):
        CutNetwork(network, "block.1", inputs)
    with pytest.raises(ValueError, match="must be a part of the network. Got a Linear that is not"):
        CutNetwork(network, nn.Linear(2, 2), inputs)
    with pytest.raises(TypeError, match="`network` must be a module with layers. Got function"):
        CutNetwork(lambda x: x, "1", inputs)


def test_a_layer_that_runs_twice_or_never_is_refused():
    network, inputs = a_network(Residual)
    with pytest.raises(ValueError, match="Got 'shared', which runs 2 times. Choose a layer"):
        CutNetwork(network, "shared", inputs)
    network.unused = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="'unused', which runs 0 times"):
        CutNetwork(network, "unused", inputs)


def test_a_layer_that_a_connection_leads_around_is_refused():
    network, inputs = a_network(Residual)
    match = r"Got 'blocks.1.second', around which .* the output of its block: 'blocks\.1'"
    for some in (inputs, inputs[:1]):
        with pytest.raises(ValueError, match=match):
            CutNetwork(network, "blocks.1.second", some)


def test_a_layer_must_return_a_tensor():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 4, batch_first=True)

        def forward(self, inputs):
            return self.lstm(inputs)[0][:, -1]

    with pytest.raises(TypeError, match="`layer` must return a tensor. Got 'lstm', .* tuple"):
        CutNetwork(Last(), "lstm", torch.randn(2, 5, 3))


def test_other_shapes_are_refused():
    network, inputs = a_network(Residual)
    cut = CutNetwork(network, "blocks.1", inputs)
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(batch, 3, 12, 12\). Got"):
        cut.head(inputs[..., :8])
    with pytest.raises(ValueError, match=r"`activations` must have shape \(batch, 4, 12, 12\)"):
        cut.tail(torch.zeros(2, 4, 6, 6).double())
