"""Signals in the middle of commands: the line, the exit code, and what is left on disk."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.trimvae.cli.command_line import content
from trimvae.cli.interrupting import Terminated, interruptible, terminable
from trimvae.models import VAE


def start(*arguments):
    """Call the command line in a process of its own."""
    program = "from trimvae.cli.entry import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "dumb"},
    )


def until(process, path, seconds=120):
    """Wait until a process has written a file."""
    ends = time.monotonic() + seconds
    while not path.exists():
        if process.poll() is not None or time.monotonic() > ends:
            process.kill()
            pytest.fail(process.communicate()[1])
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_training_that_is_interrupted_says_how_to_go_on_and_does(folder, sent, code):
    training = (
        "train", "--classifier", "my_model.py:load", "--data", "table.npz", "--out", "run",
        "--latent-size", "2", "--batch-size", "32", "--no-axes",
    )  # fmt: skip
    process = start(*training, "--epochs", "100000")
    until(process, folder / "run" / "last.ckpt")
    process.send_signal(sent)
    _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    line = said.strip().splitlines()[-1]
    assert line.startswith("interrupted: " if sent == signal.SIGINT else "terminated: ")
    assert "--resume goes on" in line
    assert "Traceback" not in said
    assert not [name for name in content(folder / "run") if "/." in name or name.startswith(".")]
    json.loads((folder / "run" / "configuration.json").read_text())


SLOW = """
import pathlib, time, torch, my_model

class Slow(torch.nn.Sequential):
    def forward(self, inputs):
        pathlib.Path("waiting").touch()
        time.sleep(600)

def load():
    return Slow(my_model.load())
"""


@pytest.mark.parametrize(
    ("command", "sent", "code"),
    [
        ("explain", signal.SIGTERM, 143),
        pytest.param("evaluate", signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param("report", signal.SIGTERM, 143, marks=pytest.mark.slow),
    ],
)
def test_a_command_that_reads_leaves_what_was_there(run, folder, command, sent, code):
    before = content(run)
    (folder / "slow.py").write_text(SLOW)
    named = ("--classifier", "slow.py:load", "--preprocess", "my_model.py:preprocessing")
    process = start(command, "run", *named)
    until(process, folder / "waiting")
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Run the command again" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert content(run) == before
    assert VAE.load(run / "code.safetensors").latent_size == 2


@pytest.mark.slow
def test_a_demo_that_is_interrupted_says_how_to_go_on(folder):
    process = start("demo", "--dataset", "breast-cancer", "--out", "new", "--epochs", "100000")
    until(process, folder / "new" / "configuration.json")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1].startswith("interrupted: ")
    assert "Traceback" not in said
    json.loads((folder / "new" / "configuration.json").read_text())


def test_sigterm_interrupts_a_block_and_is_what_it_was_afterwards():
    def ended():
        with terminable():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated):
        ended()
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_signals_are_left_alone():
    seen = []

    def work():
        with terminable():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_what_is_not_interrupted_is_passed_on(capsys):
    assert interruptible(lambda value: value + 1, "again.")(2) == 3

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match="130"):
        interruptible(interrupted, "again.")()
    assert capsys.readouterr().err == "interrupted: again.\n"
