from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Independent, Laplace, Normal

from attributions.returned import inputs_in, latents_in, verbs_of

MEAN, LOG_VARIANCE = torch.randn(2, 3), torch.randn(2, 3)
DEVIATION = (0.5 * LOG_VARIANCE).exp()
Named = namedtuple("Named", ["mu", "logvar"])


@pytest.mark.parametrize(
    "returned",
    [
        Normal(MEAN, DEVIATION),
        Independent(Normal(MEAN, DEVIATION), 1),
        (MEAN, LOG_VARIANCE),
        Named(MEAN, LOG_VARIANCE),
        (Normal(MEAN, DEVIATION),),
        OrderedDict(embedding=MEAN, log_covariance=LOG_VARIANCE),
        SimpleNamespace(mu=MEAN, log_var=LOG_VARIANCE),
        SimpleNamespace(latent_dist=SimpleNamespace(mean=MEAN, std=DEVIATION)),
        SimpleNamespace(latent_dist=Normal(MEAN, DEVIATION)),
        SimpleNamespace(mean=MEAN, stddev=DEVIATION),
    ],
)
def test_a_posterior_is_found_in_whatever_encode_returns(returned):
    found = latents_in(returned)
    assert isinstance(found, Normal)
    torch.testing.assert_close(found.mean, MEAN)
    torch.testing.assert_close(found.stddev, DEVIATION)


@pytest.mark.parametrize(
    "returned",
    [
        MEAN,
        (MEAN,),
        SimpleNamespace(latents=MEAN),
        SimpleNamespace(latent=MEAN),
        {"embedding": MEAN},
        SimpleNamespace(mu=MEAN, sample=lambda: None),
    ],
)
def test_latents_without_deviation_are_a_tensor(returned):
    assert latents_in(returned) is MEAN


def test_another_distribution_gives_its_mean_and_deviation():
    found = latents_in(Laplace(MEAN, DEVIATION))
    torch.testing.assert_close(found.mean, MEAN)
    torch.testing.assert_close(found.stddev, 2**0.5 * DEVIATION)


@pytest.mark.parametrize("returned", [None, (MEAN, MEAN, MEAN), {"z": MEAN}, SimpleNamespace()])
def test_what_holds_no_latents_is_refused(returned):
    with pytest.raises(TypeError, match="`code.encode` must return latents, a distribution, a pai"):
        latents_in(returned)


@pytest.mark.parametrize(
    "returned",
    [
        MEAN,
        (MEAN,),
        Normal(MEAN, DEVIATION),
        SimpleNamespace(sample=MEAN),
        {"reconstruction": MEAN},
        SimpleNamespace(recon_x=MEAN),
    ],
)
def test_inputs_are_found_in_whatever_decode_returns(returned):
    torch.testing.assert_close(inputs_in(returned), MEAN)


def test_a_likelihood_gives_its_mean_not_a_draw():
    assert inputs_in(Bernoulli(torch.tensor([[0.3]]))).item() == pytest.approx(0.3)


@pytest.mark.parametrize("returned", [None, (MEAN, MEAN), SimpleNamespace(sample=lambda: MEAN)])
def test_what_holds_no_inputs_is_refused(returned):
    with pytest.raises(TypeError, match="`code.decode` must return inputs, or an object with samp"):
        inputs_in(returned)


def test_modules_stand_for_missing_verbs_and_verbs_come_first():
    class Pythae(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(3, 2), nn.Linear(2, 3)

    class Both(Pythae):
        def encode(self, inputs):
            return inputs

        def decode(self, latents):
            return latents

    assert verbs_of(Pythae()) == ("encoder", "decoder")
    assert verbs_of(Both()) == ("encode", "decode")
    with pytest.raises(TypeError, match="`code` must have the methods encode and decode. Got Line"):
        verbs_of(nn.Linear(2, 2))
