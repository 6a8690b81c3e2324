from types import SimpleNamespace

import pytest
import torch

from attributions.axes import Rotation, dead_latents, groups_of
from attributions.axes.grouping import check_groups, checked_groups, united
from attributions.codes import Block

BLOCKS = (
    Block("category", 0, 3, "categorical"),
    Block("style", 3, 6),
    Block("coarse", 6, 8, level=4),
    Block("pixels", 8, 10, "noise"),
)
CODE = SimpleNamespace(blocks=BLOCKS)


def test_each_real_block_is_a_group_without_its_dead_latents():
    assert groups_of(CODE, 10) == ((3, 4, 5), (6, 7))
    assert groups_of(CODE, 10, dead=[4, 6, 7]) == ((3, 5),)
    assert groups_of(SimpleNamespace(), 3) == ((0, 1, 2),)
    assert groups_of(SimpleNamespace(), 3, dead={0, 1, 2}) == ()


def test_a_dead_latent_that_is_not_there_is_said():
    with pytest.raises(ValueError, match=r"`dead` must hold indices from 0 to 9. Got \[10\]"):
        groups_of(CODE, 10, dead=[10])


def test_blocks_that_do_not_cover_the_latents_are_said():
    with pytest.raises(ValueError, match="`blocks` must cover 12 latents"):
        groups_of(CODE, 12)


@pytest.mark.parametrize("groups", [[(0, 1), (1, 2)], [(0, 3)], [(-1, 0)], [(0, 0)], [(0, 1), ()]])
def test_groups_name_each_latent_at_most_once(groups):
    with pytest.raises(ValueError, match="`groups` must hold indices from 0 to 2, each at most"):
        Rotation(3, groups)


def test_all_latents_are_one_group_by_default():
    assert checked_groups(None, 3) == ((0, 1, 2),)
    assert checked_groups([], 3) == ()


@pytest.mark.parametrize("group", [(0, 1), (5, 6), (3, 6, 7), (8, 9), (2,)])
def test_axes_across_blocks_and_noise_are_refused(group):
    check_groups(((3, 5), (6, 7)), CODE, 10)
    with pytest.raises(ValueError, match="`axes` must mix latents within one block of real"):
        check_groups(((3, 4), group) if 3 not in group else (group,), CODE, 10)


def test_groups_that_meet_become_one():
    assert united(((0, 1), (4, 5), (2, 1), (7,), (2, 6))) == ((0, 1, 2, 6), (4, 5), (7,))


def test_a_latent_is_dead_beside_the_prior_or_the_largest():
    latents = torch.tensor([[0.05, 3.0, 0.5], [-0.05, -3.0, -0.5]])
    assert dead_latents(latents, torch.full((2, 3), 0.5)) == (0,)
    assert dead_latents(latents / 10, torch.full((2, 3), 0.5)) == (0, 2)
    assert dead_latents(latents / 10, torch.zeros(2, 3)) == (0,)
