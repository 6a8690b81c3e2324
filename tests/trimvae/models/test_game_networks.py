import pytest
import torch

from trimvae.models.game_networks import check_sides, generator, perceptron, trunk


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (2, 8, 12)])
def test_images_of_any_sides_that_halve_twice_are_drawn_and_read(shape):
    images = generator(5, shape, 4).eval()(torch.randn(3, 5))
    assert images.shape == (3, *shape)
    assert 0 < images.min() <= images.max() < 1
    assert trunk(shape, 4, features=7)(images).shape == (3, 7)


def test_sides_that_do_not_halve_twice_are_refused():
    with pytest.raises(ValueError, match="`image_shape` must have sides divisible by 4. Got"):
        check_sides((1, 8, 10))


def test_a_perceptron_has_three_layers_and_is_not_linear():
    network = perceptron(3, 16, 2)
    assert [tuple(weight.shape) for weight in network.parameters() if weight.ndim == 2] == [
        (16, 3), (16, 16), (2, 16),
    ]  # fmt: skip
    point = torch.randn(4, 3)
    middle = (network(point) + network(-point)) / 2
    assert not torch.allclose(middle, network(torch.zeros(4, 3)), atol=1e-4)
