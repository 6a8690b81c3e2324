from typing import Any

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from attributions import Trim
from attributions.axes import Chain, Linear, Rotation
from attributions.codes import Block, baseline_of, encode
from attributions.replicas import frozen
from attributions.transforms import Identity, PrincipalComponents
from attributions.turned import (
    AlongAxes,
    TurnedNormal,
    along,
    axis_names,
    check_axes,
    without_axes,
)
from tests.attributions.axes.made import (
    KINDS,
    SIZE,
    UNTOUCHED,
    correlated,
    layers,
    orthogonal,
)
from tests.cases import smooth_decoder, smooth_predictor


@pytest.fixture(params=KINDS)
def axes(request):
    return layers()[request.param]


def posterior(*shape: int) -> Normal:
    shape = shape or (4, SIZE)
    return Normal(torch.randn(shape).double(), torch.rand(shape).double() + 0.1)


class Certain(nn.Module):
    """A code of a table of 6 columns, whose latents are a tensor, in three blocks."""

    blocks = (
        Block("kind", 0, 2, "categorical"),
        Block("real", 2, 5),
        Block("noise", 5, 6, "noise"),
    )
    latent_names = ("a", "b", "c", "d", "e", "noise")

    def __init__(self, size: int = SIZE) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.encoder = nn.Linear(6, size).double()
        self.decoder = smooth_decoder(size)

    def encode(self, inputs: Tensor) -> Any:
        return self.encoder(inputs)

    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)


class Uncertain(Certain):
    """The same without blocks, with a posterior."""

    blocks = ()

    def encode(self, inputs: Tensor) -> Normal:
        return Normal(self.encoder(inputs), 0.3 + self.encoder(inputs).sigmoid())


# --- the posterior


@pytest.mark.parametrize("kind", ["rotation", "linear"])
def test_mean_covariance_and_deviations_are_those_of_a_matrix_times_a_normal(kind):
    axes, base = layers()[kind], posterior()
    turned, matrix = TurnedNormal(base, axes), axes.matrix
    expected = matrix @ torch.diag_embed(base.variance) @ matrix.T
    torch.testing.assert_close(turned.covariance_matrix, expected)
    torch.testing.assert_close(turned.variance, expected.diagonal(dim1=1, dim2=2))
    offset = axes(torch.zeros(1, SIZE).double())
    torch.testing.assert_close(turned.mean, base.mean @ matrix.T + offset)


@pytest.mark.parametrize("kind", ["rotation", "linear"])
def test_moments_are_those_of_many_samples(kind):
    turned = TurnedNormal(posterior(SIZE), layers()[kind])
    samples = turned.sample((200_000,))
    deviation = turned.stddev
    scale = deviation.unsqueeze(0) * deviation.unsqueeze(1)
    # Of a correlation from 200,000 samples: a standard error of 0.002 to 0.003.
    off = (samples.T.cov() - turned.covariance_matrix) / scale
    assert off.abs().max() < 0.02
    assert ((samples.mean(dim=0) - turned.mean) / deviation).abs().max() < 0.02


def test_along_a_flow_moments_are_those_near_a_narrow_posterior():
    base = posterior(SIZE)
    narrow = TurnedNormal(Normal(base.mean, 1e-3 * base.stddev), layers()["flow"])
    samples = narrow.sample((100_000,))
    assert (samples.std(dim=0) / narrow.stddev - 1).abs().max() < 0.02
    assert ((samples.mean(dim=0) - narrow.mean) / narrow.stddev).abs().max() < 0.02


def test_samples_are_those_of_the_latents_mapped(axes):
    base = posterior()
    turned = TurnedNormal(base, axes)
    for draw in ("sample", "rsample"):
        torch.manual_seed(3)
        mapped = getattr(turned, draw)((2,))
        torch.manual_seed(3)
        assert torch.equal(mapped, axes(getattr(base, draw)((2,))))
    assert not turned.sample().requires_grad
    mean = torch.zeros(SIZE).double().requires_grad_()
    drawn = TurnedNormal(Normal(mean, torch.ones(SIZE).double()), axes).rsample()
    torch.autograd.grad(drawn.sum(), mean)


@pytest.mark.parametrize("shape", [(4, SIZE), (SIZE,)], ids=str)
def test_the_kl_is_that_of_the_latents_whatever_the_axes(axes, shape):
    base, prior = posterior(4, SIZE), posterior(*shape)
    found = kl_divergence(TurnedNormal(base, axes), TurnedNormal(prior, axes))
    assert torch.equal(found, kl_divergence(base, prior))


@pytest.mark.parametrize("kind", ["rotation", "linear"])
def test_the_kl_summed_is_that_of_two_normals_with_their_covariances(kind):
    axes = layers()[kind]
    one, other = TurnedNormal(posterior(), axes), TurnedNormal(posterior(), axes)
    whole = [
        torch.distributions.MultivariateNormal(each.mean, each.covariance_matrix)
        for each in (one, other)
    ]
    torch.testing.assert_close(kl_divergence(one, other).sum(dim=1), kl_divergence(*whole))


def test_a_kl_across_axes_is_refused():
    base, axes = posterior(), layers()["rotation"]
    turned, again = TurnedNormal(base, axes), TurnedNormal(base, frozen(axes))
    assert not kl_divergence(turned, again).any()  # the same axes, kept twice
    with pytest.raises(ValueError, match="`prior` must be seen along the axes of the posterior. G"):
        kl_divergence(turned, TurnedNormal(base, Rotation(SIZE)))
    with pytest.raises(ValueError, match="one of the two along axes, and the other not"):
        kl_divergence(turned, base)
    with pytest.raises(ValueError, match="one of the two along axes, and the other not"):
        kl_divergence(base, turned)


def test_densities_and_entropies_are_those_of_the_marginals(axes):
    turned = TurnedNormal(posterior(), axes)
    marginal = Normal(turned.mean, turned.covariance_matrix.diagonal(dim1=1, dim2=2).sqrt())
    points = torch.randn(4, SIZE).double()
    torch.testing.assert_close(turned.log_prob(points), marginal.log_prob(points))
    torch.testing.assert_close(turned.entropy(), marginal.entropy())
    torch.testing.assert_close(turned.cdf(points), marginal.cdf(points))


def test_it_has_the_shapes_of_the_normal_that_it_is_made_of(axes):
    base = posterior()
    turned = TurnedNormal(base, axes)
    assert turned.batch_shape == base.batch_shape
    assert turned.event_shape == base.event_shape
    wide = turned.expand((3, 4, SIZE))
    assert wide.mean.shape == wide.stddev.shape == wide.sample().shape == (3, 4, SIZE)
    torch.testing.assert_close(wide.stddev[1], turned.stddev)
    assert turned.covariance_matrix.shape == (4, SIZE, SIZE)
    assert repr(turned).startswith("TurnedNormal(")


def test_deviations_of_what_is_in_no_group_are_their_own():
    base = Normal(torch.randn(4, SIZE), torch.rand(4, SIZE) + 0.1)
    for axes in layers().values():
        turned = TurnedNormal(base, axes)
        assert torch.equal(turned.stddev[:, UNTOUCHED], base.stddev[:, UNTOUCHED])
        assert turned.stddev.dtype == turned.mean.dtype == torch.float32


def test_turned_twice_it_is_turned_once_along_both():
    base, first, then = posterior(), layers()["rotation"], layers()["linear"]
    twice = TurnedNormal(TurnedNormal(base, first), then)
    assert twice.base is base
    torch.testing.assert_close(twice.mean, then(first(base.mean)))
    matrix = then.matrix @ first.matrix
    expected = matrix @ torch.diag_embed(base.variance) @ matrix.T
    torch.testing.assert_close(twice.covariance_matrix, expected)


# --- the code


@pytest.mark.parametrize("kind", ["rotation", "linear", "flow"])
def test_a_code_draws_the_same_and_is_encoded_along_the_axes(kind):
    axes, inputs = layers()[kind], torch.randn(5, 6).double()
    for code in (Certain(), Uncertain()):
        code.blocks = ()
        seen = AlongAxes(code, axes)
        latents, coordinates = encode(code, inputs).latents, encode(seen, inputs).latents
        torch.testing.assert_close(coordinates, axes(latents))
        torch.testing.assert_close(seen.decode(coordinates), code.decode(latents))
    assert isinstance(AlongAxes(Uncertain(), axes).encode(inputs), TurnedNormal)


@pytest.mark.parametrize("kind", ["rotation", "linear"])
@pytest.mark.parametrize("make", [Certain, Uncertain])
def test_integrated_gradients_are_the_turned_path_and_gradient_and_sum_to_the_same(kind, make):
    axes = {
        "rotation": Rotation(SIZE, matrix=orthogonal(SIZE)),
        "linear": Linear.fitted(correlated()).turned(orthogonal(SIZE)),
    }[kind]
    code, predictor, inputs = make(), smooth_predictor(), torch.randn(5, 6).double()
    code.blocks = ()
    seen = AlongAxes(code, axes)
    latents, coordinates = (encode(each, inputs).latents.detach() for each in (code, seen))
    options = {"target": 1, "n_steps": 64}
    found = IntegratedGradients(Trim(predictor, seen.decode)).attribute(
        coordinates, baseline_of(seen, coordinates), **options
    )
    before = IntegratedGradients(Trim(predictor, code.decode)).attribute(latents, 0, **options)
    matrix, gradient = axes.matrix.detach(), before / latents
    back = matrix if kind == "rotation" else torch.linalg.inv(matrix).T
    torch.testing.assert_close(found, (latents @ matrix.T) * (gradient @ back.T))
    torch.testing.assert_close(found.sum(dim=1), before.sum(dim=1))


def test_blocks_are_the_codes_and_noise_and_categories_stay_what_they_are():
    code, inputs = Certain(), torch.randn(5, 6).double()
    seen = AlongAxes(code, Rotation(SIZE, [(2, 3, 4)], _turn_of_three()))
    assert seen.blocks == code.blocks
    assert seen.latent_names == ("a", "b", "axis2", "axis3", "axis4", "noise")
    assert seen.latent_size == SIZE
    assert torch.equal(seen.encode(inputs)[:, [0, 1, 5]], code.encode(inputs)[:, [0, 1, 5]])
    assert not torch.equal(seen.encode(inputs)[:, 2:5], code.encode(inputs)[:, 2:5])


def _turn_of_three() -> Tensor:
    matrix = torch.eye(SIZE).double()
    matrix[2:5, 2:5] = orthogonal(3)
    return matrix


def test_paths_start_where_the_codes_own_start_is_mapped_to():
    linear = layers()["linear"]
    code = Uncertain()
    seen = AlongAxes(code, linear)
    expected = linear(torch.zeros(1, SIZE).double())
    torch.testing.assert_close(seen.baseline(3), expected.expand(3, -1))
    code.baseline = lambda n=1: torch.full((n, SIZE), 2.0)
    torch.testing.assert_close(seen.baseline(), linear(torch.full((1, SIZE), 2.0).double()))
    # The same picture, whichever way.
    torch.testing.assert_close(
        seen.decode(seen.baseline()), code.decode(torch.full((1, SIZE), 2.0).double())
    )


def test_axes_after_axes_are_a_chain_and_come_off_together():
    code, inputs = Uncertain(), torch.randn(5, 6).double()
    first, then = layers()["rotation"], layers()["linear"]
    twice = AlongAxes(code, first).with_axes(then)
    assert twice.code is code
    assert isinstance(twice.axes, Chain)
    torch.testing.assert_close(twice.encode(inputs).mean, then(first(code.encode(inputs).mean)))
    torch.testing.assert_close(
        twice.decode(twice.encode(inputs).mean), code.decode(code.encode(inputs).mean)
    )
    assert twice.with_axes(None) is code


def test_a_transform_that_needs_no_training_can_be_seen_along_axes():
    inputs = torch.randn(50, 6)
    code = PrincipalComponents(inputs, 4)
    seen = AlongAxes(code, Linear.fitted(code.encode(inputs)))
    torch.testing.assert_close(seen.decode(seen.encode(inputs)), code.decode(code.encode(inputs)))
    assert seen.trained_with is None


def test_what_else_an_encoder_takes_is_handed_through():
    class Conditional(Uncertain):
        def encode(self, inputs: Tensor, context: Tensor) -> Normal:
            return super().encode(inputs + context)

    code, inputs, context = Conditional(), torch.randn(5, 6).double(), torch.ones(5, 6).double()
    seen = AlongAxes(code, layers()["rotation"])
    expected = layers()["rotation"](code.encode(inputs, context).mean)
    torch.testing.assert_close(seen.encode(inputs, context).mean, expected)


def test_weights_of_code_and_axes_are_saved_together_and_replicas_hold_both():
    seen = AlongAxes(Uncertain(), layers()["flow"])
    names = {name.partition(".")[0] for name in seen.state_dict()}
    assert names == {"code", "axes"}
    replica, inputs = frozen(seen), torch.randn(5, 6).double()
    assert torch.equal(replica.encode(inputs).mean, seen.encode(inputs).mean)
    assert not any(parameter.requires_grad for parameter in replica.parameters())


def test_axes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="`axes` must be of the code's 4 latents. Got axes of 6"):
        AlongAxes(Identity((4,)), Rotation(6))
    with pytest.raises(ValueError, match="`axes` must mix latents within one block"):
        AlongAxes(Certain(), Rotation(SIZE))
    with pytest.raises(ValueError, match="`blocks` must cover 5 latents"):
        AlongAxes(Certain(), Rotation(5))
    with pytest.raises(TypeError, match="`axes` must be a layer of attributions.axes. Got Linear"):
        check_axes(nn.Linear(4, 4), Identity((4,)))


def test_names_are_by_place_where_latents_are_mixed():
    assert axis_names(Rotation(3, [(0, 2)]), None) == ("axis0", "z1", "axis2")
    assert axis_names(Rotation(2), ("up", "down")) == ("axis0", "axis1")


def test_tensors_and_normals_are_seen_along_axes():
    axes, base = layers()["rotation"], posterior()
    assert torch.equal(along(base.mean, axes), axes(base.mean))
    assert torch.equal(along(base, axes).mean, axes(base.mean))


def test_without_axes_a_code_is_what_it_was():
    code = Identity((3,))
    assert without_axes(code) is code
    twice = AlongAxes(AlongAxes(code, Rotation(3)), Rotation(3, matrix=torch.eye(3).flip(0)))
    assert without_axes(twice) is code
