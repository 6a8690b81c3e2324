"""Numbers as text, and pictures on sheets."""

import base64
import io

import numpy as np
import torch
from PIL import Image

from trimvae.report.drawing import picture, plain, reduced, rounded_list, signed


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
    image = torch.rand(1, 1, 8, 8)
    kind, drawn = opened(picture(image, 80))
    assert kind == "data:image/webp"
    expected = (image[0, 0] * 255).round().numpy()
    np.testing.assert_array_equal(drawn[..., 0], expected)


def test_a_sheet_has_its_images_row_by_row():
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 2, 2) / 5
    _, drawn = opened(picture(images, 80, columns=3))
    assert drawn.shape == (4, 6, 3)
    np.testing.assert_array_equal(drawn[::2, ::2, 0], [[0, 51, 102], [153, 204, 255]])


def test_a_sheet_too_long_for_webp_is_a_png():
    kind, drawn = opened(picture(torch.zeros(2100, 1, 8, 8), 8))
    assert kind == "data:image/png"
    assert drawn.shape == (16_800, 8, 3)
