"""Sums over parts are those over the whole."""

import pytest
import torch

from attributions import Contrast
from tests.trimvae.explanation.made import by_hand, table_explanation
from trimvae.explanation.summing import summed

CASES = {
    "classes": {"outputs": 4},
    "a binary logit": {"outputs": 1, "task": "classification"},
    "a regression": {"outputs": 1},
    "a contrast": {"outputs": 3, "explained": Contrast(0, 1)},
}


@pytest.mark.parametrize("case", CASES)
def test_parts_add_up_to_what_one_explanation_of_all_examples_says(case):
    whole = table_explanation(batch=40, check_parts=False, **CASES[case])
    parts = [whole.select(range(*ends)) for ends in [(0, 7), (7, 30), (30, 40)]]
    found = summed(parts)
    means, effective = whole.by_predicted_class
    close = {"rtol": 1e-4, "atol": 1e-5, "equal_nan": True, "check_dtype": False}
    torch.testing.assert_close(found.means, means, **close)
    torch.testing.assert_close(found.effective_latents, effective, **close)
    torch.testing.assert_close(found.shares, whole.shares, **close)
    torch.testing.assert_close(found.slopes, whole.slopes, **close)
    if whole.by_class:
        torch.testing.assert_close(found.agreement, whole.agreement_by_class, **close)
    assert found.examples == 40 == int(found.predicted.sum())
    for name, value in whole.metrics.items():
        assert found.figures[name].value == pytest.approx(value, rel=1e-4, abs=1e-5), name


def test_sums_can_be_checked_by_hand():
    found = summed([by_hand()])
    assert found.predicted.tolist() == [2, 1, 1]
    assert found.sums.tolist() == [[3, 0, 2], [0, 4, 0], [-2, 0, 6]]
    assert found.sizes.tolist() == [[3, 2, 2], [0, 4, 0], [2, 0, 6]]
    assert found.change.tolist() == [2.5, 4, 4]
    assert found.agreement.tolist() == [0.5, 1, 1]


def test_agreement_has_an_interval_that_narrows_with_examples():
    one = by_hand()
    widths = []
    for count in (1, 100):
        low, high = summed([one] * count).figures["agreement"].interval
        assert low < 0.75 < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 5


def test_nothing_cannot_be_added_up():
    with pytest.raises(ValueError, match="`explanations` must hold at least one"):
        summed([])
