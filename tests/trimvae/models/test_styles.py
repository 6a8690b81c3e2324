import pytest
import torch
from torch import nn

from tests.trimvae.models.cases import SHAPE, stylegan
from trimvae.models.styles import StyledConvolution


def test_a_modulated_convolution_does_not_depend_on_the_scale_of_its_styles():
    torch.manual_seed(0)
    layer = StyledConvolution(3, 5, w_dim=2)
    images, latents = torch.randn(4, 3, 6, 6), torch.randn(4, 2)
    drawn = layer(images, latents)
    with torch.no_grad():
        layer.affine.weight.mul_(10)
        layer.affine.bias.mul_(10)
    torch.testing.assert_close(layer(images, latents), drawn, atol=1e-5, rtol=1e-4)
    # The equation itself, with weights for each example.
    styles = layer.affine(latents)
    weight = layer.convolution.weight * layer.convolution.scale
    each = weight * styles[:, None, :, None, None]
    each = each / (each.pow(2).sum(dim=(2, 3, 4), keepdim=True) + 1e-8).sqrt()
    expected = torch.cat(
        [nn.functional.conv2d(images[i : i + 1], each[i], padding=1) for i in range(4)]
    )
    torch.testing.assert_close(drawn, expected, atol=1e-5, rtol=1e-4)


def test_adaptive_normalisation_sets_each_channels_deviation():
    layer = StyledConvolution(3, 5, w_dim=2, style="adain")
    drawn = layer(torch.randn(4, 3, 6, 6), torch.randn(4, 2) * 0)
    torch.testing.assert_close(
        drawn.std(dim=(2, 3), unbiased=False), torch.ones(4, 5), atol=1e-4, rtol=0
    )


def test_a_style_swapped_from_a_layer_on_leaves_those_below_as_they_were():
    synthesis = stylegan().synthesis
    one, other = torch.randn(2, 3, synthesis.num_ws, 4)
    for layer in range(1, synthesis.num_ws - 1):
        swapped = torch.cat([one[:, :layer], other[:, layer:]], dim=1)
        before, after = [], []
        synthesis(one, features=before)
        synthesis(swapped, features=after)
        assert all(torch.equal(*pair) for pair in zip(before[:layer], after[:layer], strict=True))
        assert not torch.equal(before[layer], after[layer])


def test_noise_is_fixed_unless_a_generator_draws_it():
    synthesis = stylegan().synthesis
    with torch.no_grad():
        synthesis.noise_strengths.fill_(1.0)
    latents = torch.randn(2, synthesis.num_ws, 4)
    assert torch.equal(synthesis(latents), synthesis(latents))
    drawn = synthesis(latents, torch.Generator().manual_seed(0))
    assert not torch.equal(drawn, synthesis(latents))


@pytest.mark.parametrize("style", ["modulation", "adain"])
def test_styles_are_what_every_layer_makes_of_the_vector_it_reads(style):
    synthesis = stylegan(style=style).synthesis
    latents = torch.randn(2, synthesis.num_ws, 4)
    styles = synthesis.styles(latents)
    assert [layer.size for layer in synthesis.layers] == [part.shape[1] for part in styles]
    assert torch.equal(synthesis.styled(styles), synthesis(latents))
    # Colours read the vector that the next scale's first convolution reads.
    assert [layer.reads for layer in synthesis.layers] == [0, 1, 1, 2, 3]
    assert [layer.level for layer in synthesis.layers] == [4, 4, 8, 8, 8]
    for part, layer in zip(styles, synthesis.layers, strict=True):
        assert torch.equal(part, layer.affine(latents[:, layer.reads]))


def test_a_score_depends_on_its_batch_and_features_do_not():
    discriminator = stylegan().discriminator
    images = torch.rand(4, *SHAPE)
    alone = torch.cat([discriminator.blocks(image[None]) for image in images])
    torch.testing.assert_close(discriminator.blocks(images), alone, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(discriminator(images)[:1], discriminator(images[:1]))
