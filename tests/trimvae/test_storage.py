import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from trimvae import storage
from trimvae.storage import (
    checksum,
    read_json,
    read_tensors,
    replacing,
    write_json,
    write_tensors,
    write_text,
)


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
def test_a_disk_that_refuses_is_said_and_leaves_the_old_file_alone(tmp_path, monkeypatch, broken):
    path = tmp_path / "metrics.json"
    write_text(path, "old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if broken == "fsync" else Path, broken, refuse)
    message = r"`path` must be where .* Got .*metrics.json \(No space left on device\). Make room"
    with pytest.raises(OSError, match=message) as raised:
        write_text(path, "new")
    assert raised.value.errno == 28
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


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "file"
    write_tensors(path, {"a": torch.zeros(1)}, "test", {})
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="`path` must be where .*File too large.*Make room"):
            write_tensors(path, {"a": torch.ones(4096)}, "test", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_are_written_to_the_very_file_that_replaces(tmp_path, monkeypatch):
    made, create = [], storage._create

    def watched(temporary, path):
        granted = create(temporary, path)
        made.append(temporary.stat().st_ino)
        return granted

    monkeypatch.setattr(storage, "_create", watched)
    write_tensors(tmp_path / "file", {"a": torch.zeros(1)}, "test", {})
    assert [(tmp_path / "file").stat().st_ino] == made  # not to one that a kill would leave


def test_every_precision_comes_back_as_it_was(tmp_path):
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    tensors = {str(kind): torch.tensor([[0, 1]]).to(kind) for kind in kinds}
    tensors |= {"scalar": torch.tensor(2.0), "empty": torch.zeros(0, 3)}
    write_tensors(tmp_path / "file", tensors, "test", {})
    found, _ = read_tensors(tmp_path / "file", "test")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\x00\x00\x80?", b"\x00\x00\x80>"),  # a value
        (b"weight", b"weighs"),
        (b"F32", b"I32"),
        (b"cat", b"cot"),
    ],
)
def test_a_file_that_was_changed_is_refused(tmp_path, old, new):
    path = tmp_path / "file"
    write_tensors(path, {"weight": torch.ones(3)}, "test", {"name": "cat"})
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"Got .*file, whose content differs from its checksum"):
        read_tensors(path, "test")


def test_a_file_of_the_first_version_has_no_checksum_and_is_read(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "file", {"format": "VAE", "name": '"cat"'})
    tensors, texts = read_tensors(tmp_path / "file", "VAE")
    assert tensors["a"].tolist() == [1, 1]
    assert texts == {"name": "cat"}
    save_file({"a": torch.ones(2)}, tmp_path / "file", {"format": "VAE", "name": "[" * 100_000})
    with pytest.raises(ValueError, match=r"Got .*file, whose texts cannot be read"):
        read_tensors(tmp_path / "file", "VAE")


def test_a_checksum_tells_names_values_shapes_and_precisions_apart():
    weights = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0])}
    others = [
        {"a": weights["a"]},
        {"a": weights["a"], "c": weights["b"]},
        {"a": weights["b"], "b": weights["a"]},
        {"a": weights["a"].flip(0), "b": weights["b"]},
        {"a": weights["a"].unsqueeze(0), "b": weights["b"]},
        {"a": weights["a"].view(torch.int32), "b": weights["b"]},
    ]
    sums = [checksum(each) for each in (weights, *others)]
    sums += [checksum(weights, {"name": text}) for text in ("x", "y")]
    assert len(set(sums)) == len(sums)
    assert checksum({"a": torch.stack([weights["a"]] * 2, 1)[:, 0], "b": weights["b"]}) == sums[0]


def test_json_that_is_none_names_the_file(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"ä": [1, None]})
    assert read_json(path) == {"ä": [1, None]}
    for content in (b"", b'{"half', b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"must be a whole JSON file. Got .*file\.json"):
            read_json(path)
    with pytest.raises(FileNotFoundError, match="Got .*none, which does not exist"):
        read_json(tmp_path / "none")


def test_a_checksum_is_taken_of_tensors_of_every_kind():
    values = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    kinds = [
        values,
        values.to(torch.complex64),
        values.to_sparse(),
        values.to(torch.bfloat16),
        torch.empty(0),
        torch.tensor(3),
    ]
    for kind in kinds:
        assert checksum({"a": kind}) == checksum({"a": kind.clone()})
    assert checksum({"a": (values * 1j).conj()}) == checksum({"a": values * -1j})
    assert len({checksum({"a": kind}) for kind in kinds[2:]}) == 4


def test_numbers_of_numpy_are_written_as_numbers(tmp_path):
    content = {"size": np.int64(3), "scale": np.float32(0.5), "rest": [np.float32(np.nan)]}
    plain = {"size": 3, "scale": 0.5, "rest": [None]}
    write_json(tmp_path / "run.json", content)
    assert read_json(tmp_path / "run.json") == plain
    write_tensors(tmp_path / "code", {"a": torch.ones(2)}, "code", {"asked": content})
    assert read_tensors(tmp_path / "code", "code")[1] == {"asked": plain}


def test_what_is_no_json_is_refused_and_writes_nothing(tmp_path):
    with pytest.raises(TypeError, match="`content` must be JSON. Got Tensor. Convert it first"):
        write_json(tmp_path / "run.json", {"a": torch.ones(2)})
    assert list(tmp_path.iterdir()) == []


def test_json_that_is_written_is_valid_where_figures_are_not_finite(tmp_path):
    write_json(tmp_path / "figures.json", {"a": float("nan"), "b": [float("inf"), np.float64(2)]})
    assert read_json(tmp_path / "figures.json") == {"a": None, "b": [None, 2.0]}
