"""Numbers as text, and pictures on sheets."""

import base64
import io

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from trimvae.figures.drawing import image_array
from trimvae.report.drawing import drawn, each_alone, picture, plain, reduced, rounded_list, signed


def opened(url):
    kind, data = url.split(";base64,")
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


def test_numbers_have_two_decimals_and_0_has_no_sign():
    assert plain(-0.001) == plain(torch.tensor(0.0)) == "0.00"
    assert plain(-1.005) == "-1.00"
    assert signed(0.004) == signed(-0.004) == "0.00"
    assert signed(1.236) == "+1.24"
    assert signed(torch.tensor(-2.0)) == "-2.00"
    assert rounded_list(torch.tensor([[0.12345, 1.0]])) == [[0.123, 1.0]]


def test_large_images_are_averaged_to_the_size_that_is_allowed():
    images = torch.rand(2, 3, 40, 20)
    small = reduced(images, 20)
    assert small.shape == (2, 3, 20, 10)
    torch.testing.assert_close(small[0, 0, 0, 0], images[0, 0, :2, :2].mean())
    assert reduced(images, 40) is images


def test_a_small_picture_is_kept_without_loss():
    for channels, expected in ((1, "data:image/png"), (3, "data:image/webp")):
        image = torch.rand(1, channels, 40, 8)
        kind, shown = opened(picture(image, 80))
        assert kind == expected
        exact = (image[0] * 255).round().permute(1, 2, 0).expand(-1, -1, 3)
        np.testing.assert_array_equal(shown, exact.numpy())


def test_a_large_picture_loses_what_is_not_seen():
    smooth = F.interpolate(torch.rand(1, 3, 6, 6), size=(80, 80), mode="bicubic")
    kind, shown = opened(picture(smooth, 80))
    assert kind == "data:image/webp"
    error = torch.from_numpy(shown.copy()).permute(2, 0, 1) / 255 - smooth[0].clamp(0, 1)
    assert 0 < error.abs().mean() < 0.03


def test_bytes_are_those_that_figures_draw():
    for channels in (1, 2, 3):
        images = 1.4 * torch.rand(5, channels, 6, 4) - 0.2  # some beyond black and white
        expected = np.stack([(image_array(image) * 255).round() for image in images])
        np.testing.assert_array_equal(drawn(images, 80).numpy(), expected)


def test_pictures_alone_are_those_of_a_sheet():
    images = torch.rand(3, 1, 5, 5)
    assert each_alone(images, 80) == [picture(images[i : i + 1], 80) for i in range(3)]


def test_a_sheet_has_its_images_row_by_row():
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 2, 2) / 5
    _, shown = opened(picture(images, 80, columns=3))
    assert shown.shape == (4, 6, 3)
    np.testing.assert_array_equal(shown[::2, ::2, 0], [[0, 51, 102], [153, 204, 255]])


def test_a_sheet_too_long_for_webp_is_a_png():
    kind, shown = opened(picture(torch.zeros(2100, 3, 8, 8), 8))
    assert kind == "data:image/png"
    assert shown.shape == (16_800, 8, 3)
