"""Training along axes: what comes after the prediction loss, and how it goes on."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from attributions.penalties import SharedSparsity
from tests.trimvae.cli.command_line import call, content, train
from trimvae import VAE
from trimvae.cli import runs
from trimvae.cli.sharpening import along_axes, epochs_along, sharpened
from trimvae.training.variational import VAETraining

# A single output has no factors that would have to be searched for.
SCORE = """
import torch

def load():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
"""


@pytest.fixture(autouse=True)
def _few_pictures(monkeypatch):
    monkeypatch.setattr(runs, "TRAVERSED", 0)


@pytest.fixture
def scored(folder):
    """A working folder with a regression, whose target no column names."""
    (folder / "score.py").write_text(SCORE)
    np.savez("table.npz", inputs=np.load("table.npz")["inputs"])
    return folder


def scored_train(*more, **options):
    return train("--classifier", "score.py:load", *more, axes=True, **options)


def read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def same_code(one, other):
    left, right = (VAE.load(f"{run}/code.safetensors").state_dict() for run in (one, other))
    return all(torch.equal(tensor, right[name]) for name, tensor in left.items())


def test_a_penalty_follows_the_axes_and_the_record_says_what_came_before(scored):
    result = scored_train(epochs=5)
    assert result.exit_code == 0, result.output
    history = read("run/history.json")
    assert ["shared_sparsity" in terms for terms in history] == 5 * [False] + 2 * [True]
    code = VAE.load("run/code.safetensors")
    assert code.axes is not None
    assert (code.trained_with["epochs"], code.trained_with["after"]["epochs"]) == (2, 5)
    assert "SharedSparsity" in str(code.trained_with["penalties"])
    assert "Sparsity" not in str(code.trained_with["after"])
    assert read("run/configuration.json")["axes"] is True
    assert (scored / "run" / "axes_after_5" / "last.ckpt").is_file()
    result = call("report", "run", "--trust", "--examples", "5", "--shown", "1")
    assert result.exit_code == 0, result.output


def test_without_a_penalty_axes_are_chosen_and_nothing_follows(scored):
    assert scored_train("--sparsity", "0").exit_code == 0
    assert len(read("run/history.json")) == 1
    assert VAE.load("run/code.safetensors").axes is not None
    assert not list((scored / "run").glob("axes_after_*"))


@pytest.mark.parametrize("within", [0, 1])
def test_an_interrupted_run_goes_on_in_the_part_that_it_had_reached(scored, monkeypatch, within):
    """Epochs 0 to 4 come first, and two along the axes."""
    take_step = VAETraining.training_step

    def crash(module, batch, batch_idx):
        if module.through.penalties and module.trainer.current_epoch == within:
            raise KeyboardInterrupt
        return take_step(module, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(VAETraining, "training_step", crash)
        assert scored_train(epochs=5).exit_code != 0
    assert not Path("run/code.safetensors").exists()
    assert scored_train("--resume", epochs=5).exit_code == 0
    assert scored_train(epochs=5, out="at once").exit_code == 0
    assert same_code("run", "at once")
    assert read("run/history.json")[-1] == read("at once/history.json")[-1]


def test_more_epochs_go_on_before_the_axes_which_are_chosen_anew(scored):
    assert scored_train(epochs=1).exit_code == 0
    assert scored_train("--resume", epochs=5).exit_code == 0
    history = read("run/history.json")
    assert ["shared_sparsity" in terms for terms in history] == 5 * [False] + 2 * [True]
    assert scored_train("--overwrite", "--sparsity", "0", epochs=1).exit_code == 0
    assert not [name for name in content(scored / "run") if name.startswith("axes_after")]


@pytest.mark.slow
def test_several_codes_keep_the_axes_that_they_were_trained_along(scored):
    result = scored_train("--codes", "2")
    assert result.exit_code == 0, result.output
    for place in (0, 1):
        code = VAE.load(f"run/{runs.code_of(place)}")
        assert code.trained_with["after"]["epochs"] == 1
    assert (scored / "run" / "seed_1" / "axes_after_1" / "last.ckpt").is_file()


def test_games_have_no_axes(folder):
    with pytest.raises(ValueError, match="`--axes` must be left out for infogan"):
        train("--model", "infogan", axes=True)


def test_weights_follow_and_axes_are_held():
    torch.manual_seed(0)
    vae, predictor = VAE.dense((6,), 3, hidden=(8,)), torch.nn.Linear(6, 4)
    inputs = torch.randn(128, 6)
    turned = along_axes(vae, predictor, inputs, preprocess=None, task=None, seed=0)
    again = along_axes(vae, predictor, inputs, preprocess=None, task=None, seed=0)
    assert torch.equal(turned.axes.matrix, again.axes.matrix)
    assert vae.axes is None
    axes, weights = turned.axes.matrix.detach().clone(), turned.decoder.state_dict()
    weights = {name: tensor.clone() for name, tensor in weights.items()}
    sharpened(
        turned, predictor, inputs, penalties=[SharedSparsity()], max_epochs=1, learning_rate=None,
        progress=False, prediction_weight=1.0,
    )  # fmt: skip
    torch.testing.assert_close(turned.axes.matrix, axes, atol=1e-7, rtol=0)
    assert not any(
        torch.equal(tensor, weights[name]) for name, tensor in turned.decoder.state_dict().items()
    )
    assert turned.trained_with["learning_rate"] == 1.5e-3
    assert turned.trained_with["penalty_examples"] == 64


def test_penalties_have_three_epochs_in_seven_more():
    assert [epochs_along(epochs) for epochs in (1, 2, 7, 14, 20)] == [1, 1, 3, 6, 9]
