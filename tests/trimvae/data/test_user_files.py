import numpy as np
import pytest

from trimvae.data import arrays, image_folder


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
