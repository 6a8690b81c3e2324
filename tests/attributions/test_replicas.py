import copy
import functools
import threading
import types
import weakref
from dataclasses import dataclass, field

import pytest
import torch
from captum.attr import DeepLift
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from attributions import Trim, attribute, integrated_gradients
from attributions.replicas import frozen
from tests.cases import assert_same_snapshot, convolutional_predictor, snapshot


def networks():
    """Modules of every make, each with a point to ask it at."""
    torch.manual_seed(0)
    plain = torch.randn(4, 6)

    def dense():
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3))

    tied = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Dropout())
    tied[2].weight = tied[0].weight
    weight_norm = nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 3)), nn.Dropout())
    spectral = nn.Sequential(parametrizations.spectral_norm(nn.Linear(6, 3)), nn.Dropout())
    spectral_hook = nn.Sequential(nn.utils.spectral_norm(nn.Linear(6, 3)), nn.Dropout())
    return {
        "dense": (dense(), plain),
        "convolutional": (convolutional_predictor(3), torch.rand(4, 1, 28, 28)),
        "recurrent": (Recurrent(nn.LSTM), torch.randn(4, 5, 6)),
        "gated": (Recurrent(nn.GRU), torch.randn(4, 5, 6)),
        "attention": (nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), torch.randn(4, 5, 6)),
        "weight norm": (weight_norm, plain),
        "spectral norm": (spectral, plain),
        "spectral norm by a hook": (spectral_hook, plain),
        "tied": (tied, plain),
        "data parallel": (nn.DataParallel(dense()), plain),
        "compiled": (torch.compile(dense(), backend="eager"), plain),
        "with a compiled part": (
            nn.Sequential(torch.compile(dense(), backend="eager"), nn.Dropout()),
            plain,
        ),
        "graph": (torch.fx.symbolic_trace(dense()), plain),
        "kept in a list": (KeptInAList(), plain),
        "parent": (Parent(), plain),
        "weak parent": (Parent(weakref.ref), plain),
        "parent by proxy": (Parent(weakref.proxy), plain),
        "helped": (Helped(), plain),
        "features by a hook": (FeaturesByAHook(), plain),
        "patched": (patched(dense()), plain),
    }


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.inner = kind(6, 7, num_layers=2, dropout=0.5, batch_first=True)
        self.head = nn.Linear(7, 3)

    def forward(self, inputs):
        return self.head(self.inner(inputs)[0][:, -1])


class KeptInAList(nn.Module):
    """Parts that torch does not know of: `eval()` does not reach them."""

    def __init__(self):
        super().__init__()
        self.parts = [nn.Linear(6, 3), {"norm": nn.BatchNorm1d(3)}, (nn.Dropout(),)]

    def forward(self, inputs):
        return self.parts[2][0](self.parts[1]["norm"](self.parts[0](inputs)))


class Parent(nn.Module):
    """A part points to the whole and asks it for another part."""

    class Part(nn.Module):
        def __init__(self, parent):
            super().__init__()
            self.parent = [parent]

        def forward(self, inputs):
            (parent,) = self.parent
            parent = parent() if isinstance(parent, weakref.ref | types.FunctionType) else parent
            return parent.norm(parent.linear(inputs))

    def __init__(self, pointer=lambda parent: parent):
        super().__init__()
        self.linear, self.norm = nn.Linear(6, 3), nn.BatchNorm1d(3)
        self.part = self.Part(pointer(self))

    def forward(self, inputs):
        return self.part(inputs)


class Helped(nn.Module):
    """An object that is no module holds one, and a bound method is kept."""

    class Helper:
        def __init__(self, module):
            self.module = module

        def help(self, inputs):
            return self.module(inputs)

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(6)
        self.helper = self.Helper(self.norm)
        self.linear = nn.Linear(6, 3)
        self.head = functools.partial(self.finish, scale=2.0)

    def finish(self, hidden, scale):
        return scale * nn.functional.dropout(self.linear(hidden), training=self.training)

    def forward(self, inputs):
        return self.head(self.helper.help(inputs))


class FeaturesByAHook(nn.Module):
    """The classic: a hook whose closure knows the module writes what forward then reads."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(6, 5), nn.Linear(5, 3)
        self.features, self.calls = {}, torch.zeros(())

        def keep(module, inputs, output):
            self.features["body"] = output
            self.calls += 1

        self.body.register_forward_hook(keep)

    def forward(self, inputs):
        self.body(inputs)
        return self.head(nn.functional.dropout(self.features["body"], training=self.training))


def patched(module):
    """Another forward pass put in the place of the module's own, which it calls."""
    before = module.forward
    module.forward = lambda inputs: 2 * before(inputs)
    return module


@pytest.mark.parametrize("name", networks())
def test_a_replica_answers_as_the_module_in_eval_mode_and_the_module_is_untouched(name):
    module, inputs = networks()[name]
    module.train()
    before = snapshot(module)
    replica = frozen(module)
    inputs = inputs.requires_grad_()
    outputs = replica(inputs)
    torch.testing.assert_close(outputs, replica(inputs))  # no dropout
    (gradient,) = torch.autograd.grad(outputs.pow(2).sum(), inputs)
    assert gradient.abs().sum() > 0
    assert_same_snapshot(before, snapshot(module))
    assert all(part.training for part in module.modules())
    assert all(isinstance(parameter, nn.Parameter) for parameter in module.parameters())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not any(parameter.requires_grad for parameter in replica.parameters())
    for part in (module, *all_parts(module)):
        part.eval()
    torch.testing.assert_close(outputs, module(inputs))


def all_parts(module):
    """Those that torch does not know of."""
    if not isinstance(module, KeptInAList):
        return ()
    linear, named, (dropout,) = module.parts
    return linear, named["norm"], dropout


@pytest.mark.parametrize(
    "make", [torch.jit.script, lambda m: torch.jit.trace(m, torch.randn(4, 6))]
)
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated")
def test_scripted_and_traced_modules_are_copied(make, nested):
    network = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    module = make(network.eval())
    if nested:
        module = nn.Sequential(module, nn.Dropout())
    before = snapshot(module)
    inputs = torch.randn(4, 6, requires_grad=True)
    outputs = frozen(module)(inputs)
    (gradient,) = torch.autograd.grad(outputs.sum(), inputs, create_graph=True)
    assert gradient.isfinite().all()
    assert_same_snapshot(before, snapshot(module))
    torch.testing.assert_close(outputs, module.eval()(inputs))


def test_a_method_of_a_module_is_frozen_with_it_and_a_function_is_left_alone():
    network = nn.Sequential(nn.Linear(6, 3), nn.Dropout()).train()
    inputs = torch.randn(4, 6)
    expected = network[0](inputs)
    torch.testing.assert_close(frozen(network.forward)(inputs), expected)
    compiled = torch.compile(network.forward, backend="eager")
    torch.testing.assert_close(frozen(compiled)(inputs), expected)
    function = lambda values: network(values)  # noqa: E731
    assert frozen(function) is function
    assert frozen(None) is None
    assert network.training


def test_a_replica_follows_the_parameters_and_shares_their_storage():
    network = nn.Linear(6, 3)
    replica = frozen(network)
    inputs = torch.randn(4, 6)
    torch.optim.SGD(network.parameters(), 0.1).zero_grad()
    network(inputs).pow(2).sum().backward()
    torch.optim.SGD(network.parameters(), 0.1).step()
    torch.testing.assert_close(replica(inputs), network(inputs))
    network.load_state_dict(nn.Linear(6, 3).state_dict())
    torch.testing.assert_close(replica(inputs), network(inputs))
    assert replica.weight.data_ptr() == network.weight.data_ptr()


def test_a_replica_apart_is_what_the_module_was_with_tied_weights_tied():
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    network[2].weight = network[0].weight
    inputs = torch.randn(4, 3)
    replica = frozen(network, apart=True)
    before = replica(inputs)
    torch.testing.assert_close(before, copy.deepcopy(network).eval()(inputs))
    assert replica[2].weight is replica[0].weight
    assert not any(parameter.requires_grad for parameter in replica.parameters())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert torch.equal(replica(inputs), before)


def test_a_replica_apart_is_copied_again_where_a_weight_was_changed_meanwhile():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    copied = []
    detach = torch.Tensor.detach

    def changing(tensor):
        """Another thread's step, just when the last weight of the first try is copied."""
        found = detach(tensor)
        if tensor is network[1].weight and not copied:
            copied.append(tensor)
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.fill_(7.0)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Parameter, "detach", changing, raising=False)
        replica = frozen(network, apart=True)
    assert copied
    assert all(bool((parameter == 7).all()) for parameter in replica.parameters())


def test_tied_weights_stay_tied_and_shared_lists_stay_shared():
    network = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    network[1].weight = network[0].weight
    network[0].seen = network[1].seen = []
    replica = frozen(network)
    assert replica[0].weight is replica[1].weight
    assert replica[0].seen is replica[1].seen
    assert replica[0].seen is not network[0].seen


@dataclass
class Notes:
    count: int = 0
    rows: list = field(default_factory=list)


class Remembering(nn.Module):
    """Keeps whatever a forward pass may keep, in every form."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.register_buffer("steps", torch.zeros(()))
        self.plain, self.last = torch.zeros(3), None
        self.rows, self.cache, self.seen = [], {"n": 0}, set()
        self.notes, self.space = Notes(), types.SimpleNamespace(count=0)
        self.generator = torch.Generator().manual_seed(5)
        self.by_part = {self.linear: "linear"}

    def forward(self, inputs):
        outputs = self.linear(inputs)
        self.steps += 1
        self.plain += 1
        self.last = outputs
        self.rows.append(outputs)
        self.cache["n"] += 1
        self.seen.add(len(self.rows))
        self.notes.count += 1
        self.notes.rows.append(outputs)
        self.space.count += 1
        torch.rand(1, generator=self.generator)
        assert self.by_part[self.linear] == "linear"
        return outputs


def test_what_a_forward_pass_remembers_stays_with_the_replica():
    network = Remembering()
    state = network.generator.get_state()
    replica = frozen(network)
    replica(torch.randn(2, 6))
    assert (network.steps, network.last, network.rows, network.cache) == (0, None, [], {"n": 0})
    assert not network.plain.any()
    assert network.seen == set()
    assert network.notes == Notes()
    assert network.space.count == 0
    assert torch.equal(network.generator.get_state(), state)
    assert (replica.steps, len(replica.rows), replica.cache["n"], replica.notes.count) == (1,) * 4


def test_hooks_run_on_the_replica_and_those_put_there_stay_there():
    network, seen = nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 2)), []
    network[0].register_forward_hook(
        lambda module, inputs, output: seen.append(module) or 2 * output
    )
    replica = frozen(network)
    inputs = torch.randn(4, 6)
    torch.testing.assert_close(replica(inputs), network(inputs))
    assert seen == [network[0]]  # its own call alone
    before = snapshot(network)
    attribute(DeepLift, Trim(network, nn.Linear(2, 6)), torch.randn(4, 2))
    assert_same_snapshot(before, snapshot(network))
    assert seen == [network[0]]


def test_a_parametrisation_is_computed_by_the_replica_from_the_shared_original():
    network = parametrizations.weight_norm(nn.Linear(6, 3))
    replica = frozen(network)
    assert parametrize.is_parametrized(replica)
    with torch.no_grad():
        network.parametrizations.weight.original1.mul_(3)
    torch.testing.assert_close(replica.weight, network.weight)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_weight_norm_by_a_hook_is_computed_anew_by_the_replica():
    network = nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 3)), nn.Dropout()).train()
    inputs = torch.randn(4, 6)
    network(inputs)  # its weight now hangs on a graph
    kept = network[0].weight
    outputs = frozen(network)(inputs)
    assert network[0].weight is kept
    torch.testing.assert_close(outputs, network.eval()(inputs))


def test_another_thread_may_train_the_module_while_it_is_frozen():
    network = convolutional_predictor(3)
    stop, errors = threading.Event(), []

    def train():
        optimizer = torch.optim.SGD(network.parameters(), 1e-3)
        while not stop.is_set():
            optimizer.zero_grad()
            network.train()(torch.rand(8, 1, 28, 28)).sum().backward()
            errors.extend(p for p in network.parameters() if p.grad is None)
            optimizer.step()

    thread = threading.Thread(target=train)
    thread.start()
    try:
        for _ in range(30):
            replica = frozen(network)
            assert not any(part.training for part in replica.modules())
            with torch.no_grad():
                replica(torch.rand(2, 1, 28, 28))
    finally:
        stop.set()
        thread.join()
    assert errors == []
    assert all(part.training for part in network.modules())


def test_threads_that_explain_one_predictor_at_once_agree_and_leave_it_trainable():
    """Batch norm and dropout in train mode, which none of the threads may see or change."""
    torch.manual_seed(0)
    predictor, decoder = convolutional_predictor(3, size=8), nn.Linear(2, 64)

    def decode(latents):
        return decoder(latents).unflatten(1, (1, 8, 8))

    latents = torch.randn(3, 2)
    predictor.eval()
    expected = integrated_gradients(Trim(predictor, decode), latents, n_steps=4).attributions
    before = snapshot(predictor.train())
    start, wrong = threading.Barrier(4), []

    def explain():
        start.wait()
        for _ in range(15):
            found = integrated_gradients(Trim(predictor, decode), latents, n_steps=4).attributions
            same = torch.allclose(found, expected, atol=1e-6)
            if not same or not all(
                isinstance(parameter, nn.Parameter) and parameter.requires_grad
                for parameter in predictor.parameters()
            ):
                wrong.append(found)

    threads = [threading.Thread(target=explain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert_same_snapshot(before, snapshot(predictor))
    predictor(torch.rand(2, 1, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in predictor.parameters())
