import torch
from torch import nn

from benchmarks.planted_rules import arms
from benchmarks.planted_rules.arms import ARMS, AS_TRAINED, seen


def test_as_trained_is_the_code_itself():
    code = object()
    assert seen(AS_TRAINED, code, nn.Identity(), torch.zeros(3, 2)) is code


def test_an_arm_is_given_the_first_inputs_alone(monkeypatch):
    monkeypatch.setattr(arms, "N_FIT", 2)
    monkeypatch.setitem(ARMS, "asked", lambda code, predictor, inputs: (code, predictor, inputs))
    predictor, inputs = nn.Identity(), torch.arange(6.0).view(3, 2)
    code, asked, given = seen("asked", "code", predictor, inputs)
    assert code == "code"
    assert asked is predictor
    assert torch.equal(given, inputs[:2])
