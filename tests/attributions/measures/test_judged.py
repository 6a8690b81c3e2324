"""Counterfactuals judged: pixels in turn by hand, judges that follow or not, kinds of flips."""

import itertools

import pytest
import torch

from attributions.measures import bex, cout, oracle_score


def second_less_first(inputs):
    """Logit of the first pixel, of two classes."""
    return torch.stack([-inputs[:, 0, 0, 0], inputs[:, 0, 0, 0]], dim=1)


def picture(*values):
    return torch.tensor(values).reshape(1, 1, 2, 2)


def test_the_area_is_that_of_pixels_put_in_one_by_one():
    inputs, changed = picture(-1.0, 0.0, 0.0, 0.0), picture(2.0, 0.5, 0.4, 0.3)
    found = cout(second_less_first, inputs, changed, n_steps=4)
    gains = []
    for count in range(5):
        mixed = inputs.clone().flatten()
        mixed[:count] = changed.flatten()[:count]  # the largest change first, as it happens
        chances = second_less_first(mixed.reshape(1, 1, 2, 2)).softmax(dim=1)[0]
        gains.append(float(chances[1] - chances[0]))
    expected = sum((left + right) / 2 for left, right in itertools.pairwise(gains)) / 4
    assert float(found) == pytest.approx(expected, abs=1e-6)


def test_a_change_where_nothing_decides_comes_late():
    inputs = picture(-1.0, 0.0, 0.0, 0.0)
    early, late = picture(1.0, 0.1, 0.1, 0.1), picture(1.0, 9.0, 9.0, 9.0)
    first, last = (float(cout(second_less_first, inputs, each)) for each in (early, late))
    assert first > 0.4 > -0.2 > last
    assert -1 <= last < first <= 1


def test_channels_change_together_and_tables_column_by_column():
    inputs = torch.zeros(1, 2, 1, 2)
    changed = torch.tensor([[[[1.0, 0.0]], [[0.0, 3.0]]]])  # 1 at the left, 3 at the right

    def left(x):
        return x[:, 0, 0, :1] - 0.5

    found = cout(left, inputs, changed, n_steps=2)
    ends = torch.tensor([-0.5, -0.5, 0.5]).sigmoid() * 2 - 1  # right first, then left
    assert float(found) == pytest.approx(float(torch.trapezoid(ends, dx=0.5)), abs=1e-6)
    rows = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    moved = torch.tensor([[1.0, 0.1], [1.0, 0.1]])
    assert cout(lambda x: 8 * x[:, :1] - 4, rows, moved).shape == (2,)


def test_source_and_target_can_be_named():
    inputs, changed = picture(-1.0, 0.0, 0.0, 0.0), picture(2.0, 0.5, 0.4, 0.3)
    named = cout(
        second_less_first, inputs, changed, source=torch.tensor([1]), target=torch.tensor([0])
    )
    torch.testing.assert_close(named, -cout(second_less_first, inputs, changed))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="`counterfactuals` must have the shape of the inputs"):
        cout(second_less_first, picture(0.0, 0.0, 0.0, 0.0), torch.zeros(1, 4))
    with pytest.raises(ValueError, match="`n_steps` must be at least 1"):
        cout(second_less_first, *2 * [picture(0.0, 0.0, 0.0, 0.0)], n_steps=0)


def test_an_adversarial_change_is_followed_by_no_judge():
    inputs = torch.tensor([[3.0, 0.0], [-3.0, 0.0]])
    target = torch.tensor([1, 0])
    honest, other = (lambda x: x[:, :1]), (lambda x: x[:, 1:] - 1)
    assert oracle_score([honest, other], inputs, target).tolist() == [1.0, 0.5]
    with pytest.raises(ValueError, match="`judges` must hold at least one"):
        oracle_score([], inputs, target)


def test_each_kind_of_flip_counts_where_it_belongs():
    #                          bias,  trivial, oracle alone, classifier with others
    classifier = torch.tensor([True, True, False, True])
    oracle = torch.tensor([False, True, True, True])
    stay = torch.tensor([True, True, True, False])
    right = torch.tensor([False, True, False, False])
    found = bex(classifier, oracle, stay, right)
    assert (float(found.success), float(found.trivial)) == (0.5, 0.25)
    with pytest.raises(TypeError, match="`oracle_flips` must be a mask"):
        bex(classifier, oracle.float(), stay, right)
    with pytest.raises(ValueError, match="`both_right` must have shape"):
        bex(classifier, oracle, stay, right[:2])
