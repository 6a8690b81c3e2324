import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from attributions import Predictor
from attributions.black_boxes import black_box
from attributions.chaining import Chained
from attributions.penalties import Sparsity
from attributions.transforms import Identity
from tests.attributions.foreign import Diffusers
from trimvae import VAE, fit
from trimvae.models import IVAE
from trimvae.training.chaining import unchained


def images(count=32):
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def chain(kind=VAE, **options):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        vae = kind.dense((4, 2, 2), 2, hidden=(8,), likelihood="gaussian", **options)
    return Chained(Diffusers(torch.float32), vae)


def predictor():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.SiLU(), nn.Linear(8, 3))


QUIET = {"progress": False, "max_epochs": 2, "accelerator": "cpu"}


def test_the_inner_code_learns_and_neither_autoencoder_nor_predictor_moves():
    code, classifier = chain(), predictor()
    outer = {n: t.clone() for n, t in code.outer.state_dict().items()}
    before = {n: t.clone() for n, t in code.inner.state_dict().items()}
    history = fit(code, classifier, images(), penalties=[Sparsity(weight=2.0)], **QUIET)
    assert {"prediction", "sparsity", "kl"} <= set(history[-1])
    assert all(torch.equal(t, outer[n]) for n, t in code.outer.state_dict().items())
    assert not all(torch.equal(t, before[n]) for n, t in code.inner.state_dict().items())
    assert all(p.requires_grad for p in code.outer.parameters())
    assert all(p.grad is None for p in classifier.parameters())
    assert code.trained_with["epochs"] == 2


def test_it_is_the_training_of_the_inner_code_on_outer_latents_behind_the_decoder():
    code, classifier = chain(), predictor()
    found = fit(code, classifier, images(), **QUIET)
    alone = chain()
    with torch.no_grad():
        grids = alone.outer_latents(images())
    behind = nn.Sequential(*[])
    behind.forward = lambda latents: classifier(alone.outer.decode(alone.outer.flat(latents)))
    expected = fit(alone.inner, behind, grids, **QUIET)
    assert found == expected
    for ours, theirs in zip(code.inner.parameters(), alone.inner.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", ["tensor", "array", "dataset", "loader"])
def test_data_of_every_kind_is_encoded_in_order_and_draws_nothing_from_the_caller(kind):
    data = {
        "tensor": images(),
        "array": images().numpy(),
        "dataset": TensorDataset(images(), torch.arange(32)),
        "loader": DataLoader(TensorDataset(images()), batch_size=7),
    }[kind]
    code, state = chain(), torch.get_rng_state()
    found = unchained(code, None, data, images(4), None)
    with torch.no_grad():
        torch.testing.assert_close(found.data, code.outer_latents(images()))
        torch.testing.assert_close(found.validation, code.outer_latents(images(4)))
    assert torch.equal(torch.get_rng_state(), state)
    assert found.code is code.inner


def test_a_predictor_keeps_what_is_said_about_it_and_its_preprocess_comes_after_the_decoder():
    code, classifier = chain(), predictor()
    asked = Predictor(classifier, preprocess=lambda x: 2 * x, explained="centred_logit")
    found = unchained(code, asked, images(), None, None)
    assert found.predictor.explained == "centred_logit"
    with torch.no_grad():
        reconstructions = code.outer.decode(code.outer.flat(found.data))
        torch.testing.assert_close(found.predictor(found.data), classifier(2 * reconstructions))
    given = unchained(code, classifier, images(), None, lambda x: 3 * x)
    with torch.no_grad():
        torch.testing.assert_close(given.predictor(found.data), classifier(3 * reconstructions))
    assert given.preprocess is None


def test_a_black_box_is_asked_behind_the_decoder():
    code, classifier = chain(), predictor()
    box = black_box(lambda rows: classifier(torch.as_tensor(rows)).detach().numpy())
    found = unchained(code, box, images(4), None, None)
    with torch.no_grad():
        reconstructions = code.outer.decode(code.outer.flat(found.data))
        torch.testing.assert_close(found.predictor(found.data), classifier(reconstructions))
    history = fit(code, box, images(), **QUIET)
    assert "prediction" in history[-1]
    assert 0 <= code.trained_with["imitation_agreement"] <= 1


def test_an_inner_code_of_contexts_gets_them():
    code = chain(IVAE, n_contexts=3)
    data = TensorDataset(images(), torch.arange(32) % 3)
    assert torch.equal(unchained(code, None, data, None, None).data.tensors[1], data.tensors[1])
    fit(code, None, data, **QUIET)


def test_a_run_is_resumed_as_any_other(tmp_path):
    once, twice = chain(), chain()
    fit(once, predictor(), images(), **(QUIET | {"schedule": "constant"}))
    options = QUIET | {"schedule": "constant", "checkpoint_dir": tmp_path}
    fit(twice, predictor(), images(), **(options | {"max_epochs": 1}))
    fit(twice, predictor(), images(), resume=True, **options)
    for ours, theirs in zip(once.inner.parameters(), twice.inner.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_any_other_code_is_trained_on_what_was_given():
    vae, data = VAE.dense((6,), 2), torch.randn(4, 6)
    found = unchained(vae, None, data, None, None)
    assert found.code is vae
    assert found.data is data


def test_an_inner_code_that_cannot_be_trained_is_refused():
    with pytest.raises(TypeError, match="`code` must be a VAE, or a generator that learns"):
        fit(Chained(Diffusers(torch.float32), Identity((4, 2, 2))), None, images())
