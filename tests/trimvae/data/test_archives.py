import io
import resource
import struct
import zipfile

import numpy as np
import pytest

from trimvae.data.archives import read_npz


def refusal(what: str) -> ValueError:
    return ValueError(f"refused: {what}")


def write_member(path, name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, content)


def header(shape: tuple[int, ...], dtype: str) -> bytes:
    stream = io.BytesIO()
    described = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, described)
    return stream.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_they_were_and_others_are_named(tmp_path, save):
    table, words = np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.array(["a", "ü"])
    save(tmp_path / "a.npz", table=table, words=words, empty=np.zeros((0, 3)), rest=table)
    found, others = read_npz(tmp_path / "a.npz", ["words", "table", "empty", "none"], refusal)
    assert set(found) == {"table", "words", "empty"}
    np.testing.assert_array_equal(found["table"], table)
    assert found["words"].tolist() == ["a", "ü"]
    assert found["empty"].shape == (0, 3)
    assert others == ["rest"]


def test_what_is_not_asked_for_is_not_read(tmp_path):
    objects = np.array([{"title": "a"}], dtype=object)
    np.savez(tmp_path / "a.npz", inputs=np.ones(3), metadata=objects)
    found, _ = read_npz(tmp_path / "a.npz", ["inputs"], refusal)
    assert found["inputs"].tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match=r"refused: metadata\.npy holds Python objects"):
        read_npz(tmp_path / "a.npz", ["metadata"], refusal)


def test_a_shape_is_compared_with_the_file_before_memory_is_asked_for(tmp_path):
    path = tmp_path / "a.npz"
    write_member(path, "inputs.npy", header((1_000_000_000,), "<f8"))
    assert path.stat().st_size < 300
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"refused: inputs\.npy has 0 bytes for \(1000000000,\)"):
        read_npz(path, ["inputs"], refusal)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
    write_member(path, "inputs.npy", header((-1, 4), "<f8"))
    with pytest.raises(ValueError, match=r"for \(-1, 4\)"):
        read_npz(path, ["inputs"], refusal)


def test_a_size_is_compared_with_that_of_the_file(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, inputs=np.ones(3))
    content = bytearray(path.read_bytes())
    central = content.rindex(b"PK\x01\x02")
    content[central + 24 : central + 28] = b"\xff\xff\xff\x7f"  # the size when unpacked
    path.write_bytes(content)
    with pytest.raises(ValueError, match="refused: inputs claims 2,147,483,647 bytes in a file of"):
        read_npz(path, ["inputs"], refusal)
    write_member(path, "inputs.npy", header((3,), "<f8") + bytes(24), zipfile.ZIP_BZIP2)
    with pytest.raises(ValueError, match="compressed as numpy.savez never does"):
        read_npz(path, ["inputs"], refusal)


def test_a_changed_value_or_name_is_found(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, inputs=np.full(3, 7, dtype=np.uint8), labels=np.zeros(3))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"\x07\x07\x07", b"\x07\x08\x07"))
    with pytest.raises(ValueError, match="refused: Bad CRC-32"):
        read_npz(path, ["inputs"], refusal)
    place = whole.rindex(b"labels.npy")  # in the directory at the end, which names what there is
    path.write_bytes(whole[:place] + b"lapels.npy" + whole[place + 10 :])
    with pytest.raises(ValueError, match="refused: File name in directory"):
        read_npz(path, ["inputs"], refusal)


def test_one_name_twice_and_an_unknown_version_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs.npy", header((0,), "<f8"))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("inputs.npy", header((0,), "<f8"))
    with pytest.raises(ValueError, match="two arrays are called inputs"):
        read_npz(path, ["inputs"], refusal)
    write_member(path, "inputs.npy", b"\x93NUMPY\x09\x00" + header((0,), "<f8")[8:])
    with pytest.raises(ValueError, match=r"version \(9, 0\) of NumPy's format"):
        read_npz(path, ["inputs"], refusal)


def test_an_error_without_words_is_named_by_its_kind(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", inputs=np.ones(3))

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(np.lib.format, "read_array", fail)
    with pytest.raises(ValueError, match="refused: MemoryError"):
        read_npz(tmp_path / "a.npz", ["inputs"], refusal)


def test_an_array_that_the_directory_hides_is_missed(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, inputs=np.ones(3), labels=np.zeros(3), names=np.array(["a"]))
    whole = path.read_bytes()
    place = whole.index(b"PK\x01\x02") + 32  # length of the first member's comment
    for length in (56, 112):  # as long as the entries behind it
        path.write_bytes(whole[:place] + struct.pack("<H", length) + whole[place + 2 :])
        with pytest.raises(ValueError, match="refused: arrays that overlap, or bytes that belong"):
            read_npz(path, ["inputs"], refusal)


def test_an_archive_written_to_a_pipe_is_read(tmp_path):
    """Its members are followed by their sizes, which were not known before."""

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def tell(self):
            raise OSError

    stream = Pipe()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("inputs", "labels"):
            archive.writestr(f"{name}.npy", header((3,), "|u1") + b"abc")
    (tmp_path / "a.npz").write_bytes(stream.getvalue())
    assert read_npz(tmp_path / "a.npz", ["inputs"], refusal).arrays["inputs"].tolist() == [*b"abc"]
