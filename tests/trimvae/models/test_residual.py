import pytest
import torch
from torch import nn
from torch.distributions import Normal

from attributions.axes import Rotation
from attributions.penalties import Sparsity
from trimvae import IVAE, VAE, explain, fit
from trimvae.models.residual import ResidualBlock, ResidualDecoder, ResidualEncoder

SMALL = {"channels": 4, "hidden": 16}


@pytest.mark.parametrize(
    "shape", [(1, 16, 16), (3, 33, 20), (4, 32, 32), (2, 16, 100), (3, 100, 64), (1, 256, 256)]
)
def test_pictures_of_any_size_go_in_and_come_out(shape):
    vae = VAE.residual(shape, 5, **SMALL)
    posterior = vae.encode(torch.rand(2, *shape))
    assert isinstance(posterior, Normal)
    assert posterior.mean.shape == (2, 5)
    reconstructions = vae.decode(posterior.mean)
    assert reconstructions.shape == (2, *shape)
    assert reconstructions.is_contiguous()
    assert 0 <= reconstructions.min() <= reconstructions.max() <= 1


def test_a_block_starts_as_what_it_is_added_to():
    block = VAE.residual((1, 32, 32), 2, **SMALL).decoder.convolutions[0]
    assert isinstance(block, ResidualBlock)
    features = torch.randn(2, 16, 4, 4)
    assert torch.equal(block(features), features)
    nn.init.ones_(block.layers[-1].weight)
    assert not torch.equal(block(features), features)


def test_another_width_is_led_past_a_block():
    block = ResidualBlock(6, 4)
    features = torch.randn(2, 6, 3, 3)
    expected = block.past(features) + block.layers(features)
    torch.testing.assert_close(block(features), expected)
    assert block.layers[0].num_groups == 2


def test_widths_double_to_four_times_the_first():
    encoder = ResidualEncoder((3, 64, 64), 2, channels=8, hidden=16)
    convolutions = [layer for layer in encoder.convolutions if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [8, 16, 32, 32]
    decoder = ResidualDecoder((3, 64, 64), 2, channels=8, hidden=16)
    convolutions = [layer for layer in decoder.convolutions if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 16, 8, 3]


def test_activations_keep_their_variance_through_the_layers():
    decoder = ResidualDecoder((3, 64, 64), 10, channels=16)
    assert 0.1 < decoder(torch.randn(64, 10)).std() < 10


def test_an_example_is_drawn_alike_in_any_company():
    vae, latents = VAE.residual((1, 20, 20), 3, **SMALL), torch.randn(4, 3)
    torch.testing.assert_close(vae.decode(latents)[:1], vae.decode(latents[:1]))
    images = vae.decode(latents).detach()
    torch.testing.assert_close(vae.encode(images).mean[:1], vae.encode(images[:1]).mean)


def test_the_decoder_has_second_derivatives():
    decoder = ResidualDecoder((1, 16, 16), 2, channels=2, hidden=4).double()
    for module in decoder.modules():  # as after training, not as at its start
        if isinstance(module, ResidualBlock):
            nn.init.normal_(module.layers[-1].weight, std=0.1)
    latents = torch.randn(1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda z: decoder(z).tanh().mean(dim=(2, 3)), latents)


def test_it_is_saved_turned_and_read_like_any_vae(tmp_path):
    vae = VAE.residual((3, 20, 16), 3, **SMALL, likelihood="laplace", scale=0.2)
    turned = vae.with_axes(Rotation(3, matrix=torch.eye(3).flip(0)))
    turned.save(tmp_path / "vae.safetensors")
    loaded, latents = VAE.load(tmp_path / "vae.safetensors"), torch.randn(2, 3)
    assert loaded.description == turned.description
    assert loaded.description["kind"] == "residual"
    torch.testing.assert_close(loaded.decode(latents), vae.decode(latents.flip(1)))


def test_it_is_trained_with_penalties_resumed_and_explained(tmp_path):
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(256, 3))
    images = torch.rand(32, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    options = {"penalties": [Sparsity()], "schedule": "constant", "progress": False}

    def made():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return VAE.residual((1, 16, 16), 3, **SMALL)

    once, twice = made(), made()
    fit(once, predictor, images, max_epochs=2, **options)
    fit(twice, predictor, images, max_epochs=1, checkpoint_dir=tmp_path, **options)
    fit(twice, predictor, images, max_epochs=2, checkpoint_dir=tmp_path, resume=True, **options)
    for left, right in zip(once.parameters(), twice.parameters(), strict=True):
        assert torch.equal(left, right)
    explanation = explain(once, predictor, images[:4])
    assert explanation.metrics["completeness_error"] < 0.02


@pytest.mark.parametrize("shape", [(3, 15, 32), (3, 32, 257), (0, 32, 32), (32, 32)])
def test_other_sizes_are_refused(shape):
    with pytest.raises(ValueError, match="`image_shape` must be .* with sizes from 16 to 256"):
        VAE.residual(shape, 2)


def test_an_ivae_is_told_how():
    with pytest.raises(TypeError, match="`residual` must be asked of VAE. Got IVAE"):
        IVAE.residual((1, 16, 16), 2)
    plain = VAE.residual((1, 16, 16), 2, **SMALL)
    ivae = IVAE(plain.encoder, plain.decoder, 2, n_contexts=3)
    assert ivae.encode(torch.rand(2, 1, 16, 16)).mean.shape == (2, 2)
