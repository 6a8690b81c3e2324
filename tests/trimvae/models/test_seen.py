import copy

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from attributions.axes import Chain, Flow, Linear, Rotation
from attributions.codes import Block
from attributions.replicas import frozen
from attributions.turned import TurnedNormal
from tests.attributions.axes.made import moved, orthogonal
from tests.trimvae.models.cases import small
from trimvae import IVAE, VAE
from trimvae.objectives import kl, reconstruction

SIZE = 4


def a_vae(**options) -> VAE:
    torch.manual_seed(0)
    return VAE.dense((6,), SIZE, hidden=(8,), **options).double()


def some_axes() -> dict:
    latents = torch.randn(50, SIZE).double() @ torch.randn(SIZE, SIZE).double() + 1
    return {
        "rotation": Rotation(SIZE, matrix=orthogonal(SIZE)),
        "linear": Linear.fitted(latents).turned(orthogonal(SIZE)),
        "flow": moved(Flow(SIZE, matrix=orthogonal(SIZE)), 0.1),
        "grouped": Rotation(SIZE, [(0, 2)], torch.tensor(_SWAP)),
    }


_SWAP = [[0.0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]


@pytest.fixture(params=["rotation", "linear", "flow", "grouped"])
def axes(request):
    return some_axes()[request.param]


@pytest.fixture
def inputs():
    return torch.randn(5, 6).double()


def test_it_draws_the_same_and_is_seen_along_the_axes(axes, inputs):
    vae = a_vae()
    turned = vae.with_axes(axes)
    assert isinstance(turned, VAE)
    latents, seen = vae.encode(inputs).mean, turned.encode(inputs).mean
    torch.testing.assert_close(seen, axes(latents))
    torch.testing.assert_close(turned.decode(seen), vae.decode(latents))
    torch.testing.assert_close(turned.observe(seen).mean, vae.observe(latents).mean)
    torch.testing.assert_close(turned(inputs), vae(inputs))


def test_elbo_and_samples_are_those_of_the_unturned_vae(axes, inputs):
    vae = a_vae()
    turned = vae.with_axes(axes)
    assert torch.equal(kl(turned.encode(inputs), turned.prior), kl(vae.encode(inputs), vae.prior))
    torch.manual_seed(1)
    latents = vae.encode(inputs).rsample()
    torch.manual_seed(1)
    seen = turned.encode(inputs).rsample()
    torch.testing.assert_close(seen, axes(latents))
    torch.testing.assert_close(
        reconstruction(inputs, turned.observe(seen)), reconstruction(inputs, vae.observe(latents))
    )
    torch.manual_seed(1)
    drawn = turned.prior.sample((3,))
    torch.manual_seed(1)
    torch.testing.assert_close(drawn, axes(vae.prior.sample((3,))))


def test_a_rotated_prior_is_the_standard_normal_and_a_whitened_one_is_not():
    vae = a_vae()
    rotated = vae.with_axes(some_axes()["rotation"])
    assert isinstance(rotated.prior, TurnedNormal)
    torch.testing.assert_close(rotated.prior.covariance_matrix, torch.eye(SIZE).double())
    assert not rotated.baseline(2).any()
    axes = some_axes()["linear"]
    linear = vae.with_axes(axes)
    expected = axes.matrix @ axes.matrix.T
    torch.testing.assert_close(linear.prior.covariance_matrix, expected)
    start = linear.baseline(2)
    torch.testing.assert_close(start, axes(torch.zeros(2, SIZE).double()))
    torch.testing.assert_close(linear.decode(start), vae.decode(torch.zeros(2, SIZE).double()))


def test_the_posteriors_covariance_is_that_of_the_turned_one(inputs):
    vae, axes = a_vae(), some_axes()["rotation"]
    base = vae.encode(inputs)
    expected = axes.matrix @ torch.diag_embed(base.variance) @ axes.matrix.T
    torch.testing.assert_close(vae.with_axes(axes).encode(inputs).covariance_matrix, expected)


def test_neither_the_vae_nor_the_axes_given_change(axes, inputs):
    vae = a_vae()
    before, named = copy.deepcopy(vae.state_dict()), copy.deepcopy(axes.state_dict())
    turned = vae.with_axes(axes)
    with torch.no_grad():
        for parameter in turned.parameters():
            parameter.add_(1)
    assert vae.axes is None
    assert type(vae.encode(inputs)) is Normal
    for name, tensor in before.items():
        assert torch.equal(tensor, vae.state_dict()[name])
    for name, tensor in named.items():
        assert torch.equal(tensor, axes.state_dict()[name])


def test_unturned_it_is_along_its_own_latents_with_the_same_weights(axes, inputs):
    vae = a_vae()
    turned = vae.with_axes(axes)
    plain = turned.unturned
    assert plain.axes is None
    assert turned.axes is not None
    assert torch.equal(plain.encode(inputs).mean, vae.encode(inputs).mean)
    assert plain.encoder is turned.encoder
    assert {id(one) for one in plain.parameters()} < {id(one) for one in turned.parameters()}
    assert vae.unturned is vae


def test_axes_come_off_and_further_ones_come_after(inputs):
    vae, axes, other = a_vae(), some_axes()["linear"], some_axes()["rotation"]
    off = vae.with_axes(axes).with_axes(None)
    assert off.axes is None
    assert torch.equal(off.encode(inputs).mean, vae.encode(inputs).mean)
    twice = vae.with_axes(axes).with_axes(other)
    assert isinstance(twice.axes, Chain)
    latents = vae.encode(inputs).mean
    torch.testing.assert_close(twice.encode(inputs).mean, other(axes(latents)))
    torch.testing.assert_close(twice.decode(other(axes(latents))), vae.decode(latents))


def test_names_are_those_of_axes_where_latents_are_mixed():
    vae = a_vae()
    assert vae.latent_names is None
    grouped = some_axes()["grouped"]
    assert vae.with_axes(grouped).latent_names == ("axis0", "z1", "axis2", "z3")
    vae.latent_names = ("a", "b", "c", "d")
    turned = vae.with_axes(grouped)
    assert turned.latent_names == ("axis0", "b", "axis2", "d")
    assert turned.with_axes(None).latent_names == ("a", "b", "c", "d")


def test_figures_of_the_axes_come_along():
    axes = Rotation(SIZE)
    axes.figures = {"held_out": 0.5}
    assert a_vae().with_axes(axes).axes.figures == {"held_out": 0.5}


def test_it_is_saved_with_its_axes_and_read_again(axes, inputs, tmp_path):
    turned = a_vae().float().with_axes(axes)
    inputs = inputs.float()
    turned.save(tmp_path / "vae.safetensors")
    again = VAE.load(tmp_path / "vae.safetensors")
    assert again.axes.description == turned.axes.description
    assert torch.equal(again.encode(inputs).mean, turned.encode(inputs).mean)
    assert torch.equal(again.encode(inputs).stddev, turned.encode(inputs).stddev)
    latents = torch.randn(3, SIZE)
    assert torch.equal(again.decode(latents), turned.decode(latents))


def test_weights_of_a_turned_vae_are_read_into_one_of_the_same_axes_alone(axes, inputs, tmp_path):
    turned = a_vae().with_axes(axes)
    turned.save(tmp_path / "vae.safetensors")
    torch.manual_seed(7)
    plain = VAE.dense((6,), SIZE, hidden=(8,)).double()
    other = plain.with_axes(type(axes)(SIZE, axes.groups))
    other.load_weights(tmp_path / "vae.safetensors")
    assert torch.equal(other.encode(inputs).mean, turned.encode(inputs).mean)
    with pytest.raises(
        ValueError, match=r"must hold weights of the same architecture.*axes\.angles"
    ):
        plain.load_weights(tmp_path / "vae.safetensors")


def test_a_layer_saved_for_another_size_is_refused(tmp_path):
    path = tmp_path / "vae.safetensors"
    a_vae().with_axes(Rotation(SIZE)).save(path)
    with pytest.raises(ValueError, match="must hold weights of the same architecture"):
        VAE.dense((6,), 3, hidden=(8,)).with_axes(Rotation(3)).load_weights(path)


def test_a_file_of_a_vae_without_axes_says_nothing_of_any(tmp_path):
    vae = a_vae().float()
    assert "axes" not in vae.description
    vae.save(tmp_path / "vae.safetensors")
    again = VAE.load(tmp_path / "vae.safetensors")
    assert again.axes is None
    assert again.description == vae.description
    assert not any(name.startswith("axes") for name in vae.state_dict())


def test_an_ivae_keeps_its_conditional_prior_and_posterior(axes, inputs, tmp_path):
    contexts = torch.tensor([0, 1, 2, 3, 0])
    for options in ({}, {"conditional_posterior": True, "prior_mean": True}):
        torch.manual_seed(0)
        ivae = IVAE.dense((6,), SIZE, n_contexts=4, hidden=(8,), **options)
        nn.init.normal_(ivae.prior_network.weight)
        ivae, turned = ivae.double(), ivae.double().with_axes(axes)
        posterior, prior = turned.encode(inputs, contexts), turned.prior_given(contexts)
        base, base_prior = ivae.encode(inputs, contexts), ivae.prior_given(contexts)
        torch.testing.assert_close(posterior.mean, axes(base.mean))
        torch.testing.assert_close(prior.mean, axes(base_prior.mean))
        assert torch.equal(kl_divergence(posterior, prior), kl_divergence(base, base_prior))
        assert turned.posterior_given(inputs, contexts).stddev.shape == (5, SIZE)
        turned = turned.float()
        turned.save(tmp_path / "ivae.safetensors")
        again = IVAE.load(tmp_path / "ivae.safetensors")
        found = again.encode(inputs.float(), contexts).mean
        torch.testing.assert_close(found, turned.encode(inputs.float(), contexts).mean)
    assert small().unturned.axes is None


def test_a_vae_of_ones_own_modules_can_be_turned_and_its_weights_saved(inputs, tmp_path):
    def own() -> VAE:
        return VAE(nn.Linear(6, 2 * SIZE), nn.Linear(SIZE, 6), SIZE, likelihood="gaussian").double()

    turned = own().with_axes(some_axes()["linear"])
    turned.save(tmp_path / "vae.safetensors")
    again = own().with_axes(Linear(SIZE)).load_weights(tmp_path / "vae.safetensors")
    assert torch.equal(again.encode(inputs).mean, turned.encode(inputs).mean)
    with pytest.raises(ValueError, match="`path` must hold a ready-made VAE"):
        VAE.load(tmp_path / "vae.safetensors")


def test_a_replica_is_turned_as_the_original(axes, inputs):
    turned = a_vae().with_axes(axes)
    replica = frozen(turned)
    assert torch.equal(replica.encode(inputs).mean, turned.encode(inputs).mean)
    assert torch.equal(replica.unturned.encode(inputs).mean, turned.unturned.encode(inputs).mean)
    assert not kl_divergence(replica.prior, turned.prior).any()


def test_mixed_precision_is_for_layers_and_not_for_axes(axes):
    turned, inputs = a_vae().float().with_axes(axes), torch.randn(5, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        posterior = turned.encode(inputs)
        assert posterior.mean.dtype == posterior.stddev.dtype == torch.float32
        assert turned.decode(posterior.mean).dtype == torch.float32


def test_axes_that_do_not_fit_are_refused():
    vae = a_vae()
    with pytest.raises(ValueError, match="`axes` must be of the code's 4 latents. Got axes of 5"):
        vae.with_axes(Rotation(5))
    with pytest.raises(TypeError, match="`axes` must be a layer of attributions.axes. Got Tensor"):
        vae.with_axes(torch.eye(SIZE))
    unknown = VAE(nn.Linear(6, 4), nn.Linear(2, 6), likelihood="gaussian")
    with pytest.raises(RuntimeError, match="`latent_size` must be known first"):
        unknown.with_axes(Rotation(2))
    vae.blocks = (Block("size", 0, 2), Block("place", 2, 4))
    vae.with_axes(Rotation(SIZE, [(0, 1), (2, 3)]))
    with pytest.raises(ValueError, match="`axes` must mix latents within one block"):
        vae.with_axes(Rotation(SIZE))


def test_a_vae_of_one_latent_can_be_turned():
    vae = VAE.dense((6,), 1, hidden=(8,))
    turned = vae.with_axes(Rotation(1, matrix=-torch.eye(1)))
    inputs = torch.randn(5, 6)
    torch.testing.assert_close(turned.encode(inputs).mean, -vae.encode(inputs).mean)
    torch.testing.assert_close(turned.encode(inputs).stddev, vae.encode(inputs).stddev)
