import pytest
import torch

from attributions.transforms import Parts, channels, places


def test_masks_are_groups_and_the_rest_is_one():
    corner = torch.zeros(4, 4)
    corner[:2, :2] = 1
    parts = Parts((3, 4, 4), {"corner": corner, "edge": torch.arange(4) == 3})
    assert parts.group_names == ("corner", "edge", "rest")
    inputs = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(parts.decode(parts.encode(inputs)), inputs)
    sums = parts.by_group(parts.encode(inputs))
    torch.testing.assert_close(sums[:, 0], inputs[..., :2, :2].sum(dim=(1, 2, 3)))
    torch.testing.assert_close(sums[:, 1], inputs[..., 3].sum(dim=(1, 2)))
    torch.testing.assert_close(sums.sum(dim=1), inputs.sum(dim=(1, 2, 3)))


def test_there_is_no_rest_where_masks_cover_all():
    parts = Parts((4,), {"low": torch.arange(4) < 1, "high": torch.arange(4) >= 1})
    assert parts.group_names == ("low", "high")
    assert parts.groups.tolist() == [0, 1, 1, 1]


def test_channels_are_named_by_colour_number_or_the_caller():
    assert channels((3, 2, 2)).group_names == ("red", "green", "blue")
    assert channels((2, 2, 2)).group_names == ("channel 0", "channel 1")
    named = channels((2, 2, 2), ["ink", "depth"])
    assert named.group_names == ("ink", "depth")
    assert named.groups.tolist() == [0] * 4 + [1] * 4
    with pytest.raises(ValueError, match="`names` must have 2 entries, one per channel. Got 1"):
        channels((2, 2, 2), ["ink"])


def test_masks_that_do_not_part_the_inputs_are_refused():
    first, all_ = torch.arange(4) < 1, torch.ones(4)
    with pytest.raises(ValueError, match="`masks` must name at least one part. Got none"):
        Parts((4,), {})
    with pytest.raises(ValueError, match="must not overlap. Got 'all', which shares .* 'first'"):
        Parts((4,), {"first": first, "all": all_})
    with pytest.raises(ValueError, match="must each cover something. Got 'none', which is empty"):
        Parts((4,), {"none": torch.zeros(4)})
    for shape in ((5,), (2, 4)):
        with pytest.raises(ValueError, match=r"the shape of one input, \(4,\). Got"):
            Parts((4,), {"wrong": torch.ones(shape)})


def test_a_grid_of_places_covers_every_pixel_once_and_names_its_corners():
    grid = places((3, 10, 13))
    assert len(set(grid.group_names)) == 16
    assert grid.by_group(torch.ones(1, 390)).sum() == 390
    picture = torch.zeros(1, 3, 10, 13)
    for name, row, column in (
        ("top left corner", 0, 0),
        ("top right corner", 0, 12),
        ("bottom left corner", 9, 0),
        ("bottom right corner", 9, 12),
        ("top centre left", 0, 5),
        ("upper right", 4, 12),
        ("lower centre right", 6, 8),
    ):
        picture.zero_()
        picture[..., row, column] = 1
        at = grid.by_group(grid.encode(picture))[0]
        assert grid.group_names[int(at.argmax())] == name
    inputs = torch.randn(2, 3, 10, 13)
    assert torch.equal(grid.decode(grid.encode(inputs)), inputs)


@pytest.mark.parametrize("shape", [(6,), (1, 3, 8), (8, 8)])
def test_what_is_no_picture_has_no_places(shape):
    with pytest.raises(ValueError, match="`event_shape` must be that of pictures"):
        places(shape)
