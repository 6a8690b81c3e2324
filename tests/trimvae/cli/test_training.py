"""Training a prepared run: when it begins, what it writes, and in which order."""

import json

import torch

from tests.trimvae.cli.test_preparing import ASKED
from trimvae.cli.preparing import prepared
from trimvae.cli.starting import Start
from trimvae.cli.training import explained, finished, fitted, train_first, trained
from trimvae.models import VAE

QUIET = {"accelerator": "cpu", "progress": False}


def test_a_run_begins_after_its_first_step_and_says_so(folder):
    run, seen = prepared(ASKED, Start("run")), []

    def begun():
        seen.append(sorted(path.name for path in (folder / "run").iterdir()))

    with Start("run") as start:
        train_first(run, start, **QUIET, begun=begun)
    assert seen == [["configuration.json"]] * 2  # two steps of 32 in 80 rows
    assert len(json.loads((folder / "run" / "history.json").read_text())) == 1
    assert not (folder / "run" / "code.safetensors").exists()


def test_a_checkpoint_that_is_there_is_only_read(folder):
    run = prepared(ASKED, Start("run"))
    _, first = fitted(run, folder / "kept", resume=True, **QUIET)
    again = prepared(ASKED, Start("run"))
    code, history = fitted(again, folder / "kept", resume=True, **QUIET)
    assert history == first
    assert code is again.code
    for left, right in zip(run.code.parameters(), again.code.parameters(), strict=True):
        assert torch.equal(left, right)
    assert again.code.trained_with == run.code.trained_with


def test_what_is_finished_is_kept_with_the_code_that_explains(folder):
    run = prepared(ASKED, Start("run"))
    (folder / "run").mkdir()
    other = VAE.dense((6,), 2, hidden=(4,))
    opened = finished(run, folder / "run", other)
    assert opened.code is other
    assert VAE.load(folder / "run" / "code.safetensors").architecture == other.architecture
    assert torch.equal(opened.inputs, run.parts.test_inputs)
    explanation, metrics = explained(run, opened)
    assert explanation.code is other
    assert "total_correlation" in metrics


def test_training_ends_with_a_run_that_is_open(folder):
    run = prepared(ASKED, Start("run"))
    with Start("run") as start:
        opened = trained(run, start, **QUIET)
    assert opened.code is run.code
    assert opened.configuration["codes"] == 1
    assert (folder / "run" / "code.safetensors").is_file()
