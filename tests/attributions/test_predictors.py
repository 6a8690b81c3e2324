import threading

import pytest
import torch
from torch import nn
from torchvision import transforms

from attributions import Predictor, Trim
from attributions.black_boxes import black_box
from attributions.checks import checked_predictor
from attributions.predictors import as_predictor
from tests.cases import assert_same_snapshot, convolutional_predictor, snapshot


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


def test_what_is_said_about_a_predictor_travels_with_it():
    network, other = nn.Linear(6, 3), nn.Linear(6, 3)

    def half(inputs):
        return inputs / 2

    made = Predictor(
        nn.Sequential(network, nn.Softmax(dim=1)),
        preprocess=half,
        explained="centred_logit",
        probabilities=True,
        task="classification",
    )
    inputs = torch.randn(4, 6)
    logits = made(inputs)
    torch.testing.assert_close(logits, network(inputs / 2).log_softmax(dim=1))
    torch.testing.assert_close(made.select(logits), logits - logits.mean(dim=1, keepdim=True))
    like = made.like(nn.Sequential(other, nn.Softmax(dim=1)))
    torch.testing.assert_close(like(inputs), other(inputs / 2).log_softmax(dim=1))
    assert (like.explained, like.probabilities, like.task) == ("centred_logit", True, made.task)
    assert made.original[1] is half
    assert as_predictor(made) is made
    with pytest.raises(ValueError, match="`explained` must be 'output'"):
        Predictor(network, explained="probability")


def test_it_stays_in_eval_mode_whatever_holds_it():
    network = nn.Sequential(nn.Linear(6, 3), nn.Dropout())
    holder = nn.ModuleList([Predictor(network)]).train()
    assert not any(part.training for part in holder[0].modules())
    assert network.training


def test_batches_give_the_same_logits_without_a_graph():
    made, inputs = Predictor(nn.Linear(6, 3)), torch.randn(7, 6, requires_grad=True)
    found = made.in_batches(inputs, batch_size=3)
    torch.testing.assert_close(found, made(inputs).detach())
    assert not found.requires_grad


def test_inputs_keep_their_values_under_predictors_and_preprocessing_in_place():
    predictors = {
        "clamp": lambda inputs: inputs.clamp_(0, 1).flatten(1)[:, :3] * 7,
        "relu": nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(48, 3)),
    }
    normalize = transforms.Normalize([0.5] * 3, [0.2] * 3, inplace=True)
    inputs = torch.randn(2, 3, 4, 4)
    before = inputs.clone()
    for function in predictors.values():
        for preprocess in (None, normalize):
            made = Predictor(function, preprocess=preprocess)
            first = made(inputs)
            torch.testing.assert_close(made(inputs), first)
            made.in_batches(inputs)
            checked_predictor(function, inputs, preprocess=preprocess)
            assert torch.equal(inputs, before)
    plain = (before - 0.5) / 0.2
    torch.testing.assert_close(
        Predictor(predictors["relu"], preprocess=normalize)(inputs),
        predictors["relu"](plain.clone()),
    )


def test_methods_of_modules_are_predictors_and_their_module_is_a_part():
    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.noise = nn.Linear(6, 4), nn.Dropout()

        def classify(self, inputs):
            return self.noise(self.body(inputs))[:, :3]

    backbone = Backbone().train()
    made, inputs = Predictor(backbone.classify), torch.randn(4, 6)
    torch.testing.assert_close(made(inputs), backbone.body(inputs)[:, :3])
    assert len(list(made.parameters())) == 2
    assert not any(parameter.requires_grad for parameter in made.parameters())
    assert made.double()(inputs.double()).dtype == torch.float64
    assert backbone.body.weight.dtype == torch.float32
    preprocessed = Predictor(nn.Linear(4, 2), preprocess=backbone.body)
    torch.testing.assert_close(
        preprocessed(inputs), preprocessed.function(backbone.body(inputs).detach())
    )


def test_logits_are_never_in_lower_precision_than_the_inputs():
    made = Predictor(nn.Linear(6, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert made(torch.randn(2, 6)).dtype == torch.float32


def test_threads_that_call_one_predictor_in_train_mode_all_get_its_eval_outputs():
    network = convolutional_predictor(3, size=8)
    inputs = torch.rand(4, 1, 8, 8)
    expected = network.eval()(inputs).detach()
    before = snapshot(network.train())
    start, wrong = threading.Barrier(4), []

    def call():
        start.wait()
        for _ in range(40):
            found = Predictor(network)(inputs)
            untouched = all(
                isinstance(parameter, nn.Parameter) and parameter.requires_grad
                for parameter in network.parameters()
            )
            if not (untouched and network.training and torch.allclose(found, expected, atol=1e-6)):
                wrong.append(found)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert_same_snapshot(before, snapshot(network))


def test_a_label_alone_is_its_output_and_goes_with_all_that_is_made_like_it():
    network, inputs = nn.Linear(6, 3), torch.randn(4, 6)
    whole = Predictor(network, preprocess=torch.tanh, task="multilabel")
    alone = whole.of_label(2)
    expected = network(inputs.tanh())[:, 2:]
    for one in (alone, alone.as_now(), alone.like(network)):
        torch.testing.assert_close(one(inputs), expected)
        assert one.task == "classification"


def test_logits_of_labels_are_not_centred():
    whole = Predictor(nn.Linear(6, 3), task="multilabel", explained="centred_logit")
    logits = torch.randn(2, 3)
    assert torch.equal(whole.select(logits), logits)


def test_a_black_box_that_is_certain_of_a_label_is_as_sure_of_yes_as_of_no():
    box = black_box(lambda rows: (rows > 0).astype(float))
    whole = Predictor(box, task="multilabel", probabilities=True)
    no, yes = whole.of_label(1)(torch.tensor([[1.0, -1.0], [1.0, 1.0]]))[:, 0].tolist()
    assert yes == pytest.approx(-no, rel=1e-3)
    assert yes == pytest.approx(6.9068, abs=1e-3)  # the logarithm of .999 / .001


@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_that_there_is_not_is_refused(label):
    alone = Predictor(nn.Linear(4, 3), task="multilabel").of_label(label)
    with pytest.raises(ValueError, match=f"`label` must be from 0 to 2. Got {label}"):
        alone(torch.randn(2, 4))


class Untouched(nn.Linear):
    """A network whose mode its owner pins, by an attribute in the place of the method."""

    def __init__(self):
        super().__init__(6, 3)
        self.train = lambda mode=True: self


def test_a_module_that_pins_its_mode_is_no_exported_one():
    pinned = Untouched().eval()
    assert torch.equal(Predictor(pinned)(torch.ones(2, 6)), pinned(torch.ones(2, 6)))


def test_an_exported_program_is_asked_by_a_function_and_refused_itself():
    network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    inputs, rows = torch.randn(4, 6), torch.export.Dim("rows", min=2)
    program = torch.export.export(network, (inputs,), dynamic_shapes=({0: rows},))
    exported = program.module()
    for refused in (program, exported):
        with pytest.raises(
            TypeError, match="`predictor` must be a module or a function. Got an exp"
        ):
            Predictor(refused)
    outputs = Predictor(lambda some: exported(some))(inputs)
    torch.testing.assert_close(outputs, network(inputs))


def test_a_module_that_has_no_weights_yet_is_refused_until_it_has():
    lazy = nn.LazyLinear(3)
    with pytest.raises(TypeError, match="Got LazyLinear, which has no weights yet. Call it once"):
        Predictor(lazy)
    lazy(torch.ones(2, 6))
    assert Predictor(lazy)(torch.ones(2, 6)).shape == (2, 3)
