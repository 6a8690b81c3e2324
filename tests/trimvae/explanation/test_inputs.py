"""A latent without a predictor: what makes it, and which inputs have most of it."""

import numpy as np
import pandas as pd
import pytest
import torch
from captum.attr import FeatureAblation

from attributions.transforms import Identity
from tests.trimvae.explanation.made import linear
from trimvae import VAE
from trimvae.explanation.inputs import explain_latent, most_of


class OfColumns(torch.nn.Module):
    """Two latents: the sum of the first columns, and twice the last one."""

    def __init__(self):
        super().__init__()
        self.layer = linear([1.0, 1.0, 0.0], [0.0, 0.0, 2.0])

    def encode(self, inputs):
        return self.layer(inputs)

    def decode(self, latents):
        return latents @ self.layer.weight


def test_a_latent_is_explained_by_the_columns_that_it_reads():
    table = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 0.0]])
    found = explain_latent(OfColumns(), table, 1)
    torch.testing.assert_close(found.attributions, torch.tensor([[0, 0, 6.0], [0, 0, 0]]))
    torch.testing.assert_close(found.values, torch.tensor([6.0, 0.0]))
    from_ones = explain_latent(OfColumns(), table, 0, baselines=torch.ones(1, 3))
    torch.testing.assert_close(from_ones.attributions, torch.tensor([[0, 1.0, 0], [-0.5, -2.0, 0]]))
    torch.testing.assert_close(from_ones.at_baseline, torch.tensor([2.0, 2.0]))


@pytest.mark.parametrize("method", [None, FeatureAblation])
def test_pictures_have_maps_of_any_method_and_nothing_of_the_callers_changes(method):
    vae = VAE.convolutional((1, 28, 28), latent_size=3).train()
    images = torch.rand(2, 1, 28, 28)
    before, state = images.clone(), torch.get_rng_state()
    options = {} if method is None else {"method": method, "feature_mask": mask()}
    found = explain_latent(vae, images, 2, **options)
    assert found.attributions.shape == images.shape
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert vae.training
    assert all(parameter.grad is None for parameter in vae.parameters())
    if method is None:
        change = found.values - found.at_baseline
        sums = found.attributions.sum(dim=(1, 2, 3))
        torch.testing.assert_close(sums, change, rtol=0.02, atol=2e-3)


def mask():
    """Quarters of a picture."""
    halves = (torch.arange(28) >= 14).long()
    return (2 * halves[:, None] + halves).view(1, 1, 28, 28)


def test_arrays_and_frames_are_taken_and_columns_keep_their_names():
    frame = pd.DataFrame(np.ones((2, 3), dtype=np.float32), columns=["age", "size", "dose"])
    found = explain_latent(OfColumns(), frame, 0)
    assert found.feature_names == ("age", "size", "dose")
    torch.testing.assert_close(found.attributions, torch.tensor([[1.0, 1, 0], [1, 1, 0]]))
    assert explain_latent(OfColumns(), frame.to_numpy(), 0).feature_names is None


def test_most_and_least_of_a_latent_stand_in_order():
    table = torch.tensor([[3.0], [1.0], [9.0], [4.0]])
    found = most_of(Identity((1,)), table, 0, count=2)
    assert found.most.tolist() == [2, 3]
    assert found.least.tolist() == [1, 0]
    assert torch.equal(found.values, table[:, 0])
    assert most_of(Identity((1,)), table, 0, count=9).most.tolist() == [2, 3, 0, 1]


def test_what_cannot_be_asked_is_refused():
    code, table = OfColumns(), torch.ones(2, 3)
    for ask in (explain_latent, most_of):
        with pytest.raises(ValueError, match="`latent` must be from 0 to 1. Got 2. Choose an exis"):
            ask(code, table, 2)
        with pytest.raises(TypeError, match="`code` must have the methods encode and decode"):
            ask(code.layer, table, 0)
    with pytest.raises(ValueError, match=r"`baselines` must have shape \(1, 3\) or \(2, 3\). Got"):
        explain_latent(code, table, 0, baselines=torch.ones(1, 4))
    with pytest.raises(ValueError, match="`count` must be at least 1. Got 0"):
        most_of(code, table, 0, count=0)
    with (
        torch.inference_mode(),
        pytest.raises(RuntimeError, match="outside torch.inference_mode"),
    ):
        explain_latent(code, torch.ones(2, 3), 0)


@pytest.mark.parametrize("wrong", ["a", 1.5, True, None])
def test_what_is_no_index_of_a_latent_is_refused(wrong):
    for asked in (explain_latent, most_of):
        with pytest.raises(TypeError, match=f"`latent` must be a whole number. Got {wrong!r}"):
            asked(OfColumns(), torch.ones(2, 3), wrong)


def test_a_start_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="`baselines` must be finite. Got NaN or infinity"):
        explain_latent(OfColumns(), torch.ones(2, 3), 0, baselines=torch.full((1, 3), torch.nan))
