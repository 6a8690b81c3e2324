"""The arms of the demo: what each is trained with, and for how long."""

import pytest
import torch
from torch import nn

from trimvae.cli.demo_codes import Course
from trimvae.cli.demo_data import DATASETS
from trimvae.data import Split


@pytest.fixture
def course():
    torch.manual_seed(0)
    rows = torch.randn(64, 30)
    parts = Split(rows, torch.zeros(64).long(), rows[:8], torch.zeros(8).long())
    return Course(DATASETS["breast-cancer"], parts, nn.Linear(30, 2), epochs=3, progress=False)


def test_a_plain_code_knows_nothing_of_the_classifier(course):
    code = course.plain(0)
    assert code.vae.axes is None
    assert code.vae.trained_with["prediction_weight"] == 0
    assert code.vae.trained_with["penalties"] == []
    again = course._replace(classifier=nn.Linear(30, 2)).plain(0)
    for one, other in zip(code.vae.parameters(), again.vae.parameters(), strict=True):
        assert torch.equal(one, other)


def test_arms_through_the_classifier_go_on_from_the_same_code(course):
    first = course.through(0)
    weights = {name: tensor.clone() for name, tensor in first.vae.state_dict().items()}
    along = course.along_axes(first, 0)
    assert along.vae.axes is not None
    assert along.vae.trained_with["penalised"] == "code"
    assert along.seconds > first.seconds
    assert all(torch.equal(weights[name], each) for name, each in first.vae.state_dict().items())
    without = course.without_axes(first, 0)
    assert without.vae is first.vae
    assert without.vae.axes is None
    assert without.vae.trained_with["penalties"] == []
    assert without.vae.trained_with["prediction_weight"] == 10
    assert without.vae.trained_with["epochs"] == 2 * along.vae.trained_with["epochs"]


def test_another_seed_is_another_code(course):
    one, other = course.through(0).vae, course.through(1).vae
    assert not torch.equal(next(one.parameters()), next(other.parameters()))
