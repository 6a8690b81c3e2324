import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trimvae import storage
from trimvae.storage import read_tensors, replacing, write_json, write_tensors, write_text


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def permissions(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("stop", [OSError("disk full"), KeyboardInterrupt(), SystemExit(1)])
def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path, stop):
    path = tmp_path / "metrics.json"
    write_json(path, {"agreement": 1})
    with pytest.raises(type(stop)), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text('{"agree')
        raise stop
    assert path.read_text() == '{\n  "agreement": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_a_first_write_that_breaks_off_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), replacing(tmp_path / "new") as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken):
    path = tmp_path / "metrics.json"
    write_text(path, "old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if broken == "fsync" else Path, broken, refuse)
    with pytest.raises(OSError, match="No space left on device"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_is_there_until_the_new_one_is_on_the_disk(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_text(path, "old")
    happened = []
    flush, replace = os.fsync, Path.replace

    def noted_flush(handle):
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        happened.append((f"flush {kind}", path.read_text()))
        flush(handle)

    def noted_replace(source, target):
        happened.append(("replace", path.read_text()))
        assert source.parent == target.parent  # one file system, so that this is a single act
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_flush)
    monkeypatch.setattr(Path, "replace", noted_replace)
    write_text(path, "new")
    assert happened == [("flush file", "old"), ("replace", "old"), ("flush folder", "new")]


def test_a_folder_that_cannot_be_flushed_is_no_error(tmp_path, monkeypatch):
    flush = os.fsync

    def only_files(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        flush(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"


def test_a_killed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    write_text(path, "old")
    program = (
        "import os, sys\n"
        "from trimvae.storage import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -9
    assert path.read_text() == "old"
    (left,) = set(tmp_path.iterdir()) - {path}
    assert left.name.startswith(".metrics.json.")
    write_text(path, "new")
    assert path.read_text() == "new"


def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path, umask):
    for mask, wanted in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        umask(mask)
        write_text(tmp_path / f"{mask}", "new")
        write_tensors(tmp_path / f"tensors {mask}", {"a": torch.zeros(1)}, "test", {})
        assert permissions(tmp_path / f"{mask}") == wanted
        assert permissions(tmp_path / f"tensors {mask}") == wanted


def test_a_replaced_file_keeps_its_permissions(tmp_path, umask):
    path = tmp_path / "file"
    for mode in (0o600, 0o664, 0o444):
        path.unlink(missing_ok=True)
        path.write_text("old")
        path.chmod(mode)
        write_text(path, "new")
        assert permissions(path) == mode
        assert path.read_text() == "new"


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    target = tmp_path / "disk" / "big.ckpt"
    target.write_text("old")
    link = tmp_path / "last.ckpt"
    link.symlink_to("disk/big.ckpt")
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert set(tmp_path.rglob("*")) == {tmp_path / "disk", target, link}
    target.unlink()
    write_text(link, "newest")  # a link to a file that is not there yet
    assert link.is_symlink()
    assert target.read_text() == "newest"


def test_a_file_on_another_file_system_is_replaced_in_one_act(tmp_path, monkeypatch):
    """A temporary folder of another file system is not used."""
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("one file system only")
    monkeypatch.setenv("TMPDIR", str(other))
    write_text(tmp_path / "file", "old")
    with replacing(tmp_path / "file") as temporary:
        assert temporary.stat().st_dev == (tmp_path / "file").stat().st_dev
        temporary.write_text("new")
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("nowhere/file", FileNotFoundError, "must be in a folder that exists. Got .*nowhere/file"),
        ("file/below", NotADirectoryError, "must be in a folder. Got .*file/below"),
        ("folder", IsADirectoryError, "`path` must be a file. Got .*folder, which is a folder"),
        ("pipe", ValueError, "must be a plain file or new. Got .*pipe, which is a device, pipe"),
    ],
)
def test_where_nothing_can_be_written_the_error_says_why(tmp_path, path, error, message):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        write_text(tmp_path / path, "new")
    assert set(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_without_permission_is_said(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(storage.os, "open", refuse)  # permissions stop nobody who is root
    with pytest.raises(PermissionError, match="`path` must be in a folder that can be written to"):
        write_text(tmp_path / "file", "new")


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # it ended last
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_and_texts_come_back_as_they_were(tmp_path):
    path = tmp_path / "file"
    column = torch.arange(6.0).view(2, 3)[:, 1]  # not contiguous
    write_tensors(path, {"column": column}, "test", {"name": "ç", "nothing": None})
    tensors, texts = read_tensors(path, "test")
    assert torch.equal(tensors["column"], column)
    assert texts == {"name": "ç", "nothing": None}


def test_a_file_of_another_kind_is_refused(tmp_path):
    write_tensors(tmp_path / "file", {"a": torch.zeros(1)}, "VAE", {})
    with pytest.raises(ValueError, match="must be a file that Explanation.save wrote"):
        read_tensors(tmp_path / "file", "Explanation")


def test_a_truncated_or_missing_file_is_refused(tmp_path):
    write_tensors(tmp_path / "file", {"a": torch.zeros(100)}, "VAE", {})
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:100])
    with pytest.raises(ValueError, match="which is truncated or of another kind"):
        read_tensors(tmp_path / "file", "VAE")
    with pytest.raises(FileNotFoundError, match="Got .*nothing, which does not exist"):
        read_tensors(tmp_path / "nothing", "VAE")


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path, monkeypatch):
    from safetensors import SafetensorError
    from safetensors import torch as safetensors

    path = tmp_path / "file"
    write_tensors(path, {"a": torch.zeros(1)}, "test", {})
    before = path.read_bytes()

    def fail(*_):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(safetensors, "save_file", fail)
    with pytest.raises(OSError, match="`path` must be where .*No space left.*Make room"):
        write_tensors(path, {"a": torch.ones(1)}, "test", {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
