import pytest
import torch
from torch import nn
from torch.distributions import Normal

from attributions.code_checks import check_code, check_decoded, check_latents


class Given:
    """A code of two linear maps, or of whatever is given in their place."""

    def __init__(self, encode=None, decode=None):
        self.encode, self.decode = encode or ENCODER, decode or DECODER


with torch.random.fork_rng():
    torch.manual_seed(0)
    ENCODER, DECODER = nn.Linear(6, 3), nn.Linear(3, 6)


@pytest.mark.parametrize("examples", [1, 3, 20])
def test_an_honest_code_passes_and_nothing_of_the_callers_changes(examples):
    inputs = torch.randn(examples, 6)
    before, state = inputs.clone(), torch.get_rng_state()
    check_code(Given(), inputs)
    check_code(Given(encode=lambda rows: Normal(ENCODER(rows), torch.ones(len(rows), 3))), inputs)
    check_code(Given(encode=lambda rows: ENCODER(rows.mul_(2))), inputs)
    assert torch.equal(inputs, before)
    assert torch.equal(torch.get_rng_state(), state)


def drawn(rows):
    return Normal(ENCODER(rows), torch.full((len(rows), 3), 0.3)).rsample()


CHANGING = {
    "encode draws": (Given(encode=drawn), r"`code.encode` must not change .*no draws"),
    "decode draws": (
        Given(decode=lambda z: DECODER(z) + 0.1 * torch.randn(len(z), 6)),
        r"`code.decode` must not change from call to call. Got other inputs",
    ),
    "encode centres": (
        Given(encode=lambda x: ENCODER(x) - ENCODER(x).mean(dim=0)),
        r"`code.encode` must answer for each example alone. Got other latents",
    ),
    "decode centres": (
        Given(decode=lambda z: DECODER(z) - DECODER(z).mean(dim=0)),
        r"`code.decode` must answer for each example alone. Got other inputs",
    ),
}


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("examples", [1, 20])
def test_a_code_that_changes_by_itself_or_with_its_batch_is_refused(name, examples):
    code, message = CHANGING[name]
    inputs, state = torch.randn(examples, 6), torch.get_rng_state()
    with pytest.raises(ValueError, match=message):
        check_code(code, inputs)
    assert torch.equal(torch.get_rng_state(), state)


WRONG = {
    "other dtype": (Given(encode=lambda x: ENCODER(x).double()), TypeError, "latents in torch.fl"),
    "whole": (Given(encode=lambda x: ENCODER(x).long()), TypeError, "Got torch.int64. Convert"),
    "none": (Given(encode=lambda x: ENCODER(x)[:, :0]), ValueError, "at least one latent for each"),
    "nan": (Given(encode=lambda x: ENCODER(x) / 0), ValueError, "`code.encode` must return finite"),
    "shape": (
        Given(decode=lambda z: DECODER(z)[:, :5]),
        ValueError,
        r"`code.decode` must return inputs of shape \(8, 6\). Got \(8, 5\). Reshape",
    ),
    "one": (Given(decode=lambda z: DECODER(z)[:1]), ValueError, r"\(8, 6\). Got \(1, 6\)"),
    "decoded dtype": (Given(decode=lambda z: DECODER(z).double()), TypeError, "inputs in torch.fl"),
    "decoded nan": (
        Given(decode=lambda z: DECODER(z) / 0),
        ValueError,
        "must return finite inputs",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_code_returns_in_a_wrong_form_is_refused(name):
    code, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        check_code(code, torch.randn(9, 6))


def test_the_first_examples_without_finite_numbers_are_named():
    inputs, latents = torch.randn(30, 6), torch.randn(30, 3)
    latents[20, 1], inputs[[4, 9]] = torch.nan, torch.inf
    with pytest.raises(ValueError, match=r"finite latents. .* for the examples \[20\]"):
        check_latents(latents, inputs)
    with pytest.raises(ValueError, match=r"finite inputs. .* for the examples \[4, 9\]"):
        check_decoded(inputs, torch.randn(30, 6))


def test_a_search_is_not_asked():
    code = Given(encode=drawn)
    code.inversion_steps = 100
    check_code(code, torch.randn(2, 6))
