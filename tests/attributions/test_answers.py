import pytest
import torch
from torch import nn

from attributions.answers import repeats, stands_alone


def test_an_answer_repeats_up_to_the_last_digits():
    answers = torch.randn(5, 3)
    assert repeats(answers, answers * (1 + 1e-5))
    assert not repeats(answers, answers + 1e-3)


DEPENDENT = {
    "mean": lambda rows: rows - rows.mean(dim=0),
    "deviation": nn.BatchNorm1d(3, track_running_stats=False).eval(),
    "softmax": lambda rows: rows.softmax(dim=0),
    "attention": lambda rows: (rows @ rows.T).softmax(dim=1) @ rows,
    "rank": lambda rows: rows.argsort(dim=0).argsort(dim=0).double(),
    "sum of one": lambda rows: rows[:, :1] + rows[:, :1].sum(),
}


@pytest.mark.parametrize("name", DEPENDENT)
@pytest.mark.parametrize("examples", [1, 2, 3, 8, 20])
def test_what_looks_at_the_rest_of_its_batch_does_not_stand_alone(name, examples):
    asked = torch.randn(examples, 3, generator=torch.Generator().manual_seed(examples))
    if (name, examples) != ("rank", 1):  # of a row and its half there may be no other order
        assert not stands_alone(DEPENDENT[name], asked)
    assert stands_alone(lambda rows: rows.tanh() - rows.mean(dim=1, keepdim=True), asked)


def test_at_most_eight_rows_are_asked_always_in_batches_of_one_size():
    sizes = []

    def ask(rows):
        sizes.append(len(rows))
        return rows

    for examples in (1, 2, 3, 8, 100):
        assert stands_alone(ask, torch.randn(examples, 2, 3))
    assert sizes == [2] * 6 + [4] * 3 + [8] * 6


def test_an_answer_is_judged_beside_ordinary_ones_and_a_masked_one_hides_nothing():
    def asked_with(change):
        calls = iter((0.0, 1.0, 0.0))

        def ask(rows):
            logits = torch.tensor([[1.0, 2.0, 0.0, -1e9]]).expand(len(rows), -1)
            return logits + next(calls) * torch.tensor(change)

        return stands_alone(ask, torch.randn(4, 2))

    assert asked_with([0.005, 0.005, 0.005, 100.0])
    assert not asked_with([0.1, 0.0, 0.0, 0.0])
    assert not asked_with([0.0, 0.0, 0.1, 0.0])
