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
    values, images = np.zeros((2, 5)), np.zeros((2, 8, 8))
    for kept in ((images, values), (images[..., None], np.zeros((2, 6)))):
        np.savez(tmp_path / "d.npz", imgs=kept[0], latents_classes=kept[1], latents_values=kept[1])
        with pytest.raises(ValueError, match="of the published form.*images"):
            dsprites_file(tmp_path / "d.npz")
    np.savez(tmp_path / "m.npz", images=np.zeros((5, 64, 64, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="unknown sizes"):
        mpi3d_file(tmp_path / "m.npz")
