import json

import pytest
import torch

from attributions.axes import Chain, Rotation, axes_of
from tests.attributions.axes.made import SIZE, layers, orthogonal


def test_the_second_axes_are_those_of_what_is_seen_along_the_first():
    first, then = Rotation(4, matrix=orthogonal(4, 0)), Rotation(4, matrix=orthogonal(4, 1))
    latents = torch.randn(10, 4).double()
    expected = latents @ (orthogonal(4, 1) @ orthogonal(4, 0)).T
    torch.testing.assert_close(Chain(first, then)(latents), expected)


def test_groups_of_both_are_united_and_figures_are_those_of_the_last():
    first, then = Rotation(6, [(0, 1), (4, 5)]), Rotation(6, [(1, 2)])
    then.figures = {"share": 1.0}
    chain = Chain(first, then)
    assert chain.groups == ((0, 1, 2), (4, 5))
    assert chain.figures == {"share": 1.0}


def test_chains_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="`then` must be of 3 axes, as those that it comes after"):
        Chain(Rotation(3), Rotation(4))


def test_a_layer_is_made_again_of_its_description_and_weights(axes):
    described = json.loads(json.dumps(axes.description))
    again = axes_of(described)
    assert again.description == axes.description
    assert again.groups == axes.groups
    latents = torch.randn(10, SIZE).double()
    assert not torch.equal(again(latents), axes(latents))
    again.load_state_dict(axes.state_dict())
    assert torch.equal(again(latents), axes(latents))
    assert torch.equal(again.inverse(latents), axes.inverse(latents))


def test_the_description_has_all_tensors_in_place(axes):
    assert axes_of(axes.description).state_dict().keys() == axes.state_dict().keys()
    assert set(layers()) == {"rotation", "linear", "flow", "chain"}


def test_an_unknown_kind_is_said():
    for description in ({"kind": "spiral", "size": 3}, {"size": 3}):
        with pytest.raises(ValueError, match="`description` must be of a kind among rotation, lin"):
            axes_of(description)
