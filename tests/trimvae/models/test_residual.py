import pytest
import torch
from torch import nn
from torch.distributions import Normal
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from attributions.axes import Rotation
from attributions.penalties import Sparsity
from trimvae import IVAE, VAE, explain, fit
from trimvae.models.residual import Growth, ResidualBlock, ResidualDecoder, ResidualEncoder
from trimvae.storage import write_tensors

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


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 5), (4, 4)])
def test_growth_repeats_pixels_and_convolves_up_to_the_border(height, width):
    growth, features = Growth(3, 2).double(), torch.randn(2, 3, height, width).double()
    nn.init.normal_(growth.bias)
    repeated = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = F.conv2d(repeated, growth.weight, growth.bias, padding=1)
    torch.testing.assert_close(growth(features), expected, rtol=0, atol=1e-12)


def test_growth_keeps_what_is_even():
    grown = Growth(3, 2)(torch.ones(1, 3, 4, 4))[..., 1:-1, 1:-1]
    torch.testing.assert_close(grown, grown[..., :1, :1].expand_as(grown))


def test_growth_has_second_derivatives_by_features_and_weights():
    growth = Growth(2, 1).double()
    features = torch.randn(1, 2, 2, 3, dtype=torch.float64, requires_grad=True)

    def grown(features, weight):
        return torch.func.functional_call(growth, {"weight": weight}, (features,)).tanh()

    weight = growth.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(grown, (features, weight))
    assert torch.autograd.gradgradcheck(grown, (features, weight))


def test_widths_double_to_sixteen_times_the_first():
    encoder = ResidualEncoder((3, 256, 256), 2, channels=2, hidden=16)
    convolutions = [layer for layer in encoder.convolutions if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [2, 4, 8, 16, 32, 32]
    decoder = ResidualDecoder((3, 256, 256), 2, channels=2, hidden=16)
    grown = [layer for layer in decoder.convolutions if isinstance(layer, Growth)]
    assert [layer.out_channels for layer in grown] == [32, 16, 8, 4, 2, 3]


@pytest.mark.parametrize("side", [16, 28, 64, 100])
def test_blocks_stand_on_the_two_smallest_grids(side):
    vae, sides = VAE.residual((1, side, side), 2, **SMALL), []
    for network in (vae.encoder, vae.decoder):
        for module in network.modules():
            if isinstance(module, ResidualBlock):
                module.register_forward_pre_hook(lambda _, given: sides.append(given[0].shape[-1]))
    vae(torch.rand(1, 1, side, side))
    smallest = vae.decoder.bottom[1]
    assert sides == [2 * smallest, smallest, smallest, 2 * smallest]


@pytest.mark.parametrize("side", [28, 64, 128])
def test_a_step_takes_fewer_operations_than_one_of_burgess(side):
    def operations(vae):
        images = torch.rand(1, 3, side, side)
        with FlopCounterMode(display=False) as counter:
            vae(images).sum().backward()
        return counter.get_total_flops()

    ours, burgess = (make((3, side, side), 10) for make in (VAE.residual, VAE.convolutional))
    assert operations(ours) < operations(burgess)


def test_a_file_of_the_network_before_is_refused(tmp_path):
    """A block stood on every grid, and a convolution led past it where widths differed."""
    path, vae = tmp_path / "vae.safetensors", VAE.residual((1, 16, 16), 3, **SMALL)
    tensors = vae.state_dict()
    tensors["decoder.convolutions.0.past.weight"] = torch.zeros(1)
    texts = {"architecture": {**vae.description, "channels": 32}}
    write_tensors(path, tensors, "VAE", texts)
    with pytest.raises(ValueError, match="convolutions.* here.* version of trimvae that saved it"):
        VAE.load(path)


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
