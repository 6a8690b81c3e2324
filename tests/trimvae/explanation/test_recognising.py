"""A run is known again by weights, options and what it made of the first examples."""

import functools
import json

import numpy as np
import pytest
import torch
from torch import nn

from trimvae.explanation.recognising import check_same_run, keep_run, told, weights_of

RUN = {"seed": 0, "weights": ["Linear", "ab"], "first_outputs": [1.0, -200.0]}


@pytest.fixture
def path(tmp_path):
    keep_run(tmp_path / "run.json", RUN)
    return tmp_path / "run.json"


def test_weights_tell_a_module_and_its_methods_apart_from_others():
    layer, other = nn.Linear(3, 2), nn.Linear(3, 2)
    assert weights_of(layer) == weights_of(layer.forward)
    assert weights_of(layer) != weights_of(other)
    other.load_state_dict(layer.state_dict())
    assert weights_of(layer) == weights_of(other)


def test_functions_are_told_by_name_and_nothing_by_nothing():
    assert weights_of(torch.tanh) == "tanh"
    assert weights_of(functools.partial(torch.sum, dim=1)) == "partial"
    assert weights_of(None) is None


def test_options_are_told_as_json_and_tensors_by_their_content():
    one, other = torch.zeros(2), torch.tensor([0.0, 1.0])
    assert told(one) == told(one.clone()) != told(other)
    assert told(np.zeros(2, dtype=np.float32)) == told(one)
    assert told(np.array(["a", "b"])) == ["a", "b"]
    assert json.loads(json.dumps(told({"a": (1, None, one, nn.ReLU)}))) == {
        "a": [1, None, told(one), "ReLU"]
    }


def test_the_same_run_is_known_again_and_a_new_one_is_welcome(path):
    check_same_run(path, RUN)
    check_same_run(path.with_name("none.json"), RUN)


def test_what_was_computed_may_be_rounded_otherwise_and_nothing_else_may(path):
    check_same_run(path, {**RUN, "first_outputs": [1.0 + 1e-5, -200.001]})
    with pytest.raises(ValueError, match=r"first_outputs=\[1\.1, -200\.0\]"):
        check_same_run(path, {**RUN, "first_outputs": [1.1, -200.0]})
    with pytest.raises(ValueError, match="first_outputs"):
        check_same_run(path, {**RUN, "first_outputs": [1.0]})


def test_another_run_is_refused_with_all_that_differs_and_a_remedy(path):
    with pytest.raises(ValueError, match=r"seed=1 \(0 in the folder\), weights=.*another folder"):
        check_same_run(path, {**RUN, "seed": 1, "weights": ["Linear", "cd"]})
    with pytest.raises(ValueError, match=r"n_steps=8 \(None in the folder\)"):
        check_same_run(path, {**RUN, "n_steps": 8})


def test_the_first_identity_stays(path):
    keep_run(path, {"seed": 9})
    check_same_run(path, RUN)
