import numpy as np
import pytest
import torch

from trimvae.data import dsprites_file, mpi3d_file, shapes3d_file


def write_dsprites(path, *, shuffled: bool = False) -> np.ndarray:
    sizes = (1, 3, 2, 2, 2, 2)
    classes = np.indices(sizes).reshape(6, -1).T
    images = np.random.default_rng(0).integers(0, 2, (len(classes), 64, 64)).astype(np.uint8)
    values = classes + 0.5
    if shuffled:
        values = values[::-1]
    np.savez(
        path,
        imgs=images,
        latents_classes=classes,
        latents_values=values,
        metadata=np.array({"title": "dsprites"}, dtype=object),
    )
    return images


def test_a_dsprites_file_is_read_without_its_pickled_metadata(tmp_path):
    images = write_dsprites(tmp_path / "d.npz")
    data = dsprites_file(tmp_path / "d.npz")
    assert data.factor_names == ("shape", "scale", "orientation", "x", "y")
    assert data.factor_sizes == (3, 2, 2, 2, 2)
    assert torch.equal(data[5], torch.from_numpy(images[5:6]).float())
    assert torch.equal(
        data.sample(data.factors[[47, 3, 3]])[2, 0], torch.from_numpy(images[3]).float()
    )


def test_a_3d_shapes_file_is_read_lazily_with_channels_first(tmp_path):
    h5py = pytest.importorskip("h5py")
    sizes = (2, 1, 2, 1, 2, 3)
    labels = np.indices(sizes).reshape(6, -1).T / 7
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 64, 64, 3)).astype(np.uint8)
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["images"], file["labels"] = images, labels
    data = shapes3d_file(tmp_path / "s.h5")
    assert data.factor_sizes == sizes
    expected = torch.from_numpy(images[[7, 2, 7]]).float().movedim(-1, 1) / 255
    torch.testing.assert_close(data.images_at(torch.tensor([7, 2, 7])), expected)


def test_an_mpi3d_file_is_read_by_its_sizes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3)).astype(np.uint8)
    np.savez(tmp_path / "m.npz", images=images)
    data = mpi3d_file(tmp_path / "m.npz", factor_sizes=(2, 1, 2, 1, 2, 1, 2))
    assert data.factor_names[-1] == "vertical_axis"
    torch.testing.assert_close(data[9], torch.from_numpy(images[9]).float().movedim(-1, 0) / 255)


@pytest.mark.parametrize("reader", [dsprites_file, shapes3d_file, mpi3d_file])
def test_missing_and_corrupt_files_are_named(reader, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        reader(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"PK\x03\x04 not a file")
    with pytest.raises(ValueError, match="whole file of the published form"):
        reader(tmp_path / "bad")


def test_files_of_another_form_are_refused(tmp_path):
    write_dsprites(tmp_path / "d.npz", shuffled=True)
    with pytest.raises(ValueError, match="not the grid"):
        dsprites_file(tmp_path / "d.npz")
    content = (tmp_path / "d.npz").read_bytes()
    (tmp_path / "t.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="whole file"):
        dsprites_file(tmp_path / "t.npz")
    # Factors without the colour, then images with channels.
    values, images = np.zeros((2, 5)), np.zeros((2, 8, 8), dtype=np.uint8)
    for kept in ((images, values), (images[..., None], np.zeros((2, 6)))):
        np.savez(tmp_path / "d.npz", imgs=kept[0], latents_classes=kept[1], latents_values=kept[1])
        with pytest.raises(ValueError, match="of the published form.*images"):
            dsprites_file(tmp_path / "d.npz")
    np.savez(tmp_path / "m.npz", images=np.zeros((5, 64, 64, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="unknown sizes"):
        mpi3d_file(tmp_path / "m.npz")


def dsprites_arrays() -> dict[str, np.ndarray]:
    values = np.indices((1, 2, 1, 1, 1, 2)).reshape(6, -1).T
    return {"imgs": np.zeros((4, 8, 8), dtype=np.uint8), "latents_values": values + 0.5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imgs": np.zeros((4, 8, 8))}, "images of float64 that are not binary"),
        ({"imgs": np.full((4, 8, 8), 255, dtype=np.uint8)}, "images of uint8 that are not binary"),
        ({"latents_values": np.eye(4, 6)}, "images in several colours"),
        ({"latents_values": np.full((4, 6), np.nan)}, "factor shape without finite values"),
        ({"latents_values": np.full((4, 6), "a")}, "factor shape without finite values"),
        ({"latents_values": None}, "without latents_values"),
    ],
)
def test_a_dsprites_file_of_other_values_is_refused(tmp_path, change, message):
    found = {k: v for k, v in {**dsprites_arrays(), **change}.items() if v is not None}
    np.savez(tmp_path / "d.npz", **dsprites_arrays())
    assert dsprites_file(tmp_path / "d.npz").factor_sizes == (2, 1, 1, 1, 2)
    np.savez(tmp_path / "d.npz", **found)
    with pytest.raises(ValueError, match=rf"Got .*d\.npz \({message}"):
        dsprites_file(tmp_path / "d.npz")


@pytest.mark.parametrize("images", [np.zeros((16, 4, 4, 3)), np.zeros((16, 4, 4, 1), np.uint8)])
def test_an_mpi3d_file_of_other_images_is_refused(tmp_path, images):
    np.savez(tmp_path / "m.npz", images=images)
    with pytest.raises(ValueError, match=r"Got .*m\.npz \(images \(16, 4, 4, .\) of"):
        mpi3d_file(tmp_path / "m.npz", factor_sizes=(2, 1, 2, 1, 2, 1, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": (4, 5)}, r"labels \(4, 5\)"),
        ({"labels": (1_000_000, 6)}, r"images \(4, 2, 2, 3\) and labels \(1000000, 6\)"),
        ({"images": (1_000_000, 2, 2, 3), "labels": (1_000_000, 6)}, "labels of 48,000,000 bytes"),
        ({"images": (4, 2, 2)}, r"images \(4, 2, 2\) and"),
        ({"images": None}, "images"),
    ],
)
def test_a_3d_shapes_file_of_another_form_is_refused_before_it_is_read(tmp_path, change, message):
    h5py = pytest.importorskip("h5py")
    shapes = {"images": (4, 2, 2, 3), "labels": (4, 6), **change}
    with h5py.File(tmp_path / "s.h5", "w") as file:
        for name, shape in shapes.items():
            if shape is not None:  # of which nothing is written but the shape
                file.create_dataset(name, shape, dtype="u1" if name == "images" else "f8")
    with pytest.raises(ValueError, match=rf"Got .*s\.h5 \(.*{message}"):
        shapes3d_file(tmp_path / "s.h5")


def test_images_that_turn_out_damaged_name_the_file(tmp_path):
    h5py = pytest.importorskip("h5py")
    labels = np.indices((2, 1, 1, 1, 1, 2)).reshape(6, -1).T
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["labels"] = labels
        images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
        file.create_dataset("images", data=images, compression="gzip", chunks=(1, 8, 8, 3))
        offset = file["images"].id.get_chunk_info(3).byte_offset
    content = bytearray((tmp_path / "s.h5").read_bytes())
    content[offset : offset + 20] = bytes(20)
    (tmp_path / "s.h5").write_bytes(content)
    data = shapes3d_file(tmp_path / "s.h5")
    assert torch.equal(data[0], torch.from_numpy(images[0]).float().movedim(-1, 0) / 255)
    with pytest.raises(ValueError, match=r"Got .*s\.h5 \("):
        data[3]
