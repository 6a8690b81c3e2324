import subprocess
import sys
import textwrap
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from attributions import Contrast, Sparsity
from attributions.penalties import Monotonicity
from attributions.predictors import Predictor
from attributions.transforms import IndependentComponents
from tests.attributions.test_twice import Attentive, Once
from tests.cases import FunctionModule, assert_same_snapshot, convolutional_predictor, snapshot
from tests.trimvae.training.cases import KINDS, QUIET, finish, make, small_vae, start, weights
from trimvae import VAE, fit

KL_PARTS = ("mutual_information", "total_correlation", "dimension_wise_kl")


def test_the_loss_falls_and_every_term_is_reported_by_name(table, predictor):
    history = fit(
        small_vae(),
        predictor,
        table,
        penalties=[Sparsity(weight=1.0), Monotonicity(weight=1.0)],
        max_epochs=15,
        batch_size=32,
        learning_rate=0.02,
        validation=table[:32],
        **QUIET,
    )
    assert len(history) == 15
    # On ten seeds and tables the last loss was at most 0.84 of the first.
    assert history[-1]["loss"] < 0.95 * history[0]["loss"]
    assert set(history[-1]) == {
        "loss",
        "reconstruction",
        "kl",
        "prediction",
        "sparsity",
        "monotonicity",
        "validation_reconstruction",
        "validation_kl",
        "validation_prediction",
        "validation_agreement",
        *KL_PARTS,
    }


@pytest.mark.parametrize(
    "kind", ["array", "frame", "dataset", "loader", "shuffled loader", "pairs", "mappings"]
)
def test_data_may_come_as_a_user_has_it(kind, table, predictor):
    def given(rows):
        return {
            "array": lambda: rows.double().numpy(),
            "frame": lambda: pd.DataFrame(rows.numpy(), columns=list("abcdef")),
            "dataset": lambda: TensorDataset(rows),
            "loader": lambda: DataLoader(TensorDataset(rows), batch_size=24),
            "shuffled loader": lambda: DataLoader(rows, batch_size=24, shuffle=True),
            "pairs": lambda: DataLoader(TensorDataset(rows, torch.zeros(len(rows))), 24),
            "mappings": lambda: DataLoader([{"inputs": row} for row in rows], batch_size=24),
        }[kind]()

    results = []
    for form in (given, lambda rows: rows):
        vae = small_vae()
        before = weights(vae).clone()
        held_out = table[:24] if kind == "shuffled loader" else form(table[:24])
        options = {"validation": held_out, "max_epochs": 1, "batch_size": 24, **QUIET}
        history = fit(vae, predictor, form(table), **options)
        assert not torch.equal(before, weights(vae))
        results.append((weights(vae), history[0]["validation_kl"]))
    if kind in ("array", "frame", "dataset"):  # loaders have an order of their own
        assert torch.equal(results[0][0], results[1][0])
        assert results[0][1] == results[1][1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(kind):
    results = []
    for seed in (1, 1, 2):
        code, data, predictor = make(kind)
        fit(code, predictor, data, max_epochs=2, batch_size=8, seed=seed, **QUIET)
        results.append(weights(code))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_inside_no_grad_and_says_why_not_under_inference_mode(kind):
    results = []
    for mode in (torch.enable_grad, torch.no_grad):
        code, data, predictor = make(kind)
        with mode():
            fit(code, predictor, data, penalties=[Sparsity()], max_epochs=1, **QUIET)
            assert torch.is_grad_enabled() == (mode is torch.enable_grad)
        results.append(weights(code))
    assert torch.equal(*results)
    with (
        torch.inference_mode(),
        pytest.raises(RuntimeError, match="`fit` must be asked outside torch.inference_mode"),
    ):
        fit(code, predictor, data, **QUIET)


@pytest.mark.parametrize("kind", KINDS)
def test_no_predictor_and_no_weight_is_a_plain_training(kind):
    code, data, _ = make(kind)
    history = fit(code, None, data, validation=data, max_epochs=1, **QUIET)
    assert not any("prediction" in name or "agreement" in name for name in history[0])
    assert code.trained_with["prediction_weight"] == 0
    if kind == "VAE":
        parts = {"loss", "reconstruction", "kl", *KL_PARTS}
        assert set(history[0]) == parts | {"validation_reconstruction", "validation_kl"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_out_is_the_codes_recipe(kind):
    code, data, predictor = make(kind)
    recipe, results = code.recipe, []
    for options in ({}, recipe._asdict()):
        code, data, predictor = make(kind)
        fit(code, predictor, data, penalties=[Sparsity()], max_epochs=1, **options, **QUIET)
        results.append(weights(code))
        assert code.trained_with["batch_size"] == recipe.batch_size
    assert torch.equal(*results)
    assert recipe.prediction_weight == {"VAE": 20, "InfoGAN": 1, "ALAE": 2, "StyleGAN2": 0}[kind]
    games = (64, None, "constant", 1)
    assert recipe[1:] == {"VAE": (128, 3e-3, "one_cycle", 4)}.get(kind, games)


@pytest.mark.parametrize("name", ["penalty_every", "penalty_examples", "penalty_n_steps", "seed"])
@pytest.mark.parametrize("kind", ["VAE", "ALAE"])
def test_every_option_of_the_penalties_matters(kind, name):
    results = []
    for value in (2, 3):
        code, data, predictor = make(kind)
        options = {"penalties": [Sparsity(weight=5.0)], "max_epochs": 2, name: value}
        fit(code, predictor, data, batch_size=8, **options, **QUIET)
        results.append(weights(code))
    assert not torch.equal(*results)


def test_a_carried_predictor_says_itself_what_is_explained(table, predictor):
    results = []
    for given, options in (
        (predictor, {"explained": Contrast(2, 0), "preprocess": torch.tanh}),
        (Predictor(predictor, explained=Contrast(2, 0), preprocess=torch.tanh), {}),
    ):
        vae = small_vae()
        fit(vae, given, table, penalties=[Sparsity()], max_epochs=1, **options, **QUIET)
        results.append(weights(vae))
    assert torch.equal(*results)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_lightnings_precisions_work_with_penalties(precision, table, predictor):
    vae = small_vae()
    history = fit(
        vae, predictor, table, penalties=[Sparsity()], max_epochs=1, precision=precision, **QUIET
    )
    assert np.isfinite(history[0]["loss"])
    assert next(predictor.parameters()).dtype == torch.float32
    assert next(vae.parameters()).dtype == torch.float32


def test_training_through_a_softmax_is_training_through_its_logits(table, predictor):
    results = []
    for through in (predictor, nn.Sequential(predictor, nn.Softmax(dim=1))):
        vae = small_vae()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit(vae, through, table, penalties=[Sparsity()], max_epochs=2, **QUIET)
        results.append(weights(vae))
    torch.testing.assert_close(*results, atol=1e-3, rtol=1e-3)


def test_a_softmax_is_warned_about_where_fit_is_called(table, predictor):
    with pytest.warns(UserWarning, match="`predictor` ends in a softmax") as caught:
        fit(small_vae(), nn.Sequential(predictor, nn.Softmax(dim=1)), table, max_epochs=1, **QUIET)
    assert caught[0].filename == __file__


def test_a_penalty_without_prediction_loss_is_warned_about(table, predictor):
    options = {"prediction_weight": 0, "penalties": [Sparsity()], "max_epochs": 1, **QUIET}
    with pytest.warns(UserWarning, match="decoder that hides the class") as caught:
        fit(small_vae(), predictor, table, **options)
    assert caught[0].filename == __file__


class InPlace(nn.Module):
    """Clamps and normalises what it is given, in place."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, inputs):
        return self.inner(inputs.clamp_(-1, 1).sub_(0.5))


@pytest.mark.parametrize("kind", KINDS)
def test_predictors_that_work_in_place_train_as_those_that_do_not(kind):
    results = []
    for in_place in (True, False):
        code, data, network = make(kind)
        before = data.clone()
        if in_place:
            predictor, preprocess = InPlace(network), lambda inputs: inputs.mul_(2)
        else:
            predictor = nn.Sequential(nn.Hardtanh(), Shift(), network)
            preprocess = lambda inputs: inputs * 2  # noqa: E731
        fit(
            code, predictor, data, preprocess=preprocess, penalties=[Sparsity()], max_epochs=1,
            validation=data, **QUIET,
        )  # fmt: skip
        assert torch.equal(data, before)
        results.append(weights(code))
    torch.testing.assert_close(*results)


class Shift(nn.Module):
    def forward(self, inputs):
        return inputs - 0.5


@pytest.mark.parametrize("kind", ["VAE", "ALAE"])
def test_the_predictor_is_no_part_of_the_code_nor_of_a_checkpoint(kind, tmp_path):
    code, data, predictor = make(kind)
    before = snapshot(predictor)
    names = set(code.state_dict())
    fit(code, predictor, data, max_epochs=1, checkpoint_dir=tmp_path, **QUIET)
    assert set(code.state_dict()) == names
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert set(checkpoint["state_dict"]) == {f"code.{name}" for name in names}
    assert_same_snapshot(before, snapshot(predictor))


@pytest.mark.parametrize("carried", [False, True])
def test_a_predictor_that_shares_parameters_with_the_code_is_refused_by_name(table, carried):
    vae = small_vae()
    predictor = nn.Sequential(vae.encoder, Means(), nn.Linear(3, 2))
    before = weights(vae)
    with pytest.raises(ValueError, match="`predictor` must not share parameters .* the code's"):
        fit(vae, Predictor(predictor) if carried else predictor, table, **QUIET)
    with pytest.raises(ValueError, match="`predictor` must not share parameters"):
        fit(vae, predictor.forward, table, **QUIET)
    preprocess = nn.Sequential(vae.encoder, Means())
    with pytest.raises(ValueError, match="`predictor` must not share parameters"):
        fit(vae, nn.Linear(3, 2), table, preprocess=preprocess, **QUIET)
    assert torch.equal(before, weights(vae))


class Means(nn.Module):
    def forward(self, posterior):
        return posterior.mean


def test_two_threads_that_train_through_one_predictor_leave_it_intact():
    predictor = convolutional_predictor(classes=3, size=8).train()
    before, errors = snapshot(predictor), []
    data = torch.rand(32, 1, 8, 8)

    def train(seed):
        try:
            torch.manual_seed(seed)
            vae = VAE.dense((1, 8, 8), 2, hidden=(8,))
            fit(vae, predictor, data, penalties=[Sparsity()], max_epochs=3, batch_size=8, **QUIET)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=train, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert_same_snapshot(before, snapshot(predictor))
        threads[0].join(0.05)
    for thread in threads:
        thread.join()
    assert errors == []
    predictor(data).sum().backward()
    assert all(parameter.grad is not None for parameter in predictor.parameters())


REFUSED = {
    "nan": (lambda t: t.clone().fill_(float("nan")), {}, ValueError, "`inputs` must be finite"),
    "shape": (lambda t: t[:, :5], {}, ValueError, r"`inputs` must have shape \(batch, 6\)"),
    "empty": (lambda t: t[:0], {}, ValueError, "`data` must hold at least one batch"),
    "loader": (
        lambda t: DataLoader(t, batch_size=200, drop_last=True),
        {},
        ValueError,
        "`data` must hold at least one batch",
    ),
    "list": (
        lambda t: t.tolist(),
        {},
        TypeError,
        "`data` must be a tensor, NumPy array, pandas DataFrame, Dataset or DataLoader. Got list",
    ),
    "validation": (
        lambda t: t,
        {"validation": "held out"},
        TypeError,
        "`validation` must be a tensor, NumPy array, pandas DataFrame, Dataset .* Got str",
    ),
    "integers": (lambda t: t.long(), {}, TypeError, "`inputs` must be floating-point"),
    "epochs": (lambda t: t, {"max_epochs": 0}, ValueError, "`max_epochs` must be at least 1"),
    "batch": (lambda t: t, {"batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
    "weight": (
        lambda t: t,
        {"prediction_weight": -1},
        ValueError,
        "`prediction_weight` must be at least 0",
    ),
    "rate": (lambda t: t, {"learning_rate": -1}, ValueError, "`learning_rate` must be above 0"),
    "points": (
        lambda t: t,
        {"penalty_n_steps": 0},
        ValueError,
        "`penalty_n_steps` must be at least 1",
    ),
    "names": (
        lambda t: t,
        {"penalties": ["sparsity"]},
        TypeError,
        "`penalties` must be penalties: .* Got 'sparsity'",
    ),
    "contrast": (
        lambda t: t,
        {"explained": Contrast(7, 0)},
        ValueError,
        "`explained` must name classes below 3",
    ),
    "resume": (lambda t: t, {"resume": True}, ValueError, "`checkpoint_dir` must be given"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_before_training(name, table, predictor):
    change, options, error, message = REFUSED[name]
    vae = small_vae()
    before = weights(vae)
    with pytest.raises(error, match=message):
        fit(vae, predictor, change(table), **options, **QUIET)
    assert torch.equal(before, weights(vae))


def test_nan_late_in_a_loader_is_refused_as_well(table, predictor):
    table[-1, 0] = float("nan")
    with pytest.raises(ValueError, match="`inputs` must be finite"):
        fit(small_vae(), predictor, DataLoader(table, batch_size=8), max_epochs=1, **QUIET)


def test_unfit_predictors_are_refused_before_training(table):
    with pytest.raises(RuntimeError, match="`predictor` must be differentiable"):
        fit(small_vae(), FunctionModule(lambda logits: logits.detach()), table, **QUIET)
    for options in ({"prediction_weight": 1.0}, {"penalties": [Sparsity()]}):
        with pytest.raises(ValueError, match="`predictor` must be given for a prediction loss"):
            fit(small_vae(), None, table, **options, **QUIET)


def test_codes_that_need_no_training_are_refused_by_name(table, predictor):
    for code in (IndependentComponents(table, 2), nn.Linear(6, 2)):
        kind = type(code).__name__
        with pytest.raises(TypeError, match=f"`code` must be a VAE, or a generator .* Got {kind}"):
            fit(code, predictor, table, **QUIET)


TWO_PROCESSES = """
import sys, torch
from attributions import Sparsity
from tests.trimvae.training.cases import make
from trimvae import fit

if __name__ == "__main__":
    vae, table, predictor = make("VAE")
    fit(
        vae, predictor, table, penalties=[Sparsity()], max_epochs=2, batch_size=4,
        penalty_examples=8, progress=False, accelerator="cpu", strategy="ddp", devices=2,
    )
    torch.save(vae.state_dict(), sys.argv[1])
"""


def test_two_processes_train_as_one_on_the_same_global_batch(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    process = start(script, tmp_path / "two.pt")
    vae, table, predictor = make("VAE")
    options = {"penalty_examples": 8, "max_epochs": 2, "batch_size": 8, **QUIET}
    fit(vae, predictor, table, penalties=[Sparsity()], **options)
    finish(process)
    two = torch.load(tmp_path / "two.pt")
    for name, value in vae.state_dict().items():
        torch.testing.assert_close(value, two[name], atol=2e-4, rtol=1e-3)


@pytest.mark.slow
def test_a_script_of_three_lines_trains(tmp_path):
    code = """
        import torch
        from trimvae import VAE, fit, explain
        vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=2, channels=4, hidden=8)
        predictor = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 3))
        fit(vae, predictor, torch.rand(32, 1, 28, 28), max_epochs=1)
        assert explain(vae, predictor, torch.rand(4, 1, 28, 28)).attributions.shape == (4, 3, 2)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, cwd=tmp_path, capture_output=True
    )
    assert list(tmp_path.iterdir()) == []  # nothing is left lying about


def test_penalties_train_through_attention_and_refuse_what_has_no_second_derivative():
    torch.manual_seed(0)
    vae, inputs = VAE.dense((6,), latent_size=2, hidden=(8,)), torch.randn(32, 6)
    history = fit(
        vae, Attentive("fused"), inputs, penalties=[Sparsity()], penalty_every=1, max_epochs=1,
        progress=False,
    )  # fmt: skip
    assert history[0]["sparsity"] >= 1
    before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    with pytest.raises(RuntimeError, match="`predictor` must be twice differentiable"):
        fit(vae, Once.apply, inputs, penalties=[Sparsity()], progress=False)
    assert all(torch.equal(before[name], each) for name, each in vae.state_dict().items())
    fit(vae, Once.apply, inputs, max_epochs=1, progress=False)  # the prediction loss needs one


def test_a_loader_of_a_stream_without_length_trains_as_its_batches_do():
    vae, data, predictor = make("VAE")

    class Passing(IterableDataset):
        def __iter__(self):
            yield from data.split(16)

    loader = DataLoader(Passing(), batch_size=None)
    options = {"max_epochs": 2, "schedule": "constant", **QUIET}
    streamed = fit(vae, predictor, loader, **options)
    other, data, predictor = make("VAE")
    listed = fit(other, predictor, DataLoader(data.split(16), batch_size=None), **options)
    assert streamed == listed
    with pytest.raises(ValueError, match="`schedule` must be 'constant' for data of unknown"):
        fit(vae, predictor, loader, max_epochs=1, **QUIET)


def test_whole_numbers_of_numpy_are_taken_and_the_code_is_saved(table, tmp_path):
    code = VAE.dense((6,), latent_size=np.int64(3), hidden=(8,))
    one, eight, three = map(np.int64, (1, 8, 3))
    fit(code, None, table[:32], max_epochs=one, batch_size=eight, seed=three, **QUIET)
    code.save(tmp_path / "code.safetensors")
    assert VAE.load(tmp_path / "code.safetensors").latent_size == 3
    assert code.trained_with["epochs"] == 1


def test_a_seed_that_is_no_whole_number_is_refused(table):
    with pytest.raises(TypeError, match="`seed` must be a whole number. Got None"):
        fit(small_vae(), None, table, seed=None, **QUIET)
