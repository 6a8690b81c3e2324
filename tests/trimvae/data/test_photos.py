import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attributions.methods.shapley import exact_shapley
from trimvae import explain
from trimvae.data.photos import (
    CHANGES,
    PHOTOGRAPHS,
    Rendering,
    _blurred,
    _originals,
    _placed,
    _recoloured,
    photographs,
)
from trimvae.models import fit_inverter, invert

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
    blurred = _blurred(images, torch.tensor([0.0, 2.0]), 6)
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


def code_and_latents(n=3, size=32):
    code = Rendering("cat", size=size).double()
    return code, code.draw(n, torch.Generator().manual_seed(0))


def test_a_rendering_decodes_to_what_the_data_set_renders_at_the_same_factors():
    data = photographs(size=40)
    for index, name in enumerate(PHOTOGRAPHS):
        rows = data.draw(24, fixed={"photograph": index})
        columns = zip(list(data.factor_values.values())[1:], rows[:, 1:].T, strict=True)
        factors = torch.stack([torch.tensor(values)[column] for values, column in columns], dim=1)
        code = Rendering(name, size=40)
        drawn = code.decode(code.latents_at(factors))
        torch.testing.assert_close(drawn, data.sample(rows), rtol=0, atol=1e-4)


def test_at_0_a_rendering_is_the_photograph_and_factors_and_latents_are_inverse():
    code, latents = code_and_latents(200)
    plain = photographs(size=32).sample(levels()).double()
    torch.testing.assert_close(code.decode(code.baseline()), plain, rtol=0, atol=1e-5)
    torch.testing.assert_close(code.latents_at(code.factors_at(latents)), latents)
    unchanged = torch.tensor([[0, 0, 1, 0, 0, 1, 0]], dtype=torch.float64)
    torch.testing.assert_close(code.factors_at(code.baseline()), unchanged)


def test_a_latent_of_1_is_a_deviation_of_what_is_drawn_from_the_published_range():
    code, latents = code_and_latents(20000)
    assert latents.dtype == torch.float64
    assert (latents.std(dim=0) - 1).abs().max() < 0.03
    factors = code.factors_at(latents)
    values = list(photographs(size=32).factor_values.values())[1:]
    for column, (name, published) in enumerate(zip(CHANGES, values, strict=True)):
        lowest, highest = (-90, 90) if name == "hue" else (min(published), max(published))
        span = highest - lowest
        assert lowest <= factors[:, column].min() < lowest + 0.01 * span
        assert highest >= factors[:, column].max() > highest - 0.01 * span


def test_decoding_has_the_derivatives_of_finite_differences():
    code, latents = code_and_latents(2)
    seen = torch.randn(3 * 32 * 32, 4, dtype=torch.float64)

    def summed(latents):
        return code.decode(latents).flatten(1) @ seen

    assert torch.autograd.gradcheck(summed, latents.requires_grad_(), eps=1e-7, atol=1e-3)


def test_blur_is_even_and_leaves_the_picture_sharp_at_0_without_a_kink():
    code, latents = code_and_latents(2)
    other = latents.clone()
    other[:, -1] *= -1
    assert torch.equal(code.decode(latents), code.decode(other))
    sharp = code.baseline().requires_grad_()
    (gradient,) = torch.autograd.grad(code.decode(sharp).square().sum(), sharp)
    assert gradient.isfinite().all()
    assert gradient[0, -1] == 0


def test_an_encoder_is_asked_and_its_blur_counted_from_0_up():
    code, latents = code_and_latents(2)
    with pytest.raises(RuntimeError, match="`encoder` must be there to encode. Got none. Set"):
        code.encode(code.decode(latents))
    code.encoder = lambda pictures: -pictures[:, 0, 0, :7]
    pictures = code.decode(latents)
    expected = -pictures[:, 0, 0, :7]
    expected[:, -1] *= -1
    assert torch.equal(code.encode(pictures), expected)


@pytest.mark.slow
def test_what_changes_a_picture_is_read_back_by_a_network_and_a_search():
    code = Rendering("cat", size=32)
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    network = fit_inverter(code, code.image_shape, 7, n_steps=120, generator=generator)
    latents = code.draw(32, generator)
    pictures = code.decode(latents)
    near = network(pictures).detach()
    found = invert(code.decode, pictures, near, n_steps=80, learning_rate=0.1, warn_above=None)
    missed = [(each - latents)[:, :6].abs().median() for each in (near, found.latents)]
    assert missed[0] < 0.7  # about 0.9 at the middle of what is drawn
    assert missed[1] < 0.1
    assert found.error.median() < 0.1


def test_an_explanation_says_what_each_change_costs():
    code = Rendering("cat", size=32)
    latents = code.draw(3, torch.Generator().manual_seed(0)) * torch.eye(7)[[2, 3, 5]]
    code.encoder = lambda pictures: latents.repeat(len(pictures), 1)[: len(pictures)]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(196, 2))
    pictures = code.decode(latents)
    explanation = explain(code, network, pictures, method=exact_shapley, check_parts=False)
    assert explanation.latent_names == CHANGES
    assert explanation.metrics["agreement"] == 1
    outputs, plain = network(pictures), network(code.decode(code.baseline()))
    cost = (outputs - plain) - (outputs - plain).mean(dim=1, keepdim=True)
    # Each picture was changed in one way, so that this one has all of it.
    for row, column in enumerate((2, 3, 5)):
        expected = torch.zeros(2, 7)
        expected[:, column] = cost[row]
        torch.testing.assert_close(explanation.attributions[row], expected, rtol=1e-3, atol=1e-5)


def test_photographs_that_are_none_and_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"`photograph` must be one of .* Got 'dog'. Use 'cat'"):
        Rendering("dog")
    with pytest.raises(ValueError, match="`size` must be from 32 to 256. Got 16. Use 64"):
        Rendering("cat", size=16)
