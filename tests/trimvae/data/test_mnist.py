import gzip
import resource
import struct

import numpy as np
import pytest
import torch

from trimvae.data import digits, fashion_mnist


def write_idx(path, values: np.ndarray, compress: bool) -> None:
    header = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    content = header + values.astype(np.uint8).tobytes()
    if compress:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


@pytest.fixture(params=[True, False], ids=["gz", "plain"])
def idx_folder(request, tmp_path):
    for prefix, count in (("train", 6), ("t10k", 3)):
        images = np.arange(count * 784).reshape(count, 28, 28) % 256
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte", images, request.param)
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte", np.arange(count), request.param)
    return tmp_path


def test_digits_are_real_split_once_and_for_all():
    first, second = digits(), digits()
    assert first.train_inputs.shape == (4000, 1, 28, 28)
    assert first.test_inputs.shape == (1000, 1, 28, 28)
    assert first.train_inputs.min() == 0
    assert first.train_inputs.max() == 1
    assert torch.equal(first.test_labels, second.test_labels)
    assert torch.bincount(first.test_labels).min() > 50


def test_idx_files_are_read_plain_and_gzipped(idx_folder):
    parts = fashion_mnist(idx_folder)
    assert parts.train_inputs.shape == (6, 1, 28, 28)
    assert parts.train_inputs[0, 0, 0, 5].item() == pytest.approx(5 / 255)
    assert parts.test_labels.tolist() == [0, 1, 2]
    assert parts.class_names[9] == "ankle boot"


def test_truncated_and_missing_idx_files_are_refused(idx_folder):
    (path,) = idx_folder.glob("train-images*")
    content = path.read_bytes()
    for broken in (content[:-20], content[:3], b"not an idx file"):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match="must hold whole idx files"):
            fashion_mnist(idx_folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="`folder` must hold train-images-idx3-ubyte"):
        fashion_mnist(idx_folder)


def rewrite(path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("train-images", (6, 28, 27), r"Got .*train-images.* \(shape \(6, 28, 27\)\)"),
        ("t10k-images", (4, 28, 28), r"Got .*t10k-images.* \(shape \(4, 28, 28\)\)"),
        ("train-images", (6, 784), r"Got .*train-images.* \(shape \(6, 784\)\)"),
        ("t10k-labels", (1, 3), r"Got .*t10k-labels.* \(shape \(1, 3\)\)"),
        ("t10k-labels", (4_000_000_000,), r"4,000,000,000 bytes in a file of"),
    ],
)
def test_what_is_not_fashion_mnists_shape_is_refused(idx_folder, name, shape, message):
    (path,) = idx_folder.glob(f"{name}*")
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    rewrite(path, header + bytes(min(5000, int(np.prod(shape)))))
    with pytest.raises(ValueError, match=message):
        fashion_mnist(idx_folder)


def test_more_bytes_than_said_are_refused_and_not_unpacked(idx_folder):
    """300 MB of zeros, packed to 300 kB."""
    (path,) = idx_folder.glob("train-labels*")
    header = struct.pack(">HBBI", 0, 8, 1, 6)
    rewrite(path, header + bytes(300_000_000 if path.suffix == ".gz" else 7))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"Got .*train-labels.* \(7 bytes or more for shape"):
        fashion_mnist(idx_folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_labels_that_fashion_mnist_does_not_have_are_refused(idx_folder):
    (path,) = idx_folder.glob("t10k-labels*")
    rewrite(path, struct.pack(">HBBI", 0, 8, 1, 3) + bytes([0, 10, 1]))
    with pytest.raises(ValueError, match=r"with labels below 10. Got .*t10k-labels.* with 10"):
        fashion_mnist(idx_folder)


def test_a_changed_byte_of_a_packed_file_is_found(tmp_path):
    for prefix, count in (("train", 6), ("t10k", 3)):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte", np.zeros((count, 28, 28)), True)
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte", np.arange(count), True)
    path = tmp_path / "train-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1  # of the checksum
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"Got .*train-labels.*CRC"):
        fashion_mnist(tmp_path)
