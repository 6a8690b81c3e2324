import pytest
import torch

from tests.trimvae.explanation.made import by_hand


def test_examples_are_chosen_with_all_that_belongs_to_them():
    labels, own = torch.tensor([0, 1, 1, 0]), torch.arange(12.0).view(4, 3)
    evidence = by_hand(
        {"baselines_per_example": True}, labels=labels, baselines=own, baseline_outputs=own + 1
    )
    few = evidence.select([3, 0])
    for name in evidence.tensors():
        assert torch.equal(getattr(few, name), getattr(evidence, name)[[3, 0]]), name
    assert type(few) is type(evidence)
    assert evidence.select(labels == 1).labels.tolist() == [1, 1]
    assert evidence.select([-1]).inputs.tolist() == evidence.inputs[3:].tolist()


def test_a_common_baseline_stays_with_the_chosen():
    chosen = by_hand().select([2])
    assert chosen.baselines.shape == chosen.baseline_outputs.shape == (1, 3)


@pytest.mark.parametrize("examples", [[4], [-5], [], torch.zeros(4, dtype=torch.bool)])
def test_choosing_nobody_or_nobody_that_is_there_is_refused(examples):
    with pytest.raises(ValueError, match="`examples` must leave at least one of the 4 examples"):
        by_hand().select(examples)


def test_right_wrong_and_a_class_divide_the_examples():
    evidence = by_hand(labels=torch.tensor([0, 1, 1, 0]))
    assert torch.equal(evidence.correct().inputs, evidence.inputs[[0, 2]])
    assert torch.equal(evidence.wrong().inputs, evidence.inputs[[1, 3]])
    assert torch.equal(evidence.for_class("a").inputs, evidence.inputs[[0, 1]])
    assert torch.equal(evidence.for_class(2).inputs, evidence.inputs[[3]])


def test_what_cannot_be_chosen_is_named():
    evidence = by_hand(labels=torch.tensor([0, 0, 1, 2]))
    with pytest.raises(ValueError, match="none are predicted wrong"):
        evidence.wrong()
    with pytest.raises(ValueError, match="none are predicted as 'c'"):
        evidence.select([0, 1]).for_class("c")
    with pytest.raises(ValueError, match="`labels` must be known"):
        by_hand().wrong()
    with pytest.raises(ValueError, match="`target` must be a class: a, b, c, or its number"):
        evidence.for_class("e")


@pytest.mark.parametrize("examples", [0, torch.tensor(1), slice(0, 2)])
def test_numbers_and_slices_are_no_choice_of_examples(examples):
    with pytest.raises(TypeError, match="`examples` must be a mask or a sequence of indices"):
        by_hand().select(examples)


@pytest.mark.parametrize("examples", [[1.5], torch.tensor([0.0, 1.0]), [[0, 1]]])
def test_numbers_that_are_not_whole_are_not_cut(examples):
    with pytest.raises(TypeError, match="`examples` must be whole numbers in one row"):
        by_hand().select(examples)


@pytest.mark.parametrize("examples", [["a"], [None], 3, slice(2), None])
def test_what_names_no_examples_is_refused(examples):
    with pytest.raises(TypeError, match="`examples` must be a mask or a sequence of indices. Got"):
        by_hand().select(examples)


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"must be a mask of shape \(4,\) where it is one"):
        by_hand().select([True, False, True])
