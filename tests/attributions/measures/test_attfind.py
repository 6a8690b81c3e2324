import pytest
import torch

from attributions.measures.attfind import attribute_effects, find_attributes


def test_attfind_names_latent_and_direction():
    weight = torch.tensor([[0.0, -4.0, 0.0], [1.0, 4.0, 0.0]])
    latents = torch.zeros(6, 3)
    latents[:, 1] = -0.25
    low, high = torch.full((3,), -1.0), torch.full((3,), 1.0)
    found = find_attributes(lambda z: z @ weight.T, latents, low, high, 1, k=2, explained_by=100.0)
    assert [(item.latent, item.direction) for item in found] == [(1, 1), (0, 1)]
    assert found[0].effect == pytest.approx(5.0)
    assert found[0].flipped == 1.0
    stopped = find_attributes(lambda z: z @ weight.T, latents, low, high, 1, k=2)
    assert len(stopped) == 1  # every image has moved by 1.0
    assert find_attributes(lambda z: z @ weight.T, latents, low, high, 0) == []
    effects = attribute_effects(lambda z: z @ weight.T, latents, low, high)
    assert effects.shape == (6, 2, 3, 2)
    assert effects[0, 0, 0].tolist() == [0.0, -1.0]
    with pytest.raises(ValueError, match="`target` must be a class from 0 to 1. Got 2"):
        find_attributes(lambda z: z @ weight.T, latents, low, high, 2)


def test_attfind_of_a_binary_logit_knows_both_classes():
    low, high = torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0])
    latents = torch.full((3, 2), 0.5)
    (found,) = find_attributes(lambda z: 2 * z[:, :1], latents, low, high, 0, k=1)
    assert (found.latent, found.direction, found.effect) == (0, 0, 3.0)


def test_low_ends_are_found_and_an_image_is_dropped_once_explained():
    """Half of the images need the low end of z0, the others the high end of z1."""

    def function(z):
        rise = torch.where(z[:, 2] > 0, -5 * z[:, 0], 4 * z[:, 1])
        return torch.stack([torch.full_like(rise, 0.5), rise], dim=1)

    latents = torch.zeros(8, 3)
    latents[:4, 2], latents[4:, 2] = 1.0, -1.0
    low, high = torch.tensor([-1.0, -1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0])
    found = find_attributes(function, latents, low, high, 1)
    assert [(item.latent, item.direction) for item in found] == [(0, 0), (1, 1)]
    assert [item.flipped for item in found] == [0.5, 1.0]
    assert found[0].effect == pytest.approx(2.5)  # over all eight
    assert found[1].effect == pytest.approx(4.0)  # over the four that were left


def test_no_more_than_k_are_found_each_once_and_none_without_effect():
    weight = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 0.0]])
    latents = torch.full((3, 3), -0.5)
    ends = torch.full((3,), -1.0), torch.full((3,), 1.0)

    def function(z):
        return z @ weight.T

    found = find_attributes(function, latents, *ends, 1, k=5, explained_by=100.0)
    assert [item.latent for item in found] == [1, 0]
    assert len(find_attributes(function, latents, *ends, 1, k=1, explained_by=100.0)) == 1


def test_effects_are_those_of_one_move_each():
    network, latents = torch.nn.Linear(3, 2), torch.randn(4, 3)
    low, high = torch.full((3,), -1.0), torch.full((3,), 2.0)
    effects = attribute_effects(network, latents, low, high)
    for direction, end in enumerate((low, high)):
        for latent in range(3):
            moved = latents.clone()
            moved[:, latent] = end[latent]
            expected = network(moved) - network(latents)
            torch.testing.assert_close(effects[:, direction, latent], expected.detach())


def test_functions_in_place_move_no_latents():
    latents = torch.rand(3, 2) - 2
    before = latents.clone()
    find_attributes(lambda z: z.mul_(2), latents, torch.zeros(2), torch.ones(2), 1)
    assert torch.equal(latents, before)


def test_an_image_that_rises_by_just_what_is_asked_is_explained():
    latents = torch.full((3, 2), -3.0)
    ends = torch.full((2,), -3.0), torch.full((2,), -2.0)
    found = find_attributes(lambda z: z[:, :1] + z[:, 1:], latents, *ends, 1, explained_by=1.0)
    assert len(found) == 1


def test_classes_share_the_effects_of_all_images():
    generator = torch.Generator().manual_seed(0)
    weight, latents = torch.randn(4, 3, generator=generator), torch.randn(9, 3, generator=generator)
    low, high = -torch.ones(3), torch.ones(3)

    def function(codes):
        return codes @ weight.T

    shared = attribute_effects(function, latents, low, high)
    for target in range(4):
        found = find_attributes(function, latents, low, high, target, effects=shared)
        assert found == find_attributes(function, latents, low, high, target)
    with pytest.raises(ValueError, match=r"`effects` must have shape \(9, 2, 3\)"):
        find_attributes(function, latents, low, high, 0, effects=shared[:4])


def test_what_is_known_is_not_asked_again():
    """Of a single move the effect says all; for two the function is asked, once each."""
    weight = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    latents, ends = torch.full((4, 3), -0.5), (torch.full((3,), -1.0), torch.full((3,), 1.0))
    asked = []

    def function(z):
        asked.append(len(z))
        return z @ weight.T

    expected = find_attributes(function, latents, *ends, 1, k=3, explained_by=100.0)
    effects, outputs = attribute_effects(function, latents, *ends), function(latents)
    asked.clear()
    known = {"effects": effects, "outputs": outputs}
    assert (
        find_attributes(function, latents, *ends, 1, k=1, explained_by=100.0, **known)
        == (expected[:1])
    )
    assert asked == []
    found = find_attributes(function, latents, *ends, 1, k=3, explained_by=100.0, **known)
    assert found == expected
    assert asked == [4, 4]
    with pytest.raises(ValueError, match=r"`outputs` must have shape \(4, classes\). Got \(3, 2\)"):
        find_attributes(function, latents, *ends, 1, outputs=outputs[:3])
