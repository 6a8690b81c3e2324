import torch
from torch.overrides import _get_current_function_mode_stack

from attributions.placement import made_on


def test_what_names_no_device_is_made_on_the_one_said_and_the_default_comes_back():
    torch.set_default_device("meta")
    try:
        with made_on("cpu"):
            assert torch.ones(2).sum() == 2
            assert torch.nn.Linear(2, 2).weight.device.type == "cpu"
        assert torch.ones(2).device.type == "meta"
    finally:
        torch.set_default_device(None)


def test_where_the_default_is_the_same_no_call_is_watched():
    with made_on(torch.device("cpu")):
        assert not _get_current_function_mode_stack()
