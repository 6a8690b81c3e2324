import gzip
import struct

import numpy as np
import pytest
import torch

from trimvae.data import arrays, digits, fashion_mnist, image_folder, split


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


def test_splitting_parts_every_example_once_and_leaves_the_generator():
    state = torch.get_rng_state()
    inputs = torch.arange(10.0)[:, None]
    parts = split(inputs, torch.arange(10), test_share=0.3, seed=4)
    together = torch.cat([parts.train_inputs, parts.test_inputs])
    assert sorted(together[:, 0].tolist()) == list(range(10))
    assert (parts.train_inputs[:, 0] == parts.train_labels).all()
    assert len(parts.test_inputs) == 3
    assert torch.equal(state, torch.get_rng_state())
    for share in (0, 1, 0.001):
        with pytest.raises(ValueError, match="`test_share` must leave examples"):
            split(inputs, test_share=share)


def test_idx_files_are_read_plain_and_gzipped(idx_folder):
    parts = fashion_mnist(idx_folder)
    assert parts.train_inputs.shape == (6, 1, 28, 28)
    assert parts.train_inputs[0, 0, 0, 5].item() == pytest.approx(5 / 255)
    assert parts.test_labels.tolist() == [0, 1, 2]
    assert parts.class_names[9] == "ankle boot"


def test_truncated_and_missing_idx_files_are_refused(idx_folder):
    (path,) = idx_folder.glob("train-images*")
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(ValueError, match="must hold whole idx files"):
        fashion_mnist(idx_folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="`folder` must hold train-images-idx3-ubyte"):
        fashion_mnist(idx_folder)


def test_arrays_of_ones_own(tmp_path):
    path = tmp_path / "mine.npz"
    images = np.full((10, 3, 32, 32), 255, dtype=np.uint8)
    np.savez(path, inputs=images, labels=np.arange(10), class_names=np.array(["a", "b"]))
    parts = arrays(path)
    assert parts.train_inputs.shape == (8, 3, 32, 32)
    assert parts.train_inputs.max() == 1
    assert parts.class_names == ("a", "b")
    np.savez(path, inputs=np.zeros((4, 2)), test_inputs=np.ones((2, 2)))
    parts = arrays(path)
    assert parts.train_labels is None
    assert parts.test_inputs.tolist() == [[1, 1], [1, 1]]


def test_bad_arrays_are_refused(tmp_path):
    path = tmp_path / "mine.npz"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        arrays(path)
    np.savez(path, images=np.zeros(3))
    with pytest.raises(ValueError, match="must hold an array `inputs`"):
        arrays(path)
    np.savez(path, inputs=np.zeros((3, 2)), labels=np.zeros(4))
    with pytest.raises(ValueError, match=r"`labels` must have one entry per example \(3\)"):
        arrays(path)
    np.savez(path, inputs=np.array([object()]))
    with pytest.raises(ValueError, match="plain arrays"):
        arrays(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="must be a whole"):
        arrays(path)


def test_a_folder_of_images_has_one_subfolder_per_class(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name, colour in {"red": (255, 0, 0), "blue": (0, 0, 255)}.items():
        (tmp_path / name).mkdir()
        for index in range(3):
            image.new("RGB", (40, 30), colour).save(tmp_path / name / f"{index}.png")
    parts = image_folder(tmp_path, size=(32, 28), test_share=0.5)
    assert parts.class_names == ("blue", "red")
    assert parts.train_inputs.shape == (3, 3, 32, 28)
    pixel = parts.test_inputs[0, :, 0, 0].tolist()
    assert pixel == ([0, 0, 1] if parts.test_labels[0] == 0 else [1, 0, 0])
    assert image_folder(tmp_path, channels=1).train_inputs.shape[1:] == (1, 30, 40)
    with pytest.raises(ValueError, match="`channels` must be 1 or 3"):
        image_folder(tmp_path, channels=2)
    with pytest.raises(FileNotFoundError, match="one subfolder of images per class"):
        image_folder(tmp_path / "red")


def test_floats_up_to_255_and_channels_last_are_recognised_and_said(tmp_path):
    images = np.zeros((4, 8, 6, 3), dtype=np.float32)
    images[:, 2, 1, 0] = 255
    np.savez(tmp_path / "images.npz", inputs=images, feature_names=np.array(["unused"]))
    with (
        pytest.warns(UserWarning, match="`inputs` must have channels first"),
        pytest.warns(UserWarning, match="`inputs` must be images in .0, 1.. Got values up to 255"),
    ):
        parts = arrays(tmp_path / "images.npz")
    assert parts.train_inputs.shape[1:] == (3, 8, 6)
    assert (parts.train_inputs[:, 0, 2, 1] == 1).all()
    assert parts.feature_names == ("unused",)
