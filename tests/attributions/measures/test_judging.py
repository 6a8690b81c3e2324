"""Judges beside the predictor: gaps by hand, and judges of other classes refused."""

import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import nn

from attributions import Predictor
from attributions.measures.judging import as_judges, check_judges, judgement, judges_agree
from tests.cases import assert_same_snapshot, snapshot


def test_the_gap_is_the_predictors_agreement_less_the_judges_mean():
    own = torch.tensor([1.0, 1.0, 1.0, 0.0])
    judges = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    found = judgement(own, judges, generator=torch.Generator().manual_seed(0))
    assert found.predictor == 0.75
    assert found.judges == (0.25, 0.5)
    assert found.gap == pytest.approx(0.75 - 0.375)
    assert found.interval.low < found.gap < found.interval.high


def test_the_gap_is_paired_so_that_hard_inputs_do_not_widen_it():
    """Predictor and judge fail on the same half: the gap is 0, for sure."""
    agrees = (torch.arange(100) % 2).double()
    found = judgement(agrees, agrees.unsqueeze(0))
    assert (found.gap, tuple(found.interval)) == (0.0, (0.0, 0.0))


def test_each_judge_is_compared_with_itself():
    """Both judges say another class than the other: each says it of both pictures."""
    inputs = torch.rand(10, 3) + 1
    first, second = lambda x: x @ torch.eye(3), lambda x: -x @ torch.eye(3)
    assert judges_agree([first, second], inputs, inputs).mean() == 1
    swapped = inputs.flip(1)
    changed = inputs.argmax(dim=1) == swapped.argmax(dim=1)
    assert torch.equal(judges_agree([first], inputs, swapped)[0], changed.double())


def test_a_judge_that_ends_in_a_sigmoid_decides_at_one_half():
    linear, inputs = nn.Linear(3, 1), torch.randn(30, 3)
    asked = Predictor(linear, task="classification")
    (judge,) = as_judges([nn.Sequential(linear, nn.Sigmoid())], asked, inputs)
    assert torch.equal(judge(inputs) > 0, linear(inputs) > 0)


def test_a_judge_is_asked_in_eval_mode_and_not_changed():
    judge = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.9), nn.BatchNorm1d(2)).train()
    before = snapshot(judge)
    inputs = torch.randn(30, 3)
    assert judges_agree([judge], inputs, inputs).mean() == 1
    assert_same_snapshot(before, snapshot(judge))


def test_judges_of_other_classes_are_refused():
    inputs = torch.randn(4, 3)
    check_judges([nn.Linear(3, 5)], inputs, 5)
    with pytest.raises(
        ValueError, match=r"`judges` must tell the predictor's 5 classes. Got judge 1 .*\(4, 4\)"
    ):
        check_judges([nn.Linear(3, 5), nn.Linear(3, 4)], inputs, 5)


def test_no_judge_and_other_inputs_are_refused():
    with pytest.raises(ValueError, match="`judges` must be one or more classifiers. Got none"):
        judges_agree([], torch.ones(2, 3), torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"`judges_agree` must have shape \(judges, n\)"):
        judgement(torch.ones(3), torch.ones(1, 4))
    with pytest.raises(ValueError, match="`judges_agree` must hold a judge and an example"):
        judgement(torch.ones(3), torch.ones(0, 3))


@pytest.mark.parametrize(
    "judge", [nn.Linear(6, 3), nn.Sequential(nn.Linear(6, 3)), RandomForestClassifier(), 3, None]
)
def test_one_judge_alone_is_no_list_even_where_it_can_be_gone_through(judge):
    with pytest.raises(
        TypeError, match="`judges` must be a list of classifiers. Got .* judges=.cl"
    ):
        as_judges(judge, Predictor(nn.Linear(6, 3)), torch.ones(2, 6))
