"""Agreement on close decisions and on wrong ones, by counting."""

import pytest
import torch

from attributions.measures.hard_inputs import hard_agreement, margins

MARGIN = torch.tensor([5.0, 0.1, 3.0, 0.2, 4.0, 2.0, 1.0, 6.0, 7.0, 8.0])
DECIDED = torch.tensor([0, 1, 0, 1, 0, 0, 0, 0, 0, 2])
AGAIN = torch.tensor([0, 0, 0, 1, 0, 0, 0, 0, 0, 2])


def test_the_margin_is_that_of_the_two_largest_logits():
    outputs = torch.randn(20, 5)
    best = outputs.sort(dim=1, descending=True).values
    torch.testing.assert_close(margins(outputs), best[:, 0] - best[:, 1])
    single = torch.tensor([[3.0], [-0.5]])
    assert margins(single).tolist() == [3.0, 0.5]


def test_agreement_of_a_good_code_can_be_lost_where_it_matters():
    labels = DECIDED.clone()
    labels[[1, 3]] = 0
    found = hard_agreement(MARGIN, DECIDED, AGAIN, labels, share=0.2)
    assert found.all == 0.9
    assert found.majority == 0.7
    assert (found.close, found.n_close) == (0.5, 2)
    assert (found.wrong, found.n_wrong) == (0.5, 2)


def test_at_least_one_input_is_close_and_a_perfect_predictor_gets_none_wrong():
    found = hard_agreement(MARGIN[:3], DECIDED[:3], AGAIN[:3], DECIDED[:3], share=0.01)
    assert (found.close, found.n_close) == (0.0, 1)
    assert (found.wrong, found.n_wrong) == (None, 0)
    assert hard_agreement(MARGIN, DECIDED, AGAIN).n_wrong is None


def test_other_inputs_and_shares_are_refused():
    with pytest.raises(ValueError, match="must be one value for each input"):
        hard_agreement(MARGIN, DECIDED, AGAIN[:4])
    with pytest.raises(ValueError, match="must be one value for each input"):
        hard_agreement(MARGIN, DECIDED, AGAIN, torch.zeros(3))
    with pytest.raises(ValueError, match="must be one value for each input"):
        hard_agreement(MARGIN[:0], DECIDED[:0], AGAIN[:0])
    with pytest.raises(ValueError, match="`share` must be above 0 and at most 1. Got 0"):
        hard_agreement(MARGIN, DECIDED, AGAIN, share=0)
