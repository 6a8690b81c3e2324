import pytest
import torch
from torch import nn

from attributions import Trim, integrated_gradients
from attributions.methods.pixels import pixel_attributions
from tests.cases import ReverseOnly, convolutional_decoder, smooth_decoder, smooth_predictor


def smooth_case():
    trim = Trim(smooth_predictor(), smooth_decoder(), explained="centred_logit")
    latents, baselines = torch.randn(4, 3).double(), torch.randn(4, 3).double()
    return trim, latents, baselines, torch.tensor([0, 3, 1, 1])


@pytest.mark.parametrize("max_points", [1, 40, 10_000])
@pytest.mark.parametrize("with_residual", [True, False])
def test_maps_add_up_to_the_integrated_gradients_of_their_latent(max_points, with_residual):
    trim, latents, baselines, target = smooth_case()
    residual = torch.randn(4, 6).double() if with_residual else None
    maps = pixel_attributions(
        trim, latents, baselines, target, [2, 0], residual=residual, n_steps=20,
        max_points=max_points,
    )  # fmt: skip
    whole = integrated_gradients(trim, latents, baselines, residual, n_steps=20).attributions
    expected = whole[torch.arange(4), target][:, [2, 0]]
    torch.testing.assert_close(maps.sum(dim=2), expected)
    assert not maps.requires_grad


def test_a_linear_decoder_shows_what_it_draws_weighted_by_the_predictor():
    decoder, predictor = nn.Linear(3, 6).double(), nn.Linear(6, 4).double()
    latents = torch.randn(4, 3).double()
    target = torch.tensor([0, 3, 1, 1])
    maps = pixel_attributions(
        Trim(predictor, decoder), latents, torch.ones(1, 3).double(), target, torch.tensor([1])
    )
    expected = (latents[:, 1:2] - 1) * decoder.weight[:, 1] * predictor.weight[target]
    torch.testing.assert_close(maps[:, 0], expected.detach())


def test_maps_have_the_shape_of_the_inputs():
    trim = Trim(nn.Sequential(nn.Flatten(), nn.Linear(784, 3)), convolutional_decoder(2))
    maps = pixel_attributions(
        trim, torch.randn(2, 2), torch.zeros(1, 2), torch.zeros(2, dtype=torch.long), [0, 1]
    )
    assert maps.shape == (2, 2, 1, 28, 28)


def test_decoders_without_forward_mode_and_in_place_are_followed_all_the_same():
    weight = torch.randn(3, 6).double()
    decoders = {
        "without forward mode": lambda z: ReverseOnly.apply(z) @ weight,
        "in place": lambda z: z.mul_(z.clone()) @ weight,
        "plain": lambda z: z.pow(2) @ weight,
    }
    predictor, target = smooth_predictor(), torch.tensor([0, 3, 1, 1])
    latents, baselines = torch.randn(4, 3).double(), torch.randn(4, 3).double()
    copies = latents.clone(), baselines.clone()
    maps = {
        name: pixel_attributions(Trim(predictor, decoder), latents, baselines, target, [1])
        for name, decoder in decoders.items()
    }
    torch.testing.assert_close(maps["without forward mode"], maps["plain"])
    torch.testing.assert_close(maps["in place"], maps["plain"])
    assert torch.equal(latents, copies[0])
    assert torch.equal(baselines, copies[1])


def test_an_error_of_the_decoder_comes_out_as_itself():
    def broken(z):
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        pixel_attributions(
            Trim(nn.Linear(6, 4), broken), torch.randn(2, 3), torch.zeros(1, 3), torch.zeros(2), [0]
        )


def test_it_works_where_gradients_are_off_and_says_where_it_cannot():
    trim, latents, baselines, target = smooth_case()
    expected = pixel_attributions(trim, latents, baselines, target, [0])
    with torch.no_grad():
        found = pixel_attributions(trim, latents, baselines, target, [0])
    torch.testing.assert_close(found, expected)
    with torch.inference_mode(), pytest.raises(RuntimeError, match="outside torch.inference_mode"):
        pixel_attributions(trim, latents, baselines, target, [0])


def test_bad_choices_and_counts_are_refused():
    trim, latents, baselines, target = smooth_case()
    with pytest.raises(ValueError, match=r"`chosen` must be latents from 0 to 2. Got \[3\]"):
        pixel_attributions(trim, latents, baselines, target, [3])
    with pytest.raises(ValueError, match="`n_steps` must be at least 1"):
        pixel_attributions(trim, latents, baselines, target, [0], n_steps=0)
