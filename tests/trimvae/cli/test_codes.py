import pytest
import torch

from attributions.penalties import Hessian, Monotonicity, Sparsity
from trimvae.cli.codes import CODES, PENALTIES, SPARSITY, new_code, penalties_named
from trimvae.data import Split


def images(low, high):
    inputs = torch.linspace(low, high, 2 * 28 * 28).view(2, 1, 28, 28)
    return Split(inputs, torch.tensor([0, 4]), inputs, None)


def test_penalties_have_their_own_names_and_codes_a_weight():
    assert {name: kind.name for name, kind in PENALTIES.items()} == {
        name: name for name in PENALTIES
    }
    assert SPARSITY.keys() == CODES.keys()


def test_penalties_come_with_the_weights_asked_for():
    assert penalties_named(2.0, 0.5, ["hessian=0.1", "hessian"]) == [
        Sparsity(weight=2.0),
        Monotonicity(weight=0.5),
        Hessian(weight=0.1),
        Hessian(),
    ]
    assert penalties_named(0, 0, []) == []


def test_the_likelihood_suits_the_data():
    assert new_code("vae", images(0, 1), 2, "auto").likelihood == "bernoulli"
    assert new_code("vae", images(-1, 1), 2, "auto").likelihood == "gaussian"
    assert new_code("vae", images(0, 1), 2, "laplace").likelihood == "laplace"


def test_large_pictures_get_residual_blocks_and_others_where_asked():
    def kind(model, *shape):
        inputs = torch.zeros(2, *shape)
        return new_code(model, Split(inputs, None, inputs, None), 2, "auto").architecture["kind"]

    assert kind("residual", 3, 32, 40) == "residual"
    assert kind("vae", 1, 136, 136) == "residual"
    assert kind("vae", 1, 32, 32) == "convolutional"
    assert kind("vae", 1, 8, 8) == "dense"
    with pytest.raises(ValueError, match="`--model residual` must be given images"):
        kind("residual", 6)


def test_an_ivae_has_a_context_for_each_label():
    assert new_code("ivae", images(0, 1), 2, "auto").n_contexts == 5


def test_an_infogan_takes_no_latent_size():
    with pytest.raises(ValueError, match="`--latent-size` must be left out for infogan"):
        new_code("infogan", images(0, 1), 7, "auto")
