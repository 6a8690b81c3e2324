import warnings

import numpy as np
import pytest
import torch

from trimvae.data import arrays

BYTES = np.arange(256, dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.npz"


def pictures(count: int, *shape: int, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(dtype)


def test_arrays_of_ones_own(path):
    images = np.full((10, 3, 32, 32), 255, dtype=np.uint8)
    names = np.array([f"class {i}" for i in range(10)])
    np.savez(path, inputs=images, labels=np.arange(10), class_names=names)
    parts = arrays(path)
    assert parts.train_inputs.shape == (8, 3, 32, 32)
    assert parts.train_inputs.max() == 1
    assert parts.class_names == tuple(names)
    np.savez(path, inputs=np.zeros((4, 2)), test_inputs=np.ones((2, 2)))
    parts = arrays(path)
    assert parts.train_labels is None
    assert parts.test_inputs.tolist() == [[1, 1], [1, 1]]


def test_bad_files_are_refused(path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        arrays(path)
    np.savez(path, images=np.zeros(3))
    with pytest.raises(ValueError, match="must hold an array `inputs`. Got .*mine.npz with .'ima"):
        arrays(path)
    np.savez(path, inputs=np.array([object()]))
    with pytest.raises(ValueError, match="plain arrays"):
        arrays(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match="must be a whole .npz file of plain arrays. Got .*mine"):
        arrays(path)


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8), (8, 8)])
@pytest.mark.parametrize(("dtype", "white"), [("uint8", 255), ("uint16", 65535), (">u2", 65535)])
def test_pictures_in_bytes_are_divided_by_white(path, shape, dtype, white):
    images = np.zeros((6, *shape), dtype=dtype)
    images[..., 0], images[..., 1] = white, white // 5
    np.savez(path, inputs=images, test_inputs=images)
    parts = arrays(path)
    assert parts.train_inputs.dtype == torch.float32
    assert (parts.train_inputs[..., 0] == 1).all()
    assert parts.train_inputs[..., 1].unique().item() == pytest.approx(0.2)


def test_held_out_pictures_are_scaled_as_the_others_whatever_they_show(path):
    """The darkest and the brightest of them tell nothing of the rest."""
    dark = np.ones((4, 1, 8, 8), dtype=np.uint8)
    bright = pictures(4, 1, 8, 8)
    for first, second in ((dark, bright), (bright, dark)):
        np.savez(path, inputs=first, test_inputs=second)
        parts = arrays(path)
        assert torch.equal(parts.train_inputs, torch.from_numpy(first).float() / 255)
        assert torch.equal(parts.test_inputs, torch.from_numpy(second).float() / 255)


def test_masks_of_zero_and_one_stay(path):
    masks = pictures(6, 1, 8, 8) % 2
    np.savez(path, inputs=masks, test_inputs=masks)
    assert torch.equal(arrays(path).test_inputs, torch.from_numpy(masks).float())


@pytest.mark.parametrize(
    "values",
    [
        pictures(6, 64, 7, 7, dtype=np.float32),  # feature maps
        pictures(6, 64, 7, 7) // 3,
        pictures(6, 12, dtype=np.float64),  # a table
        pictures(6, 12) // 3,
        pictures(6, 12, dtype=np.int64) * 1000,
        pictures(6, 3, 8, 8, dtype=np.float32) - 128,
        pictures(6, 4) > 100,
    ],
)
def test_feature_maps_tables_and_signed_numbers_stay(path, values):
    np.savez(path, inputs=values, test_inputs=values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(arrays(path).test_inputs.numpy(), values.astype(np.float32))


@pytest.mark.parametrize(
    "values", [pictures(6, 3, 8, 8, dtype=np.float32), pictures(6, 1, 8, 8, dtype=np.int64),
               pictures(6, 64), pictures(6, 64, 7, 7)]
)  # fmt: skip
def test_what_may_be_pictures_stays_with_a_warning(path, values):
    np.savez(path, inputs=values, test_inputs=values)
    with pytest.warns(UserWarning, match=r"left as they are\. Save pictures as uint8 with 1 or 3"):
        parts = arrays(path)
    assert np.array_equal(parts.test_inputs.numpy(), values.astype(np.float32))


def test_channels_that_stand_last_are_put_first_in_every_part(path):
    images = pictures(4, 8, 6, 3)
    np.savez(path, inputs=images, test_inputs=images[:3])
    with pytest.warns(UserWarning, match="`inputs` must have channels first. Got .4, 8, 6, 3."):
        parts = arrays(path)
    expected = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    assert torch.equal(parts.train_inputs, expected)
    assert torch.equal(parts.test_inputs, expected[:3])


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"inputs": np.ones((4, 2)) * 1j}, "`inputs` must hold real numbers. Got complex128"),
        ({"inputs": np.array([["a"]])}, "`inputs` must hold real numbers. Got <U1"),
        ({"inputs": np.ones(4)}, r"`inputs` must hold examples.*Got shape \(4,\)"),
        ({"inputs": np.ones((4, 0))}, r"`inputs` must hold examples.*Got shape \(4, 0\)"),
        ({"inputs": np.full((4, 2), 1e300)}, r"`inputs` must fit torch.float32. Got .* 1e\+300"),
        ({"test_inputs": np.ones((4, 3))}, "`test_inputs` must be like `inputs`, float64 of shape"),
        ({"test_inputs": np.ones((4, 2), np.uint8)}, "`test_inputs` must be like .*Got uint8"),
    ],
)
def test_inputs_of_another_kind_are_refused(path, others, message):
    np.savez(path, **{"inputs": np.ones((4, 2)), **others})
    with pytest.raises(ValueError, match=message) as refused:
        arrays(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(3), r"`labels` must have one entry per example \(4\). Got shape \(3,\)"),
        (np.eye(4), r"Got shape \(4, 4\) in .*Save labels.argmax\(axis=1\)"),
        (np.array([0, 1, 0.5, 1]), r"`labels` must be class numbers .* Got others \(float64\)"),
        (np.array([0, 1, np.nan, 1]), "`labels` must be class numbers"),
        (np.array([0, 1, -1, 1]), "`labels` must be class numbers .* Got -1 to 1"),
        (np.array([0, 1, 2**63, 1], dtype=np.uint64), "`labels` must be class numbers"),
        (np.array(["a", "b", "a", "b"]), "`labels` must be class numbers"),
        (np.array([0, 1, 3, 1]), "`class_names` must name every class, up to label 3. Got 3"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(path, labels, message):
    names = np.array(["a", "b", "c"])
    np.savez(path, inputs=np.ones((4, 2)), labels=labels, class_names=names)
    with pytest.raises(ValueError, match=message):
        arrays(path)
    inputs = np.ones((4, 2))
    np.savez(path, inputs=inputs, test_inputs=inputs, test_labels=labels, class_names=names)
    with pytest.raises(ValueError, match=message.replace("`labels`", "`test_labels`")):
        arrays(path)


def test_whole_numbers_kept_as_floats_or_booleans_are_labels(path):
    for labels in (np.array([0.0, 1.0, 1.0, 0.0]), np.array([False, True, True, False])):
        np.savez(path, inputs=np.ones((4, 2)), test_inputs=np.ones((4, 2)), labels=labels)
        assert arrays(path).train_labels.tolist() == [0, 1, 1, 0]
        assert arrays(path).test_labels is None


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"test_labels": np.zeros(4)}, "`test_labels` must stand beside `test_inputs`"),
        ({"feature_names": np.array(["a"])}, "`feature_names` must name the 2 columns. Got 1"),
        ({"class_names": np.array("cat")}, r"`class_names` must be a row of names. Got <U3"),
        ({"class_names": np.array([0.5])}, "`class_names` must be a row of names. Got float64"),
        ({"class_names": np.array([b"\xff"])}, "`class_names` must be text in UTF-8"),
        ({"class_names": np.array(["a", "a"])}, "`class_names` must differ. Got a name twice"),
    ],
)
def test_names_and_labels_that_belong_to_nothing_are_refused(path, others, message):
    np.savez(path, inputs=np.ones((4, 2)), **others)
    with pytest.raises(ValueError, match=message):
        arrays(path)


def test_names_may_be_text_bytes_or_numbers(path):
    for names in (np.array(["ä", "b"]), np.array(["ä".encode(), b"b"]), np.array([7, 8])):
        np.savez(path, inputs=np.ones((4, 2)), labels=[0, 1, 1, 0], class_names=names)
        assert arrays(path).class_names == (("7", "8") if names.dtype.kind == "i" else ("ä", "b"))
    np.savez(path, inputs=np.ones((4, 2)), feature_names=np.array(["left", "right"]))
    assert arrays(path).feature_names == ("left", "right")


def test_other_arrays_are_named_and_not_read(path):
    np.savez(path, inputs=np.ones((4, 2)), lables=np.zeros(4), more=np.array([{}], dtype=object))
    with pytest.warns(UserWarning, match="Got .*mine.npz with lables, more besides, not read"):
        assert arrays(path).train_labels is None


def test_the_callers_precision_is_kept(path):
    for values in (np.full((4, 2), 0.1), np.full((4, 2), 0.1, np.longdouble)):
        np.savez(path, inputs=values, test_inputs=values)
        torch.set_default_dtype(torch.float64)
        try:
            assert arrays(path).test_inputs.tolist() == [[0.1, 0.1]] * 4
        finally:
            torch.set_default_dtype(torch.float32)
        assert arrays(path).test_inputs.dtype == torch.float32
