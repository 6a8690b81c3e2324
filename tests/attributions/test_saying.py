import pytest
import torch
from torch import nn

from attributions import Predictor
from attributions.black_boxes import black_box
from attributions.saying import said_of


class Broken(nn.Module):
    def forward(self, inputs):
        raise KeyError("scale")


def broken(inputs):
    raise KeyError("scale")


@pytest.mark.parametrize(
    ("predictor", "note"),
    [
        (Predictor(Broken()), "`predictor` (Broken)."),
        (Predictor(broken), "`predictor` (broken)."),
        (Predictor(nn.Identity(), preprocess=Broken()), "`preprocess` (Broken)."),
        (Predictor(black_box(broken)), "`predictor` (broken)."),
    ],
    ids=["module", "function", "preprocess", "black box"],
)
def test_an_error_of_the_caller_s_passes_unchanged_with_a_note_whose_it_is(predictor, note):
    with pytest.raises(KeyError) as raised:
        predictor(torch.zeros(2, 3))
    assert raised.value.args == ("scale",)
    assert raised.value.__notes__ == [f"This error comes from your own code, {note}"]


def test_a_refusal_of_ours_has_no_such_note():
    words = Predictor(black_box(lambda rows: [["yes"] for _ in rows]))
    with pytest.raises(TypeError, match="must return numbers") as raised:
        words(torch.zeros(2, 3))
    assert not hasattr(raised.value, "__notes__")


def test_one_function_within_another_is_named_alone():
    with pytest.raises(KeyError) as raised, said_of("predictor", len):
        Predictor(broken)(torch.zeros(2, 3))
    assert raised.value.__notes__ == ["This error comes from your own code, `predictor` (broken)."]
