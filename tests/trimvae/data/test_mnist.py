import gzip
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
