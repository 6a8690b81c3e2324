import json
import os
import subprocess
import sys

import pytest

from tests.trimvae.cli.command_line import content
from trimvae.cli.cleaning import WRITTEN, WRITTEN_BY_DEMO
from trimvae.cli.runs import MARK
from trimvae.cli.starting import Start

SETTINGS = {"command": "train", "epochs": 3, "seed": 0, "class_names": ("a", "b")}


@pytest.fixture
def earlier(tmp_path):
    """A run of ours with every file that it can have, and files of the user's beside them."""
    folder = tmp_path / "run"
    Start(folder).begin(SETTINGS)
    for pattern in WRITTEN:
        path = folder / pattern.replace("[0-9]*", "312")
        path.parent.mkdir(exist_ok=True)
        path.write_text(pattern)
    return folder


def add_own_files(folder):
    own = ["notes.txt", "explanation/mine.png", "explanation/traversals_9.png", "explanation.png"]
    for name in own:
        (folder / name).write_text(f"years of work on {name}")
    return {name: content(folder)[name] for name in own}


def test_a_new_run_makes_its_folder_only_when_it_begins(tmp_path):
    start = Start(tmp_path / "deep" / "run")
    with start.training():
        assert list(tmp_path.iterdir()) == []
        start.begin(SETTINGS)
    recorded = json.loads((tmp_path / "deep" / "run" / "configuration.json").read_text())
    assert recorded == {**MARK, **SETTINGS, "class_names": ["a", "b"]}
    assert recorded["format"] == "trimvae run"


def test_overwriting_deletes_the_run_s_files_and_no_others(earlier):
    own = add_own_files(earlier)
    start = Start(earlier, overwrite=True)
    with start.training():
        start.begin({**SETTINGS, "seed": 5})
    found = content(earlier)
    assert json.loads(found.pop("configuration.json"))["seed"] == 5
    assert found == {"explanation": None, **own}


def test_overwriting_a_run_without_files_of_the_user_s_leaves_a_new_configuration_alone(earlier):
    Start(earlier, overwrite=True).begin(SETTINGS)
    assert set(content(earlier)) == {"configuration.json"}


def fill_with_demo_files(folder):
    for pattern in WRITTEN_BY_DEMO:
        path = folder / pattern.replace("*", "312")
        path.parent.mkdir(exist_ok=True)
        path.write_text(pattern)


def test_what_only_a_demo_writes_is_the_user_s_own_in_another_run(earlier):
    fill_with_demo_files(earlier)
    before = content(earlier)
    Start(earlier, overwrite=True).begin(SETTINGS)
    assert {name: before[name] for name in content(earlier)} == content(earlier)
    for name in ("classifier.py", "classifier.safetensors", "comparison.png"):
        assert (earlier / name).read_text() == name


def test_a_demo_never_writes_over_a_file_of_the_user_s(earlier):
    (earlier / "classifier.py").write_text("my own classifier")
    before = content(earlier)
    message = r"`out` must not hold your own classifier\.py, which a demo would write\. Got .*Move"
    with pytest.raises(FileExistsError, match=message):
        Start(earlier, overwrite=True).begin({**SETTINGS, "command": "demo"})
    assert content(earlier) == before


def test_a_demo_that_is_replaced_goes_as_a_whole_but_not_while_the_new_run_needs_it(tmp_path):
    folder = tmp_path / "demo"
    Start(folder).begin({**SETTINGS, "command": "demo"})
    fill_with_demo_files(folder)
    before, start = content(folder), Start(folder, overwrite=True)
    classifier = f"{folder / 'classifier.py'}:classifier"
    message = "`--overwrite` must leave what the new run needs. Got .*, a file of the run"
    for sources in ((classifier, None), (None, str(folder / "comparison.png"))):
        with pytest.raises(ValueError, match=message):
            start.check_kept(*sources)
    assert content(folder) == before
    start.check_kept(f"{tmp_path / 'classifier.py'}:classifier", None, "digits")
    start.begin(SETTINGS)
    assert set(content(folder)) == {"configuration.json"}


HOLD = """
import sys
from trimvae.cli.starting import Start
start = Start(sys.argv[1], overwrite=True)
with start.training():
    start.begin({"command": "train", "epochs": 3, "seed": 7})
print("begun", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no locks there")
@pytest.mark.parametrize("option", [{"overwrite": True}, {"resume": True}])
def test_two_processes_never_train_into_one_folder(earlier, option):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(earlier)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout.readline() == "begun\n"
        before, start = content(earlier), Start(earlier, **option)
        refused = pytest.raises(BlockingIOError, match="`--out` must not be in use. Got .*Wait for")
        with refused, start.training():
            start.begin(SETTINGS)
        assert content(earlier) == before
        other.kill()
    with Start(earlier, **option).training():
        pass  # a process that was killed keeps nobody out


def test_a_folder_is_free_again_when_its_block_ends(earlier):
    with Start(earlier, overwrite=True) as first, first.training():
        first.begin(SETTINGS)
        with pytest.raises(BlockingIOError), Start(earlier, resume=True).training():
            pass
    with Start(earlier, resume=True).training():
        assert first.begun  # it still lives, but its block has ended


def test_what_another_process_has_begun_meanwhile_stays(tmp_path):
    late = Start(tmp_path / "run")
    Start(tmp_path / "run").begin(SETTINGS)
    before = content(tmp_path)
    with pytest.raises(FileExistsError, match="which holds an earlier run"), late.training():
        late.begin({**SETTINGS, "seed": 1})
    assert content(tmp_path) == before


def test_an_interrupted_run_s_unfinished_files_go_with_it(earlier):
    (earlier / ".last.ckpt.0123abcd").write_text("half a checkpoint")
    (earlier / ".last.ckpt.backup-of-mine").write_text("kept")
    Start(earlier, overwrite=True).begin(SETTINGS)
    assert set(content(earlier)) == {"configuration.json", ".last.ckpt.backup-of-mine"}


@pytest.mark.parametrize(
    "configuration",
    [
        '{"command": "train", "classifier": "a.py:load", "epochs": 3}',  # of 0.1, or somebody's
        '{"name": "my project"}',
        '{"format": "something else"}',
        '{"format": "trimvae run"}',
        '{"format": "trimvae run", "format_version": "new"}',
        '{"x": {"format": "trimvae run", "format_version": 1}}',
        "[1, 2]",
        pytest.param("[" * 100_000, id="deep"),
        "not even JSON",
        "",
    ],
)
@pytest.mark.parametrize("option", [{"overwrite": True}, {"resume": True}, {}])
def test_a_folder_that_merely_holds_a_file_of_that_name_is_never_touched(
    tmp_path, configuration, option
):
    (tmp_path / "configuration.json").write_text(configuration)
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "thesis.tex").write_text("years of work")
    before = content(tmp_path)
    with pytest.raises(FileExistsError, match="`out` must be a new or empty folder") as refused:
        Start(tmp_path, **option)
    assert content(tmp_path) == before
    if "classifier" in configuration:
        assert "a run of trimvae 0.1, which has no mark. Delete it yourself" in str(refused.value)
    else:
        assert "which is not a run of ours. Choose another folder" in str(refused.value)


def test_an_earlier_run_stays_where_neither_is_asked_for(earlier):
    before = content(earlier)
    with pytest.raises(
        FileExistsError, match="holds an earlier run. Pass --overwrite or --resume, or choose"
    ):
        Start(earlier)
    assert content(earlier) == before


def test_both_at_once_are_refused(earlier):
    before = content(earlier)
    with pytest.raises(ValueError, match="`--resume` must not stand beside --overwrite"):
        Start(earlier, overwrite=True, resume=True)
    assert content(earlier) == before


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
def test_an_earlier_run_stays_whole_where_training_refuses(earlier, stop):
    before = content(earlier)
    start = Start(earlier, overwrite=True)
    with pytest.raises(stop), start.training():  # noqa: PT012
        assert not (earlier / "last.ckpt").exists()  # training asks for a folder without one
        raise stop
    assert content(earlier) == before


def test_a_checkpoint_that_a_killed_process_has_set_aside_comes_back(earlier):
    before = content(earlier)
    (earlier / "last.ckpt").rename(earlier / ".last.ckpt.set-aside")
    start = Start(earlier, resume=True)
    with start.training():
        assert (earlier / "last.ckpt").read_text() == "last.ckpt"
    assert content(earlier) == before


def test_other_settings_are_named_each_with_what_is_recorded_and_asked(earlier):
    before = content(earlier)
    start = Start(earlier, resume=True)
    asked = {**SETTINGS, "seed": 4, "class_names": ["a", "c"], "sparsity": 2.0}
    with pytest.raises(ValueError, match="must go on with the recorded settings") as refused:
        start.check_same(asked)
    said = str(refused.value)
    assert "seed: recorded 0, asked 4" in said
    assert "class_names: recorded ['a', 'b'], asked ['a', 'c']" in said
    assert "sparsity: recorded None, asked 2.0" in said
    assert "command" not in said
    assert content(earlier) == before


def test_the_same_settings_and_more_epochs_go_on(earlier):
    start = Start(earlier, resume=True)
    start.check_same(SETTINGS)
    start.check_same({**SETTINGS, "epochs": 9, "versions": {"torch": "3"}})
    before = content(earlier)
    start.begin(SETTINGS)
    assert content(earlier) == before
    start = Start(earlier, resume=True)
    start.begin({**SETTINGS, "epochs": 9})
    assert json.loads((earlier / "configuration.json").read_text())["epochs"] == 9
    assert content(earlier).keys() == before.keys()


def test_what_a_crash_leaves_before_the_first_checkpoint_can_be_gone_on_with(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".configuration.json.0123abcd").write_text("half a config")
    start = Start(run, resume=True)
    assert start.recorded is None
    start.begin(SETTINGS)
    start = Start(run, resume=True)
    assert start.recorded is not None
    start.check_same(SETTINGS)


def test_a_finished_run_without_its_checkpoint_is_not_trained_over(earlier):
    (earlier / "last.ckpt").unlink()
    before = content(earlier)
    with pytest.raises(ValueError, match="must find the run's last.ckpt. Got .*a finished run"):
        Start(earlier, resume=True)
    assert content(earlier) == before


@pytest.mark.parametrize("out", ["file.txt", "file.txt/run", "file.txt/deep/run"])
def test_a_file_is_no_folder(tmp_path, out):
    (tmp_path / "file.txt").write_text("mine")
    with pytest.raises(NotADirectoryError, match="`--out` must be a folder. Got .*in a file"):
        Start(tmp_path / out, overwrite=True)
    assert content(tmp_path) == {"file.txt": b"mine"}


def test_a_folder_that_cannot_be_written_to_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # permissions stop nobody who is root
    with pytest.raises(PermissionError, match="`--out` must be a folder that can be written to"):
        Start(tmp_path / "run")
    assert content(tmp_path) == {}


def test_links_are_followed_and_stay(tmp_path, earlier):
    link = tmp_path / "link"
    link.symlink_to(earlier)
    own = add_own_files(earlier)
    Start(link, overwrite=True).begin({**SETTINGS, "seed": 8})
    assert link.is_symlink()
    found = content(earlier)
    assert json.loads(found.pop("configuration.json"))["seed"] == 8
    assert found == {"explanation": None, **own}
    inside = link / "inner"
    Start(inside).begin(SETTINGS)
    assert (earlier / "inner" / "configuration.json").is_file()


def test_what_links_in_a_run_point_to_is_never_deleted(tmp_path, earlier):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "heatmap.png").write_text("a picture of mine")
    (elsewhere / "big.ckpt").write_text("on a large disk")
    for file in (earlier / "explanation").iterdir():
        file.unlink()
    (earlier / "explanation").rmdir()
    (earlier / "explanation").symlink_to(elsewhere)
    (earlier / "last.ckpt").unlink()
    (earlier / "last.ckpt").symlink_to(elsewhere / "big.ckpt")
    before = content(elsewhere)
    Start(earlier, overwrite=True).begin(SETTINGS)
    assert content(elsewhere) == before
    assert (earlier / "explanation").is_symlink()


def test_a_folder_of_a_file_s_name_is_not_deleted(earlier):
    (earlier / "metrics.json").unlink()
    (earlier / "metrics.json").mkdir()
    (earlier / "metrics.json" / "mine").write_text("kept")
    Start(earlier, overwrite=True).begin(SETTINGS)
    assert (earlier / "metrics.json" / "mine").read_text() == "kept"


@pytest.mark.parametrize("name", ["a::b", "file:y", "memory:x", "s3:run", "täst run"])
def test_names_that_look_like_addresses_are_folders(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    start = Start(name)
    assert start.folder == tmp_path / name
    start.begin(SETTINGS)
    assert (tmp_path / name / "configuration.json").is_file()
