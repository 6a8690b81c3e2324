import math

import pytest
import torch

from trimvae import VAE, fit
from trimvae.data import sprites


def test_the_grid_is_the_published_one_with_the_last_factor_fastest():
    data = sprites()
    assert len(data) == 737_280
    assert data.factor_names == ("shape", "scale", "orientation", "x", "y")
    assert data.factor_sizes == (3, 6, 40, 32, 32)
    rows = data.levels_at(torch.tensor([0, 1, 32, 1024, 737_279]))
    assert rows.tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [2, 5, 39, 31, 31],
    ]
    assert data.factor_values["scale"] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert data.factor_values["orientation"][-1] == pytest.approx(2 * math.pi)


def inside(shape: str, u: float, v: float) -> bool:
    """Whether a point, in pixels from the centre with y up, is in the shape at scale 1."""
    if shape == "square":
        return max(abs(u), abs(v)) < 10
    if shape == "ellipse":
        return (u / 6.5) ** 2 + (v / 11.5) ** 2 < 1
    u, v = u / 9, v / 9
    return (u * u + v * v - 1) ** 3 < u * u * v**3


@pytest.mark.parametrize("levels", [[0, 5, 0, 0, 31], [1, 2, 10, 16, 5], [2, 0, 33, 31, 0]])
def test_an_image_is_the_shape_pixel_by_pixel(levels):
    data = sprites()
    image = data.sample(torch.tensor([levels]))[0, 0]
    scale, angle = 0.5 + levels[1] / 10, 2 * math.pi * levels[2] / 39
    differing = 0
    for row in range(64):
        for column in range(64):
            right, down = column + 0.5 - 17 - levels[3], row + 0.5 - 17 - levels[4]
            along = (right * math.cos(angle) + down * math.sin(angle)) / scale
            across = (down * math.cos(angle) - right * math.sin(angle)) / scale
            expected = inside(("square", "ellipse", "heart")[levels[0]], along, -across)
            differing += bool(image[row, column]) != expected
    assert differing <= 2  # rounding on the outline


def test_moving_by_one_level_moves_by_one_pixel():
    left, right = sprites().sample(torch.tensor([[2, 3, 7, 4, 9], [2, 3, 7, 5, 9]]))
    assert torch.equal(left[..., :-1], right[..., 1:])


def test_images_are_binary_and_small_ones_are_means_of_four_pixels():
    factors = sprites().draw(20, generator=torch.Generator().manual_seed(0))
    large, small = sprites().sample(factors), sprites(size=32).sample(factors)
    assert set(large.unique().tolist()) == {0.0, 1.0}
    means = large.view(20, 1, 32, 2, 32, 2).mean(dim=(3, 5))
    torch.testing.assert_close(small, means)


def test_colour_is_the_first_factor_and_changes_only_the_hue():
    data = sprites(colours=6)
    assert data.factor_names[0] == "colour"
    assert len(data) == 6 * 737_280
    factors = torch.tensor([[0, 1, 2, 3, 4, 5], [2, 1, 2, 3, 4, 5]])
    red, green = data.sample(factors)
    white = sprites().sample(factors[:1, 1:])[0, 0]
    assert torch.equal(red, torch.stack([white, 0 * white, 0 * white]))
    assert torch.equal(green, torch.stack([0 * white, white, 0 * white]))


def test_a_vae_trains_on_sprites_directly():
    data = sprites(size=32).only(orientation=[0], x=[0, 16], y=[0, 16])
    vae = VAE.convolutional((1, 32, 32), latent_size=2, channels=4, hidden=8)
    history = fit(vae, None, data, prediction_weight=0, max_epochs=2, batch_size=16, progress=False)
    assert history[1]["reconstruction"] < history[0]["reconstruction"]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: sprites(size=48), "`size` must be 32 or 64"),
        (lambda: sprites(colours=0), "`colours` must be at least 1"),
    ],
)
def test_bad_arguments_are_named(act, words):
    with pytest.raises(ValueError, match=words):
        act()
