"""Decisions added up over batches: judges, close ones, and those that are wrong."""

import pytest
import torch
from torch import nn

from attributions import Predictor
from attributions.measures.judging import as_judges
from tests.trimvae.evaluation.rules import Rule, Straight
from tests.trimvae.explanation.made import linear
from trimvae import explain
from trimvae.evaluation.deciding import Decided


class Half(Straight):
    """Draws the first three of six columns."""

    def encode(self, inputs):
        return inputs[:, :3]

    def decode(self, latents):
        return torch.cat([latents, torch.zeros_like(latents)], dim=1)


def decided(inputs, judges=(), labels=None, code=None, sizes=(7, 33)):
    found = Decided(as_judges(judges, Predictor(Rule()), inputs[:4]), labels, 0)
    for part in inputs.split(list(sizes)):
        found.add(explain(code or Half(), Rule(), part, n_steps=2, check_parts=False))
    return found.figures()


INPUTS = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
LAST = linear([0.0] * 5 + [1.0], [0.0] * 5 + [-1.0], [0.0] * 5 + [-9.0])


def test_a_judge_that_reads_what_is_not_drawn_opens_the_gap():
    figures = decided(INPUTS, [Rule(), LAST])
    kept = ((INPUTS[:, 5] > 0) == 1).double().mean().item()
    assert figures["agreement_of_judge_1"].value == 1
    assert figures["agreement_of_judge_2"].value == pytest.approx(kept)
    gap = figures["judges_gap"]
    assert gap.value == pytest.approx((1 - kept) / 2)
    assert gap.interval.low < gap.value < gap.interval.high


def test_batches_do_not_matter():
    labels = torch.arange(40) % 2
    whole = decided(INPUTS, [LAST], labels, sizes=(40,))
    assert decided(INPUTS, [LAST], labels) == whole


def test_errors_are_known_where_labels_are():
    assert "agreement_where_wrong" not in decided(INPUTS)
    own = (INPUTS[:, 0] <= 0).long()
    assert "agreement_where_wrong" not in decided(INPUTS, labels=own)
    other = own.clone()
    other[:4] = 1 - other[:4]
    figures = decided(INPUTS, labels=other)
    assert figures["examples_where_wrong"].value == 4
    assert figures["agreement_where_wrong"].value == 1
    assert figures["agreement_where_wrong"].interval.low < 0.6  # of four alone
    with pytest.raises(ValueError, match="`labels` must be one for each example. Got 3 labels for"):
        decided(INPUTS, labels=own[:3])


def test_one_class_has_its_share_and_a_small_margin_its_own_agreement():
    one = INPUTS.clone()
    one[:, 0] = one[:, 0].abs() + 0.1
    figures = decided(one)
    assert figures["majority_share"].value == 1
    assert figures["agreement_where_close"].value == 1


def test_judges_stand_behind_the_same_preprocessing_and_a_predictor_behind_its_own():
    twice = Predictor(Rule(), preprocess=lambda x: 2 * x)
    first, second = as_judges([LAST, Predictor(LAST)], twice, INPUTS)
    inputs = torch.ones(1, 6)
    assert first(inputs)[0, 0] == 2
    assert second(inputs)[0, 0] == 1


def test_judges_of_a_regression_or_of_other_classes_are_refused():
    with pytest.raises(ValueError, match="`judges` must judge a classification. Got a regression"):
        as_judges([LAST], Predictor(nn.Linear(6, 1), task="regression"), INPUTS)
    with pytest.raises(ValueError, match="`judges` must tell the predictor's 3 classes"):
        decided(INPUTS, [nn.Linear(6, 4)])
