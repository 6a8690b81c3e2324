import pytest
import torch
from torch import nn

from attributions import Contrast, Trim
from attributions.outputs import (
    are_probabilities,
    as_logits,
    both_classes,
    check_task,
    decisions,
    lost_by_centring,
    select,
)
from tests.cases import FunctionModule, HuggingFaceStyle, LinearCase


def test_the_centred_logit_ignores_a_constant_added_to_all_logits():
    case = LinearCase()
    centred = Trim(case.predictor, case.decoder, explained="centred_logit")
    shifted = Trim(lambda x: case.predictor(x) + 7, case.decoder, explained="centred_logit")
    torch.testing.assert_close(centred(case.latents), shifted(case.latents))
    torch.testing.assert_close(centred(case.latents).sum(1), torch.zeros(5, dtype=torch.float64))


def test_centring_loses_logits_beside_a_masked_one_and_no_others():
    logits = torch.randn(6, 4)
    masked = torch.where(torch.arange(4) == 2, -1e9, logits)
    assert lost_by_centring(masked)
    assert not lost_by_centring(masked.double())
    confident = torch.full((6, 4), -40.0)
    confident[:, 0] = 0.0  # logarithms of probabilities
    for honest in (logits, 1e6 + 100 * logits, confident, torch.zeros(6, 4), 1e9 * logits[:, :1]):
        assert not lost_by_centring(honest)


def test_a_contrast_is_the_difference_of_two_outputs():
    case = LinearCase()
    outputs = Trim(case.predictor, case.decoder)(case.latents)
    contrast = Trim(case.predictor, case.decoder, explained=Contrast(target=3, against=1))
    torch.testing.assert_close(contrast(case.latents), (outputs[:, 3] - outputs[:, 1])[:, None])


def test_logarithms_of_probabilities_when_centred_equal_centred_logits():
    case = LinearCase()
    softmax = nn.Sequential(case.predictor, nn.Softmax(dim=1))
    from_softmax = Trim(softmax, case.decoder, explained="centred_logit", probabilities=True)
    from_logits = Trim(case.predictor, case.decoder, explained="centred_logit")
    torch.testing.assert_close(from_softmax(case.latents), from_logits(case.latents))


@pytest.mark.parametrize(
    "shape_of",
    [
        lambda logits: logits,
        lambda logits: (logits, "features"),
        lambda logits: {"logits": logits},
        lambda logits: [logits],
    ],
)
def test_outputs_may_come_as_tensor_tuple_list_or_mapping(shape_of):
    predictor = FunctionModule(shape_of)
    inputs = torch.randn(3, 6)
    outputs = Trim(predictor, nn.Identity())(inputs)
    torch.testing.assert_close(outputs, predictor.linear(inputs))


def test_hugging_face_style_and_single_outputs_are_columns():
    inner = nn.Linear(6, 4)
    inputs = torch.randn(3, 6)
    torch.testing.assert_close(Trim(HuggingFaceStyle(inner), nn.Identity())(inputs), inner(inputs))
    flat = FunctionModule(lambda logits: logits[:, 0])
    assert Trim(flat, nn.Identity())(inputs).shape == (3, 1)


def test_unknown_explained_and_missing_classes_are_refused():
    with pytest.raises(ValueError, match="`explained` must be 'output', 'centred_logit'"):
        Trim(nn.Linear(6, 4), nn.Identity(), explained="probability")
    with pytest.raises(ValueError, match="`explained` must name classes below 4"):
        Trim(nn.Linear(6, 4), nn.Identity(), explained=Contrast(4, 0))(torch.randn(2, 6))


def test_selecting_is_linear_in_the_logits_and_a_single_one_is_never_centred():
    logits = torch.tensor([[1.0, 2.0, 6.0]])
    assert select(logits, "output").tolist() == [[1.0, 2.0, 6.0]]
    assert select(logits, "centred_logit").tolist() == [[-2.0, -1.0, 3.0]]
    assert select(logits, Contrast(target=2, against=0)).tolist() == [[5.0]]
    assert select(logits, Contrast(target=-1, against=1)).tolist() == [[4.0]]
    assert select(logits[:, :1], "centred_logit").tolist() == [[1.0]]
    for contrast in (Contrast(0, 3), Contrast(-4, 0)):
        with pytest.raises(ValueError, match="`explained` must name classes below 3"):
            select(logits, contrast)


def test_decisions_are_the_largest_output_or_the_sign_of_the_only_one():
    assert decisions(torch.tensor([[0.1, 3.0, 2.0], [5.0, 1.0, 0.0]])).tolist() == [1, 0]
    assert decisions(torch.tensor([[-0.1], [0.1], [0.0]])).tolist() == [0, 1, 0]


def test_one_logit_speaks_for_two_classes():
    logit = torch.randn(4, 1)
    pair = both_classes(logit)
    torch.testing.assert_close(pair.softmax(dim=1)[:, 1:], logit.sigmoid())
    assert both_classes(pair) is pair


def test_logits_of_probabilities_are_their_logarithms_and_never_infinite():
    probabilities = torch.tensor([[0.25, 0.75, 0.0]])
    logits = as_logits(probabilities, are_probabilities=True)
    torch.testing.assert_close(logits[:, :2], probabilities[:, :2].log())
    assert logits.isfinite().all()
    assert as_logits(probabilities, are_probabilities=False) is probabilities


def test_probabilities_are_recognised_by_every_row():
    rows = torch.randn(4, 3).softmax(dim=1)
    assert are_probabilities(rows)
    assert not are_probabilities(torch.cat([rows, torch.tensor([[0.5, 0.5, 0.5]])]))
    assert not are_probabilities(torch.tensor([[1.5, -0.5]]))
    assert not are_probabilities(torch.ones(3, 1))  # a sigmoid cannot be told from a logit


@pytest.mark.parametrize("pair", [(1, 1), (-1, 2)])
def test_a_contrast_of_a_class_with_itself_is_refused(pair):
    with pytest.raises(ValueError, match="`explained` must name two classes. Got Contrast"):
        select(torch.randn(2, 3), Contrast(*pair))


def test_a_task_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="`task` must be 'classification', 'multilabel' or"):
        check_task("ranking")


def test_probabilities_of_labels_become_logarithms_of_their_odds_which_are_finite():
    logits = torch.tensor([[-3.0, 0.0, 4.0]])
    torch.testing.assert_close(as_logits(logits.sigmoid(), True, of_labels=True), logits)
    certain = as_logits(torch.tensor([[0.0, 1.0]]), True, of_labels=True)
    assert certain.isfinite().all()
    assert certain[0, 0] < -10
    assert certain[0, 1] > 10
