import threading

import pytest
import torch
from torch import nn

from attributions import Contrast, Predictor
from attributions.checks import check_apart, check_counts, check_mode, checked_predictor
from attributions.randomness import undisturbed
from attributions.replicas import frozen
from tests.cases import (
    FunctionModule,
    assert_same_snapshot,
    convolutional_predictor,
    snapshot,
)


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
        checked_predictor(FunctionModule(function), torch.randn(5, 6))


def test_a_predictor_whose_buffers_change_is_refused_and_restored():
    predictor = Restless()
    with pytest.raises(ValueError, match=r"buffers that changed \(calls\)"):
        checked_predictor(predictor, torch.randn(5, 6))
    assert predictor.calls == 0


def test_another_dtype_or_device_is_refused():
    with pytest.raises(ValueError, match="`predictor` must have the dtype of the inputs"):
        checked_predictor(nn.Linear(6, 4).double(), torch.randn(5, 6))
    with pytest.raises(ValueError, match="`predictor` must be on the device of the inputs"):
        checked_predictor(nn.Linear(6, 4).to("meta"), torch.randn(5, 6))


def test_a_softmax_is_recognised_and_said():
    predictor = nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1))
    with pytest.warns(UserWarning, match="ends in a softmax") as said:
        found = checked_predictor(predictor, torch.randn(5, 6), stacklevel=1)
    assert found.probabilities
    assert said[0].filename == __file__


def test_a_sigmoid_that_decides_is_recognised_said_and_explained_by_its_logit():
    linear, inputs = nn.Linear(6, 1), torch.randn(5, 6)
    with pytest.warns(UserWarning, match="ends in a sigmoid.*logarithms of odds") as said:
        found = checked_predictor(
            nn.Sequential(linear, nn.Sigmoid()), inputs, task="classification", stacklevel=1
        )
    assert said[0].filename == __file__
    torch.testing.assert_close(found(inputs), linear(inputs), rtol=1e-3, atol=1e-5)
    quantity = checked_predictor(nn.Sequential(linear, nn.Sigmoid()), inputs)
    assert quantity.task == "regression"
    assert not quantity.probabilities


def test_a_logit_that_happens_to_lie_between_0_and_1_is_no_probability():
    linear = nn.Linear(6, 1)
    inputs = linear.weight.detach() / linear.weight.detach().pow(2).sum() / 2
    with torch.no_grad():
        linear.bias.zero_()
    assert linear(inputs).item() == pytest.approx(0.5)
    assert not checked_predictor(linear, inputs, task="classification").probabilities


@pytest.mark.parametrize("examples", [1, 2, 8])
def test_a_predictor_that_looks_at_the_rest_of_the_batch_is_refused(examples):
    linear, inputs = nn.Linear(6, 3), torch.randn(examples, 6)
    with pytest.raises(ValueError, match=r"answer for each example alone.*over the batch"):
        checked_predictor(lambda points: linear(points) - linear(points).mean(dim=0), inputs)
    checked_predictor(nn.Sequential(linear, nn.BatchNorm1d(3)), inputs)


@pytest.mark.parametrize(
    "made",
    [
        torch.jit.script,
        lambda module: torch.jit.trace(module, torch.randn(2, 6)),
        lambda module: torch.compile(module, backend="eager"),
    ],
    ids=["scripted", "traced", "compiled"],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated")
def test_scripted_traced_and_compiled_modules_are_predictors(made):
    network, inputs = nn.Sequential(nn.Linear(6, 4), nn.Tanh()), torch.randn(5, 6)
    found = checked_predictor(made(network), inputs)
    torch.testing.assert_close(found(inputs), network(inputs))


def test_it_says_where_a_masked_class_rounds_centred_logits_away():
    linear, inputs = nn.Linear(6, 3), torch.randn(5, 6)

    def masked(points):
        logits = linear(points)
        return torch.cat([logits, torch.full_like(logits[:, :1], -1e9)], dim=1)

    with pytest.warns(UserWarning, match=r"smallest one of -1e\+09.*explained='output'"):
        checked_predictor(masked, inputs, explained="centred_logit")
    for explained in ("output", Contrast(0, 1)):  # warnings are errors here
        checked_predictor(masked, inputs, explained=explained)


def test_checking_leaves_predictor_and_generator_alone():
    predictor = convolutional_predictor().train()
    inputs = torch.rand(5, 1, 28, 28)
    before, state = snapshot(predictor), torch.get_rng_state()
    checked_predictor(predictor, inputs)
    assert_same_snapshot(before, snapshot(predictor))
    assert torch.equal(state, torch.get_rng_state())


def test_the_task_is_that_of_the_outputs_unless_it_is_said():
    inputs = torch.randn(5, 6)
    assert checked_predictor(nn.Linear(6, 4), inputs).task == "classification"
    assert checked_predictor(nn.Linear(6, 1), inputs).task == "regression"
    assert (
        checked_predictor(nn.Linear(6, 1), inputs, task="classification").task == "classification"
    )


def test_a_predictor_takes_no_second_preprocess():
    with pytest.raises(ValueError, match="`preprocess` must be given to the Predictor itself"):
        checked_predictor(Predictor(nn.Linear(6, 4)), torch.randn(2, 6), preprocess=nn.Identity())


def test_a_predictor_checked_before_is_taken_as_it_is():
    made = Predictor(nn.Linear(6, 4))
    assert checked_predictor(made, torch.randn(5, 6)) is made


def test_a_contrast_of_classes_that_do_not_exist_is_refused_at_the_door():
    with pytest.raises(ValueError, match="`explained` must name classes below 4"):
        checked_predictor(nn.Linear(6, 4), torch.randn(5, 6), explained=Contrast(4, 0))


def test_infinite_gradients_are_refused():
    network = FunctionModule(lambda logits: (logits - logits.detach()).abs().sqrt())
    with pytest.raises(ValueError, match="`predictor` must have finite gradients"):
        checked_predictor(network, torch.randn(5, 6))


def test_it_checks_where_gradients_are_off_and_says_where_it_cannot():
    network, inputs = convolutional_predictor().train(), torch.rand(5, 1, 28, 28)
    before = inputs.clone()
    with torch.no_grad():
        made = checked_predictor(network, inputs)
    torch.testing.assert_close(made(inputs), network.eval()(inputs).detach())
    assert torch.equal(inputs, before)
    assert not inputs.requires_grad
    with (
        torch.inference_mode(),
        pytest.raises(
            RuntimeError,
            match=r"`predictor` must be asked outside torch.inference_mode\(\).*Leave that block",
        ),
    ):
        checked_predictor(network, inputs)
    check_mode("predictor")


def test_a_parameter_shared_with_the_code_is_refused_by_name():
    code = nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 6))
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(6, 3))
    check_apart(predictor, code)
    check_apart(lambda inputs: inputs, code)
    predictor[1].weight = code[0].weight
    with pytest.raises(ValueError, match=r"'1.weight', .* the code's '0.weight'.*deepcopy"):
        check_apart(predictor, code)
    predictor[1].weight = nn.Parameter(code[0].weight.detach()[1:])  # a part of its memory
    with pytest.raises(ValueError, match=r"'1.weight', .* the code's '0.weight'"):
        check_apart(predictor, code)


@pytest.mark.parametrize(
    "made", [Predictor, lambda module: module.forward, nn.DataParallel, Predictor.like, frozen]
)
def test_sharing_is_found_in_whatever_form_the_predictor_comes(made):
    code = nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 6))
    predictor = Predictor(nn.Identity()).like(code[0]) if made is Predictor.like else made(code[0])
    with pytest.raises(ValueError, match=r"`predictor` must not share parameters with the code"):
        check_apart(predictor, code)


def test_counts_below_one_are_refused_by_name():
    check_counts(first=1, second=2)
    with pytest.raises(ValueError, match="`second` must be at least 1. Got 0"):
        check_counts(first=1, second=0)
    for wrong in (1.5, "3", None):
        with pytest.raises(TypeError, match=f"`first` must be a whole number. Got {wrong!r}"):
            check_counts(first=wrong)


def test_checking_waits_while_another_thread_draws_from_a_seeded_generator():
    """A fork of its own, ended in between, would set this thread's generator back."""
    called, drew = threading.Event(), threading.Event()
    linear, inputs, state = nn.Linear(6, 4), torch.randn(2, 6), torch.get_rng_state()

    def predict(points):
        called.set()
        assert drew.wait(10)
        return linear(points)

    def drawn(other=None):
        with undisturbed(3, torch.device("cpu")):
            if other is not None:
                other.start()
                called.wait(0.3)  # in vain, where checking waits for its turn
            first = torch.rand(2)
            drew.set()
            if other is not None:
                other.join(0.3)
            return torch.cat([first, torch.rand(2)])

    alone = drawn()
    drew.clear()
    other = threading.Thread(target=checked_predictor, args=(predict, inputs))
    together = drawn(other)
    other.join()
    assert called.is_set()
    assert torch.equal(together, alone)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "regression"}, "`task` must be given to the Predictor itself. Got a Predictor"),
        ({"explained": Contrast(0, 1)}, "`explained` must be given to the Predictor itself"),
    ],
)
def test_options_that_contradict_a_predictor_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        checked_predictor(Predictor(nn.Linear(6, 4)), torch.randn(2, 6), **options)


def test_options_that_repeat_a_predictors_own_are_taken():
    own = Predictor(nn.Linear(6, 4), explained=Contrast(0, 1), task="regression")
    options = {"explained": Contrast(0, 1), "task": "regression"}
    assert checked_predictor(own, torch.randn(2, 6), **options) is own


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        (nn.Linear(6, 4).state_dict(), "Got OrderedDict. If these are weights, .*load_state_dict"),
        (nn.Linear, "Got the class Linear. Make one, and pass that"),
        (None, "Got NoneType. A function that makes it must return it"),
        (nn.ModuleList([nn.Linear(6, 4)]), "Got ModuleList, which has no forward. Wrap it"),
        ("model.pt", "Got str. Pass what maps inputs to outputs"),
    ],
    ids=["weights", "class", "nothing", "no forward", "path"],
)
def test_a_predictor_that_cannot_be_called_is_named_with_the_remedy(predictor, message):
    with pytest.raises(TypeError, match=f"`predictor` must be a module or a function. {message}"):
        checked_predictor(predictor, torch.randn(2, 6))


def test_a_predictor_apart_stays_what_it_is_now_and_is_made_once():
    network, inputs = nn.Linear(6, 4), torch.randn(2, 6)
    own = Predictor(network, explained=Contrast(0, 1))
    apart = checked_predictor(own, inputs, apart=True)
    before = apart(inputs)
    with torch.no_grad():
        network.weight.zero_()
    assert torch.equal(apart(inputs), before)
    assert not torch.allclose(own(inputs), before)
    assert apart.explained == Contrast(0, 1)
    assert checked_predictor(apart, inputs, apart=True) is apart
    assert checked_predictor(network, inputs, apart=True).apart


def test_what_cannot_be_called_and_tasks_that_are_none_are_refused():
    with pytest.raises(TypeError, match="`predictor` must be a module or a function. Got int"):
        checked_predictor(5, torch.randn(2, 6))
    with pytest.raises(TypeError, match="`preprocess` must be a module or a function. Got str"):
        checked_predictor(nn.Linear(6, 4), torch.randn(2, 6), preprocess="resize")
    with pytest.raises(ValueError, match="`task` must be 'classification', 'multilabel' or"):
        checked_predictor(nn.Linear(6, 4), torch.randn(2, 6), task="ranking")
