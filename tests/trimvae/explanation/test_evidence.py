"""What is held: predicted, target, baselines and ranges, and choosing among examples."""

import numpy as np
import pytest
import torch

from attributions import Contrast
from tests.trimvae.explanation.made import by_hand


def test_the_target_is_the_predicted_class_at_the_inputs():
    evidence = by_hand()
    assert evidence.predicted.tolist() == [0, 0, 1, 2]
    assert torch.equal(evidence.target, evidence.predicted)
    expected = [[2.0, 1.0, 0.0], [1.0, -1.0, 2.0], [0.0, 4.0, 0.0], [-2.0, 0.0, 6.0]]
    assert evidence.target_attributions.tolist() == expected


def test_only_a_decision_that_does_not_survive_re_encoding_disagrees():
    assert by_hand().disagrees.tolist() == [False, True, False, False]
    regression = by_hand({"task": "regression"})
    assert regression.disagrees.tolist() == [False] * 4
    assert regression.predicted.tolist() == [0] * 4


def test_a_contrast_has_one_explained_output_whatever_is_predicted():
    evidence = by_hand(
        {"contrast": [2, 0], "explained": None, "explained_name": "c rather than a"},
        attributions=torch.ones(4, 1, 3),
    )
    assert evidence.target.tolist() == [0, 0, 0, 0]
    assert evidence.explained == Contrast(2, 0)
    assert evidence.explained_names == ("c rather than a",)
    assert evidence.explained_at_inputs[:, 0].tolist() == [-2.0, -2.0, 1.0, 5.0]
    assert not evidence.by_class


def test_what_is_explained_at_the_inputs_is_centred_when_asked():
    outputs = by_hand().outputs
    assert torch.equal(by_hand().explained_at_inputs, outputs)
    centred = by_hand({"explained": "centred_logit"}).explained_at_inputs
    torch.testing.assert_close(centred, outputs - outputs.mean(dim=1, keepdim=True))


def test_every_example_starts_at_its_own_baseline_or_at_the_common_one():
    one = by_hand(baselines=torch.tensor([[1.0, 2.0, 3.0]]))
    assert one.starts.tolist() == [[1.0, 2.0, 3.0]] * 4
    own = torch.arange(12.0).view(4, 3)
    assert torch.equal(by_hand({"baselines_per_example": True}, baselines=own).starts, own)
    of_a_set = by_hand({"baselines_per_example": False}, baselines=own)
    assert torch.equal(of_a_set.starts, own.mean(dim=0).expand(4, 3))


def test_latents_move_over_the_prior_or_over_the_examples_where_there_is_none():
    low, high = by_hand().ranges
    assert low.tolist() == [-2.5] * 3
    assert high.tolist() == [2.5] * 3
    latents = torch.stack([torch.linspace(0, 1, 101), torch.linspace(5, 9, 101)], dim=1)
    low, high = by_hand(latents=latents, deviations=torch.zeros(101, 2)).ranges
    torch.testing.assert_close(low, torch.tensor([0.01, 5.04]))
    torch.testing.assert_close(high, torch.tensor([0.99, 8.96]))


def test_classes_examples_and_latents_that_are_not_there_are_named():
    evidence = by_hand()
    assert evidence.class_index("b") == evidence.class_index(1) == 1
    for wrong in ("d", 3, -1):
        with pytest.raises(ValueError, match="`target` must be a class"):
            evidence.class_index(wrong)
    for wrong in (4, -1):
        with pytest.raises(ValueError, match=f"`example` must be from 0 to 3. Got {wrong}"):
            evidence.check_example(wrong)
    with pytest.raises(ValueError, match="`latent` must be from 0 to 2. Got 3"):
        evidence.check_latents(0, 3)


@pytest.mark.parametrize("wrong", ["a", 1.5, True, None])
def test_what_is_no_index_is_refused_by_its_name(wrong):
    evidence = by_hand()
    with pytest.raises(TypeError, match=f"`example` must be a whole number. Got {wrong!r}. Choose"):
        evidence.check_example(wrong)
    with pytest.raises(TypeError, match=f"`latents` must be a whole number. Got {wrong!r}. Choose"):
        evidence.check_latents(0, wrong, argument="latents")


@pytest.mark.parametrize("wrong", [None, 1.5, torch.nan])
def test_a_class_is_no_fraction_and_not_nothing(wrong):
    with pytest.raises(ValueError, match=f"`target` must be a class: a, b, c, .* Got {wrong}"):
        by_hand().class_index(wrong)


@pytest.mark.parametrize("one", [1, np.int64(1), torch.tensor(1)])
def test_indices_of_numpy_and_torch_are_taken(one):
    evidence = by_hand()
    evidence.check_example(one)
    evidence.check_latents(one)
    assert evidence.class_index(one) == 1


def test_what_a_consensus_has_said_of_latents_is_read_from_the_settings():
    marked = by_hand({"recurrence": {"found_in": [3, 1, 2], "codes": 3}})
    assert marked.recurrence == ((3, 1, 2), 3)
    assert marked.recurrence.recurring == (0, 2)
    assert marked.select([0, 2]).recurrence == marked.recurrence
    assert by_hand().recurrence is None  # as earlier versions saved it
    assert by_hand({"recurrence": None}).recurrence is None
