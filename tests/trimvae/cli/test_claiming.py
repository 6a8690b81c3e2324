import os
import signal
import sys

import pytest

from tests.trimvae.cli.command_line import call, content, train
from tests.trimvae.cli.test_interrupting import start, until
from trimvae.cli.claiming import lock, made_for, report_claimed

COMMANDS = {"explain": "run/explanation", "evaluate": "run", "report": "run"}

locks = pytest.mark.skipif(sys.platform == "win32", reason="folders have no locks there")


@locks
@pytest.mark.slow
def test_a_second_process_is_refused_while_the_first_explains_and_welcome_afterwards(run, folder):
    (folder / "slow.py").write_text(
        "import pathlib, time, my_model\n"
        "def load():\n"
        "    pathlib.Path('waiting').touch()\n"
        "    time.sleep(600)\n"
    )
    before = content(run)
    named = ("--preprocess", "my_model.py:preprocessing", "--out", "new/place")
    first = start("explain", "run", "--classifier", "slow.py:load", *named)
    until(first, folder / "waiting")
    with pytest.raises(BlockingIOError, match="`--out` must not be in use. Got new/place, to wh"):
        call("explain", "run", "--classifier", "my_model.py:load", *named)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert not (folder / "new").exists()  # it was made for nothing
    assert call("explain", "run", "--classifier", "my_model.py:load", *named).exit_code == 0
    assert (folder / "new" / "place" / "heatmap.png").is_file()
    assert content(run) == before


@locks
@pytest.mark.parametrize("command", ["explain", "evaluate"])
def test_a_folder_into_which_another_process_writes_is_refused_at_once(run, command):
    (run / "explanation").mkdir(exist_ok=True)
    handle = lock(run.parent / COMMANDS[command], "--out")
    before = content(run)
    with pytest.raises(BlockingIOError, match="must not be in use. Got run.*another process write"):
        call(command, "run", "--trust")
    assert content(run) == before
    os.close(handle)
    assert call(command, "run", "--trust").exit_code == 0


@locks
def test_a_report_that_another_process_writes_is_refused_and_one_beside_it_is_not(run):
    with report_claimed(run, None):
        with pytest.raises(BlockingIOError, match="Got .*report.html, to which another process"):
            call("report", "run", "--trust")
        assert call("report", "run", "--trust", "--out", "run/other.html").exit_code == 0
    assert call("report", "run", "--trust").exit_code == 0
    assert not list(run.glob(".*"))


@locks
def test_two_trainings_into_one_new_folder_the_second_is_refused_before_it_loads_anything(folder):
    (folder / "run").mkdir()
    handle = lock(folder / "run", "--out")
    (folder / "my_model.py").write_text("raise SystemExit('loaded')\n")
    with pytest.raises(BlockingIOError, match="`--out` must not be in use"):
        train()
    assert content(folder / "run") == {}
    os.close(handle)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(run, monkeypatch, command):
    before = content(run)
    permitted = os.access  # for root everything is, without this
    monkeypatch.setattr(os, "access", lambda path, mode: mode == os.R_OK and permitted(path, mode))
    (run.parent / "my_model.py").write_text("raise SystemExit('loaded')\n")
    with pytest.raises(PermissionError, match="must be a folder that can be written to"):
        call(command, "run", "--trust")
    assert content(run) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_run_is_refused_and_nothing_is_made_in_it(folder, command):
    with pytest.raises(FileNotFoundError, match="`run` must be the folder of a run"):
        call(command, "nowhere", "--trust")
    assert not (folder / "nowhere").exists()


def test_a_folder_that_stays_empty_goes_with_those_above_it_that_were_made(tmp_path):
    with made_for(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with made_for(tmp_path / "a" / "b"):
        (tmp_path / "a" / "file").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    os.close(lock(tmp_path, "--out"))
