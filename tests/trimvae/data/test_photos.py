import sys

import pytest
import torch
from torch.nn import functional as F

from trimvae.data.photos import (
    PHOTOGRAPHS,
    _blurred,
    _originals,
    _placed,
    _recoloured,
    photographs,
)

pytest.importorskip("skimage")

# Neither shifted, zoomed, turned, recoloured, dimmed nor blurred.
PLAIN = {"x": 3, "y": 3, "scale": 0, "rotation": 4, "hue": 0, "brightness": 2, "blur": 0}


def levels(**changed):
    data = photographs(size=32)
    return torch.tensor([[({"photograph": 0} | PLAIN | changed)[n] for n in data.factor_names]])


def picture(**changed):
    return photographs(size=32).sample(levels(**changed))[0]


def test_every_combination_is_a_picture_and_is_the_same_each_time():
    data = photographs(size=40)
    assert len(data) == 4 * 7 * 7 * 5 * 9 * 6 * 5 * 4
    assert data.event_shape == (3, 40, 40)
    rows = data.draw(32, generator=torch.Generator().manual_seed(0))
    images = data.sample(rows)
    assert images.min() >= 0
    assert images.max() <= 1
    torch.testing.assert_close(data.sample(rows[5:6]), images[5:6])
    assert len(PHOTOGRAPHS) == data.factor_sizes[0]


def test_a_picture_at_its_plain_levels_is_the_photograph():
    values = photographs().factor_values
    assert [values[name][level] for name, level in PLAIN.items()] == [0, 0, 1, 0, 0, 1, 0]
    for photograph in range(4):
        original = _originals(32)[photograph : photograph + 1]
        expected = F.interpolate(original, 32, mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(picture(photograph=photograph), expected, rtol=0, atol=1e-4)


def test_every_factor_changes_the_picture():
    for name, size in zip(photographs().factor_names, photographs().factor_sizes, strict=True):
        for level in range(size):
            if level != PLAIN.get(name, 0):
                assert (picture(**{name: level}) - picture()).abs().max() > 0.05, (name, level)


def corner(row, column):
    image = torch.zeros(1, 3, 33, 33)
    image[0, :, row, column] = 1
    return image


def brightest(image):
    return divmod(int(image[0, 0].argmax()), image.shape[-1])


@pytest.mark.parametrize(
    ("x", "y", "zoom", "turn", "place"),
    [
        (0.0, 0.0, 1.0, 0.0, (16, 26)),
        (-5 / 33, 0.0, 1.0, 0.0, (16, 21)),
        (0.0, 5 / 33, 1.0, 0.0, (21, 26)),
        (0.0, 0.0, 1.0, 90.0, (26, 16)),  # clockwise: what was at the right is below
        (0.0, 0.0, 1.5, 0.0, (16, 31)),
        (2 / 33, 0.0, 1.0, 90.0, (26, 18)),  # turned about its centre, then shifted
    ],
)
def test_a_dot_lands_where_it_is_sent(x, y, zoom, turn, place):
    values = (torch.tensor([value]) for value in (x, y, zoom))
    angle = torch.tensor([turn]).deg2rad()
    assert brightest(_placed(corner(16, 26), *values, angle, 33)) == place


def test_hues_turn_and_brightness_stays():
    images = torch.rand(2, 3, 4, 4)
    weights = torch.tensor([0.299, 0.587, 0.114])
    turned = _recoloured(images, torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(turned[0], images[0], rtol=0, atol=1e-5)
    before, after = (torch.einsum("c,nchw->nhw", weights, each) for each in (images, turned))
    torch.testing.assert_close(before, after, rtol=0, atol=1e-4)
    again = _recoloured(turned, torch.tensor([0.0, -2.0]))
    torch.testing.assert_close(again, images, rtol=0, atol=1e-4)
    grey = torch.full((1, 3, 1, 1), 0.3)
    torch.testing.assert_close(_recoloured(grey, torch.tensor([1.0])), grey, rtol=0, atol=1e-3)


def test_a_blurred_dot_is_a_gaussian_of_its_deviation_and_0_leaves_it_sharp():
    images = torch.cat([corner(16, 16), corner(16, 16)])
    blurred = _blurred(images, torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(blurred[0], images[0])
    offsets = torch.arange(33) - 16.0
    density = (-offsets.square() / 8).exp() * (offsets.abs() <= 6)
    density = density / density.sum()
    torch.testing.assert_close(blurred[1, 0], density[:, None] * density)


@pytest.mark.parametrize("size", [31, 257])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match=f"`size` must be from 32 to 256. Got {size}. Use 64"):
        photographs(size=size)


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ModuleNotFoundError, match=r"Run pip install 'trimvae\[photographs\]'"):
        photographs()
