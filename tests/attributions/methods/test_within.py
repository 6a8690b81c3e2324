"""A latent's attribution split over what it draws: exact sums, closed forms, an oracle."""

import numpy as np
import pytest
import torch
from torch import nn

from attributions import Trim, integrated_gradients
from attributions.methods.quadrature import quadrature_of
from attributions.methods.within import check_splitting, within_attributions
from attributions.transforms import (
    Bands,
    Cosine,
    Fourier,
    Identity,
    IndependentComponents,
    LearnableWavelet,
    NonNegativeParts,
    Parts,
    PrincipalComponents,
    Wavelet,
    channels,
)
from tests.cases import ReverseOnly, smooth_decoder, smooth_predictor
from tests.reference import split_loop


def smooth_case(explained="centred_logit"):
    trim = Trim(smooth_predictor(), smooth_decoder(), explained=explained)
    latents, baselines = torch.randn(4, 3).double(), torch.randn(4, 3).double()
    return trim, latents, baselines


def of_six():
    """Every kind of exact transform of six numbers."""
    inputs = torch.randn(40, 6).double()
    return {
        "columns": Identity((6,)),
        "parts": Parts((6,), {"first": torch.arange(6) < 2}),
        "frequencies": Fourier((6,)),
        "cosines": Cosine((6,)),
        "wavelet": Wavelet((6,), "haar"),
        "longer wavelet": Wavelet((6,), "db2", mode="reflect"),
        "principal components": PrincipalComponents(inputs @ torch.randn(6, 6).double(), 6),
        "independent components": IndependentComponents(torch.rand(300, 6).double(), 6),
    }


@pytest.mark.parametrize("name", list(of_six()))
@pytest.mark.parametrize("with_residual", [True, False])
def test_parts_add_up_to_the_attributions_exactly(name, with_residual):
    trim, latents, baselines = smooth_case()
    residual = torch.randn(4, 6).double() if with_residual else None
    parts = within_attributions(
        trim, latents, baselines, [2, 0], of_six()[name], residual=residual, n_steps=9
    )
    whole = integrated_gradients(trim, latents, baselines, residual, n_steps=9).attributions
    torch.testing.assert_close(
        parts.sum(dim=3).transpose(1, 2), whole[..., [2, 0]], atol=1e-10, rtol=0
    )
    assert not parts.requires_grad


@pytest.mark.parametrize("max_points", [1, 7, 1000])
def test_they_add_up_whatever_fits_at_once_and_by_the_rule_that_chose_its_points(max_points):
    trim, latents, baselines = smooth_case()
    whole = integrated_gradients(trim, latents, baselines, n_steps=None, tolerance=1e-7)
    assert len(whole.n_steps.unique()) > 1
    for row, n_steps in enumerate(whole.n_steps.tolist()):
        parts = within_attributions(
            trim, latents[row : row + 1], baselines[row : row + 1], [0, 1, 2], Fourier((6,)),
            n_steps=n_steps, rule="simpson", max_points=max_points,
        )  # fmt: skip
        found = parts.sum(dim=3).transpose(1, 2)[0]
        torch.testing.assert_close(found, whole.attributions[row], atol=1e-10, rtol=0)


class Projected:
    """What a group keeps of a change, through a matrix made column by column."""

    def __init__(self, transform):
        eye = torch.eye(6).double()
        nothing = transform.decode(torch.zeros(1, transform.latent_size).double())
        offset = transform.encode(torch.zeros(1, 6).double())
        forward = (transform.encode(eye) - offset).T
        units = torch.eye(transform.latent_size).double()
        backward = (transform.decode(units) - nothing).T
        self.groups = len(transform.group_names)
        self.matrices = [
            backward @ ((transform.groups == group).double()[:, None] * forward)
            for group in range(self.groups)
        ]

    def __call__(self, change, group):
        return change @ self.matrices[group].T


@pytest.mark.parametrize("name", ["frequencies", "longer wavelet", "principal components"])
def test_each_part_is_what_the_slow_oracle_finds(name):
    trim, latents, baselines = smooth_case("output")
    transform = of_six()[name]
    found = within_attributions(trim, latents, baselines, [1], transform, n_steps=5)
    points = quadrature_of(5, latents)
    expected = split_loop(
        trim.decode, trim.of_inputs, latents, baselines, 1, Projected(transform), *points
    )
    torch.testing.assert_close(found[:, 0], expected.detach())


def test_a_linear_predictor_of_a_linear_decoder_has_a_closed_form():
    """The product of what is drawn and of the predictor's weights, in each coefficient."""
    decoder, predictor = nn.Linear(3, 6).double(), nn.Linear(6, 4).double()
    latents = torch.randn(5, 3).double()
    cosine = Cosine((6,))
    matrix = cosine.matrix0
    found = within_attributions(
        Trim(predictor, decoder), latents, torch.ones(1, 3).double(), [1], cosine, n_steps=1
    )
    per_unit = (predictor.weight @ matrix.T) * (matrix @ decoder.weight[:, 1])
    expected = (latents[:, 1] - 1)[:, None, None] * per_unit
    torch.testing.assert_close(found[:, 0], expected.detach())


def test_one_target_is_its_row_of_all_classes():
    trim, latents, baselines = smooth_case()
    target = torch.tensor([0, 3, 1, 1])
    every = within_attributions(trim, latents, baselines, [1, 2], Fourier((6,)), n_steps=4)
    own = within_attributions(
        trim, latents, baselines, [1, 2], Fourier((6,)), target=target, n_steps=4
    )
    torch.testing.assert_close(own[:, :, 0], every[torch.arange(4), :, target])


def test_pictures_split_into_bands_and_channels():
    decoder = nn.Sequential(nn.Linear(2, 3 * 8 * 8), nn.Tanh(), nn.Unflatten(1, (3, 8, 8))).double()
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(192, 2), nn.Tanh()).double()
    trim, latents = Trim(predictor, decoder), torch.randn(3, 2).double()
    zero = torch.zeros(1, 2).double()
    whole = integrated_gradients(trim, latents, zero, n_steps=6).attributions
    for transform in (Bands((3, 8, 8)), channels((3, 8, 8)), Wavelet((3, 8, 8), dims=2)):
        parts = within_attributions(trim, latents, zero, [0, 1], transform, n_steps=6)
        torch.testing.assert_close(parts.sum(dim=3).transpose(1, 2), whole, atol=1e-10, rtol=0)


def test_decoders_that_only_go_backwards_are_followed_and_nothing_is_changed():
    weight = torch.randn(3, 6).double()
    predictor, _, (_, latents, baselines) = smooth_predictor(), None, smooth_case()
    copies = latents.clone(), baselines.clone()
    learned = LearnableWavelet((6,), torch.full((2,), 0.5).double().sqrt())
    found = [
        within_attributions(Trim(predictor, decoder), latents, baselines, [1], learned)
        for decoder in (lambda z: ReverseOnly.apply(z) @ weight, lambda z: z.pow(2) @ weight)
    ]
    torch.testing.assert_close(found[0], found[1])
    assert torch.equal(latents, copies[0])
    assert torch.equal(baselines, copies[1])
    assert learned.lowpass.grad is None
    assert learned.lowpass.requires_grad


def test_checking_a_transform_draws_from_no_one_elses_generator():
    state = torch.get_rng_state()
    check_splitting(Fourier((6,)), torch.zeros(2, 6))
    assert torch.equal(torch.get_rng_state(), state)


def test_what_cannot_split_is_refused_and_said_why():
    trim, latents, baselines = smooth_case()
    inputs = torch.rand(20, 6).double()

    def split(transform, chosen=(0,)):
        within_attributions(trim, latents, baselines, list(chosen), transform)

    with pytest.raises(TypeError, match="`transform` must be one of attributions.transforms. Got"):
        split(nn.Identity())
    with pytest.raises(ValueError, match=r"made for inputs of shape \(6,\). Got one for \(5,\)"):
        split(Fourier((5,)))
    with pytest.raises(ValueError, match="`transform` must be linear. Got NonNegativeParts"):
        split(NonNegativeParts(inputs, 3))
    with pytest.raises(ValueError, match="must give back every input. Got PrincipalComponents"):
        split(PrincipalComponents(inputs, 5))
    skewed = LearnableWavelet((6,), torch.tensor([0.6, 0.7]).double())
    with pytest.raises(ValueError, match="must give back every input. Got LearnableWavelet"):
        split(skewed)
    with pytest.raises(ValueError, match=r"`chosen` must be latents from 0 to 2. Got \[3\]"):
        split(Fourier((6,)), [3])
    with pytest.raises(ValueError, match=r"transform.to\('meta'\)"):
        check_splitting(Fourier((6,)), torch.zeros(2, 6, device="meta"))


def test_whole_numbers_of_numpy_bound_the_memory_as_pythons_do():
    trim, latents, baselines = smooth_case()
    asked = (trim, latents, baselines, [2, 0], Identity((6,)))
    plain = within_attributions(*asked, n_steps=9, max_points=4)
    found = within_attributions(*asked, n_steps=np.int64(9), max_points=np.int64(4))
    assert torch.equal(found, plain)
