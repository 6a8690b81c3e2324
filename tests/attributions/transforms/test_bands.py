import pytest
import torch

from attributions.transforms import Bands

NAMES = ("overall brightness", "coarse shape", "detail", "fine texture")


def shares(bands, pictures):
    energy = bands.by_group(bands.encode(pictures).square()).sum(dim=0)
    return dict(zip(bands.group_names, (energy / energy.sum()).tolist(), strict=True))


def waves(period, size=28):
    """Cosine waves of the transform itself, from left to right."""
    half_waves = round(2 * size / period)
    wave = torch.cos(torch.pi / size * half_waves * (torch.arange(size) + 0.5))
    return wave.expand(1, 1, size, size)


@pytest.mark.parametrize(
    ("period", "name"),
    [(28, "coarse shape"), (9, "coarse shape"), (7, "detail"), (5, "detail"), (4, "fine texture")],
)
def test_waves_lie_in_the_band_of_their_length(period, name):
    assert shares(Bands((1, 28, 28)), waves(period))[name] == pytest.approx(1, abs=1e-5)


def test_a_checkerboard_is_fine_texture_and_a_lighter_picture_is_brightness():
    bands, place = Bands((1, 28, 28)), torch.arange(28)
    board = ((place[:, None] + place) % 2).float()[None, None]
    assert shares(bands, board - 0.5)["fine texture"] > 0.95
    assert shares(bands, torch.full((1, 1, 28, 28), 0.3))["overall brightness"] > 0.999
    disc = ((place[:, None] - 10) ** 2 + (place - 12) ** 2 < 30).float()[None, None]
    found = shares(bands, disc)
    assert found["fine texture"] < 0.1
    assert found["coarse shape"] + found["overall brightness"] > 0.7


def test_a_large_picture_has_coarser_shapes_and_textures():
    bands = Bands((1, 224, 224))
    assert shares(bands, waves(80, 224))["coarse shape"] > 0.999
    assert shares(bands, waves(30, 224))["detail"] > 0.999
    assert shares(bands, waves(8, 224))["fine texture"] > 0.999


def test_channels_share_their_bands_and_nothing_is_lost():
    bands, pictures = Bands((3, 9, 16)), torch.rand(2, 3, 9, 16).double()
    assert bands.group_names == NAMES
    torch.testing.assert_close(bands.decode(bands.encode(pictures)), pictures)
    energy = bands.by_group(bands.encode(pictures).square())
    torch.testing.assert_close(energy.sum(dim=1), pictures.square().sum(dim=(1, 2, 3)))
    brightness = pictures.mean(dim=(2, 3)).square().sum(dim=1) * 9 * 16
    torch.testing.assert_close(energy[:, 0], brightness)


def test_bands_that_a_small_picture_does_not_have_are_left_out():
    assert Bands((1, 1, 1)).group_names == ("overall brightness",)
    assert Bands((1, 2, 2)).group_names == ("overall brightness", "fine texture")
    with pytest.raises(ValueError, match="`dims` must be 1 or 2 and at most the event's 1"):
        Bands((6,))
