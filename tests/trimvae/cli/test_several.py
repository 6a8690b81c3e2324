"""Several codes of one run: trained in lanes, gone on with, compared, and explained with marks."""

import json
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trimvae.cli.command_line import call, content, train
from trimvae.cli import runs, several
from trimvae.cli.preparing import prepared
from trimvae.cli.starting import Start
from trimvae.explanation.explanation import Explanation
from trimvae.models import VAE
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


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """One processor, unless a test says otherwise."""
    monkeypatch.setattr(several, "_processors", lambda: 1)


@pytest.fixture
def scored(folder):
    """A working folder with a regression, whose target no column names."""
    (folder / "score.py").write_text(SCORE)
    np.savez("table.npz", inputs=np.load("table.npz")["inputs"])
    return folder


def several_codes(*more, codes=2, **options):
    return train("--classifier", "score.py:load", "--codes", codes, *more, **options)


def read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def weights(path):
    return [parameter.detach() for parameter in VAE.load(path).parameters()]


def same_codes(one, other, count=2):
    return all(
        torch.equal(left, right)
        for place in range(count)
        for left, right in zip(
            weights(Path(one) / runs.code_of(place)),
            weights(Path(other) / runs.code_of(place)),
            strict=True,
        )
    )


def test_every_code_is_kept_along_its_axes_with_what_they_have_in_common(scored):
    result = several_codes("--seed", "4", codes=3, epochs=2)
    assert result.exit_code == 0, result.output
    assert "The three codes " in result.output
    kept = content(scored / "run")
    assert {f"seed_{seed}/{name}" for seed in (5, 6) for name in ("last.ckpt", "history.json")} < (
        set(kept)
    )
    assert "seed_4" not in kept
    found = read("run/consensus.json")
    assert found["seeds"] == [4, 5, 6]
    assert found["files"][found["reference"]] == "code.safetensors"
    assert sorted(found["files"]) == [
        "code.safetensors",
        "code_1.safetensors",
        "code_2.safetensors",
    ]
    assert len(found["found_in"]) == 2
    for place, name in enumerate(found["files"]):
        code = VAE.load(scored / "run" / name)
        assert code.axes is not None
        assert code.latent_names == ("axis0", "axis1")
        assert code.trained_with["seed"] == found["seeds"][place]
        assert code.trained_with["epochs"] == 2
    assert read("run/configuration.json")["codes"] == 3
    assert len(read("run/history.json")) == len(read("run/seed_6/history.json")) == 2
    assert read("run/history.json") != read("run/seed_6/history.json")
    assert "dimension_wise_kl" in read("run/metrics.json")
    explanation = Explanation.load(scored / "run" / "explanation" / "explanation.safetensors")
    assert explanation.recurrence == (tuple(found["found_in"]), 3)


def test_explain_and_report_pick_up_the_marks(scored):
    assert several_codes().exit_code == 0
    found = read("run/consensus.json")
    marks = {**found, "found_in": [2, 1]}
    Path("run/consensus.json").write_text(json.dumps(marks))
    result = call("explain", "run", "--trust", "--examples", "5")
    assert "found again in 2 of 2 codes" in result.output.replace("\n", " ")
    explanation = Explanation.load(scored / "run" / "explanation" / "explanation.safetensors")
    assert explanation.recurrence == ((2, 1), 2)
    assert call("report", "run", "--trust", "--examples", "5", "--shown", "1").exit_code == 0
    page = Path("run/report.html").read_text("utf-8")
    assert "found again in 2 of 2 codes" in page
    assert "found in no other of 2 codes" in page
    Path("run/consensus.json").unlink()
    call("explain", "run", "--trust", "--examples", "5")
    explanation = Explanation.load(scored / "run" / "explanation" / "explanation.safetensors")
    assert explanation.recurrence is None


def test_a_machine_is_told_what_is_in_common(scored):
    result = several_codes("--json")
    found = json.loads(result.stdout)["consensus"]
    assert found["in_words"] == read("run/consensus.json")["in_words"]
    assert "consensus" not in json.loads(train("--json", out="one").stdout)
    assert not Path("one/consensus.json").exists()


def test_an_ivae_is_trained_several_times_as_well(scored):
    rows = np.load("table.npz")["inputs"]
    np.savez("table.npz", inputs=rows, labels=np.arange(len(rows)) % 3)
    result = several_codes("--model", "ivae")
    assert result.exit_code == 0, result.output
    assert call("explain", "run", "--trust", "--examples", "3").exit_code == 0


def crash_in(monkeypatch, seed):
    """Interrupt the second epoch of the training of this seed."""
    take_step = VAETraining.training_step

    def crash(module, batch, batch_idx):
        if module.seed == seed and module.trainer.current_epoch == 1:
            raise KeyboardInterrupt
        return take_step(module, batch, batch_idx)

    monkeypatch.setattr(VAETraining, "training_step", crash)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_interrupted_run_goes_on_and_ends_as_one_that_was_not(scored, monkeypatch, seed):
    with monkeypatch.context() as patched:
        crash_in(patched, seed)
        assert several_codes(epochs=3).exit_code != 0
    assert not Path("run/code.safetensors").exists()
    assert Path("run/seed_1/last.ckpt").exists() == (seed == 1)
    assert several_codes("--resume", epochs=3).exit_code == 0
    assert several_codes(epochs=3, out="at once").exit_code == 0
    assert same_codes("run", "at once")
    assert read("run/consensus.json") == read("at once/consensus.json")
    assert read("run/seed_1/history.json") == read("at once/seed_1/history.json")


def test_more_epochs_go_on_for_every_code_and_other_counts_are_refused(scored):
    assert several_codes().exit_code == 0
    before = content(scored)
    for asked in (1, 3):
        with pytest.raises(
            ValueError, match=f"recorded settings.*codes: recorded 2, asked {asked}"
        ):
            several_codes("--resume", codes=asked)
        assert content(scored) == before
    assert several_codes("--resume", epochs=2).exit_code == 0
    assert len(read("run/history.json")) == len(read("run/seed_1/history.json")) == 2
    epochs = [VAE.load(f"run/{runs.code_of(place)}").trained_with["epochs"] for place in (0, 1)]
    assert epochs == [2, 2]


def test_a_run_of_several_that_is_replaced_by_one_leaves_nothing_but_the_user_s_files(scored):
    assert several_codes().exit_code == 0
    Path("run/seed_1/notes.txt").write_text("mine")
    assert train("--overwrite").exit_code == 0
    left = set(content(scored / "run"))
    assert {name for name in left if name.startswith(("seed", "code_", "cons"))} == {
        "seed_1",
        "seed_1/notes.txt",
    }


@pytest.mark.slow
def test_codes_that_are_trained_side_by_side_are_those_trained_one_after_another(
    scored, monkeypatch
):
    """With two processors the second code is trained in a process of its own."""
    assert several_codes(codes=3, out="one by one").exit_code == 0
    helped = []
    wait = several.Helpers.wait

    def waited(helpers):
        helped.append(Path("run/seed_2/history.json").exists())  # the third is trained here
        wait(helpers)
        helped.extend(process.exitcode for process in helpers._processes)
        helped.append(Path("run/seed_1/history.json").exists())

    monkeypatch.setattr(several.Helpers, "wait", waited)
    monkeypatch.setattr(several, "_processors", lambda: 2)
    assert several_codes(codes=3).exit_code == 0
    assert helped == [True, 0, True]
    assert same_codes("run", "one by one", count=3)
    assert read("run/consensus.json") == read("one by one/consensus.json")


def fail(folder, places, accelerator):
    os._exit(3)


def linger(folder, places, accelerator):
    time.sleep(600)


@pytest.mark.slow
def test_what_a_helper_leaves_undone_is_made_up_for(scored, monkeypatch):
    monkeypatch.setattr(several, "_processors", lambda: 2)
    monkeypatch.setattr(several, "train_lane", fail)
    assert several_codes().exit_code == 0
    assert Path("run/seed_1/last.ckpt").exists()


def test_helpers_end_with_the_run_whatever_ends_it(scored, monkeypatch):
    monkeypatch.setattr(several, "train_lane", linger)
    with pytest.raises(KeyboardInterrupt), several.Helpers(scored, 2, 2, "cpu") as helpers:  # noqa: PT012
        helpers.begin()
        helpers.begin()
        assert [process.is_alive() for process in helpers._processes] == [True]
        raise KeyboardInterrupt
    assert [process.is_alive() for process in helpers._processes] == [False]
    with several.Helpers(scored, 2, 2, "cpu") as unused:
        assert not unused._processes[0].is_alive()


def test_a_helper_whose_run_has_ended_stops(monkeypatch):
    class Parent:
        alive = True

        def is_alive(self):
            return self.alive

    ended = []
    monkeypatch.setattr(multiprocessing, "parent_process", Parent)
    monkeypatch.setattr(os, "_exit", ended.append)
    several._WithParent().on_train_batch_start()
    assert ended == []
    monkeypatch.setattr(Parent, "alive", False)
    several._WithParent().on_train_batch_start()
    assert ended == [1]


def test_a_lane_trains_what_the_recorded_settings_say(scored, monkeypatch):
    """What a helper does, in this process: its output is its own."""
    from tests.trimvae.cli.test_preparing import ASKED

    asked = ASKED._replace(classifier="score.py:load", seed=2, codes=3)
    run = prepared(asked, Start("run"))
    Start("run").begin(run.configuration)
    streams = several.sys.stdout, several.sys.stderr
    try:
        several.train_lane(scored / "run", range(2, 3), "cpu")
    finally:
        said = several.sys.stdout
        several.sys.stdout, several.sys.stderr = streams
        said.close()
    assert set(content(scored / "run")) == {
        "configuration.json",
        "seed_4",
        "seed_4/last.ckpt",
        "seed_4/history.json",
    }


def test_small_codes_share_the_processors_and_large_ones_have_them_all(scored, monkeypatch):
    from tests.trimvae.cli.test_preparing import ASKED

    run = prepared(ASKED._replace(classifier="score.py:load", codes=3), Start("run"))
    lanes = {}
    for processors in (1, 2, 8):
        monkeypatch.setattr(several, "_processors", lambda count=processors: count)
        lanes[processors] = several.lanes_for(run, "cpu")
    assert lanes == {1: 1, 2: 2, 8: 3}
    assert several.lanes_for(run, "gpu") == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert several.lanes_for(run, "auto") == 1
    for bound in ("_MOST_PARAMETERS", "_MOST_BYTES"):
        with monkeypatch.context() as patched:
            patched.setattr(several, bound, 100)
            assert several.lanes_for(run, "cpu") == 1


def test_threads_come_back(monkeypatch):
    threads = torch.get_num_threads()
    with several.one_thread(True):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads
