import math

import numpy as np
import pytest
import torch

from trimvae import VAE, fit
from trimvae.data import FactorData, dsprites_file, mpi3d_file, shapes3d_file, sprites


def grid(sizes=(2, 3)) -> FactorData:
    names = [f"f{index}" for index in range(len(sizes))]
    return FactorData(
        lambda levels: levels.float(), {n: range(s) for n, s in zip(names, sizes, strict=True)}
    )


def test_the_grid_is_the_published_one_with_the_last_factor_fastest():
    data = sprites()
    assert len(data) == 737_280
    assert data.factor_names == ("shape", "scale", "orientation", "x", "y")
    assert data.factor_sizes == (3, 6, 40, 32, 32)
    rows = data.levels_at(torch.tensor([0, 1, 32, 1024, 737_279]))
    assert rows.tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [2, 5, 39, 31, 31],
    ]
    assert data.factor_values["scale"] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert data.factor_values["orientation"][-1] == pytest.approx(2 * math.pi)


def inside(shape: str, u: float, v: float) -> bool:
    """Whether a point, in pixels from the centre with y up, is in the shape at scale 1."""
    if shape == "square":
        return max(abs(u), abs(v)) < 10
    if shape == "ellipse":
        return (u / 6.5) ** 2 + (v / 11.5) ** 2 < 1
    u, v = u / 9, v / 9
    return (u * u + v * v - 1) ** 3 < u * u * v**3


@pytest.mark.parametrize("levels", [[0, 5, 0, 0, 31], [1, 2, 10, 16, 5], [2, 0, 33, 31, 0]])
def test_an_image_is_the_shape_pixel_by_pixel(levels):
    data = sprites()
    image = data.sample(torch.tensor([levels]))[0, 0]
    scale, angle = 0.5 + levels[1] / 10, 2 * math.pi * levels[2] / 39
    differing = 0
    for row in range(64):
        for column in range(64):
            right, down = column + 0.5 - 17 - levels[3], row + 0.5 - 17 - levels[4]
            along = (right * math.cos(angle) + down * math.sin(angle)) / scale
            across = (down * math.cos(angle) - right * math.sin(angle)) / scale
            expected = inside(("square", "ellipse", "heart")[levels[0]], along, -across)
            differing += bool(image[row, column]) != expected
    assert differing <= 2  # rounding on the outline


def test_moving_by_one_level_moves_by_one_pixel():
    left, right = sprites().sample(torch.tensor([[2, 3, 7, 4, 9], [2, 3, 7, 5, 9]]))
    assert torch.equal(left[..., :-1], right[..., 1:])


def test_images_are_binary_and_small_ones_are_means_of_four_pixels():
    factors = sprites().draw(20, generator=torch.Generator().manual_seed(0))
    large, small = sprites().sample(factors), sprites(size=32).sample(factors)
    assert set(large.unique().tolist()) == {0.0, 1.0}
    means = large.view(20, 1, 32, 2, 32, 2).mean(dim=(3, 5))
    torch.testing.assert_close(small, means)


def test_colour_is_the_first_factor_and_changes_only_the_hue():
    data = sprites(colours=6)
    assert data.factor_names[0] == "colour"
    assert len(data) == 6 * 737_280
    factors = torch.tensor([[0, 1, 2, 3, 4, 5], [2, 1, 2, 3, 4, 5]])
    red, green = data.sample(factors)
    white = sprites().sample(factors[:1, 1:])[0, 0]
    assert torch.equal(red, torch.stack([white, 0 * white, 0 * white]))
    assert torch.equal(green, torch.stack([0 * white, white, 0 * white]))


def test_examples_agree_however_they_are_asked_for():
    data = sprites(size=32).only(orientation=[0], shape=[0, 2])
    assert len(data) == 2 * 6 * 32 * 32
    positions = torch.tensor([0, 777, 12_287])
    assert torch.equal(data.images_at(positions), torch.stack([data[int(i)] for i in positions]))
    assert torch.equal(data.sample(data.factors[positions]), data.images_at(positions))
    assert torch.equal(data[-1], data[len(data) - 1])


def test_held_out_combinations_are_left_out_and_nothing_else():
    data = grid((2, 3))
    train, test = data.without(f0=[1], f1=[0, 1]), data.only(f0=[1], f1=[0, 1])
    assert test.factors.tolist() == [[1, 0], [1, 1]]
    both = train.factors.tolist() + test.factors.tolist()
    assert sorted(both) == data.factors.tolist()
    # Restricting twice is restricting to both.
    assert data.only(f0=[1]).only(f1=[2]).factors.tolist() == [[1, 2]]


def test_fixed_factors_stay_and_the_others_are_uniform():
    generator = torch.Generator().manual_seed(0)
    rows = sprites().draw(6000, fixed={"shape": 2}, generator=generator)
    assert (rows[:, 0] == 2).all()
    counts = torch.bincount(rows[:, 1], minlength=6) / 6000
    assert (counts - 1 / 6).abs().max() < 0.03
    held_out = grid((2, 3)).without(f0=[1], f1=[0])
    assert set(map(tuple, held_out.draw(200, fixed={"f0": 1}).tolist())) == {(1, 1), (1, 2)}


def test_correlated_factors_follow_the_published_density():
    data = grid((4, 4))
    rows = data.draw(
        40_000, correlated={("f0", "f1"): 0.3}, generator=torch.Generator().manual_seed(0)
    )
    counts = torch.zeros(4, 4).index_put_(tuple(rows.T), torch.ones(len(rows)), accumulate=True)
    unit = torch.arange(4) / 3
    density = (-((unit[:, None] - unit) ** 2) / (2 * 0.3**2)).exp()
    assert (counts / counts.sum() - density / density.sum()).abs().max() < 0.01


def test_drawing_leaves_the_global_generator_alone_and_repeats():
    state = torch.get_rng_state()
    first, second = (
        sprites().draw(10, generator=torch.Generator().manual_seed(4)) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


def test_a_vae_trains_on_sprites_directly():
    data = sprites(size=32).only(orientation=[0], x=[0, 16], y=[0, 16])
    vae = VAE.convolutional((1, 32, 32), latent_size=2, channels=4, hidden=8)
    history = fit(vae, None, data, prediction_weight=0, max_epochs=2, batch_size=16, progress=False)
    assert history[1]["reconstruction"] < history[0]["reconstruction"]


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
    np.savez(tmp_path / "m.npz", images=np.zeros((5, 64, 64, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="unknown sizes"):
        mpi3d_file(tmp_path / "m.npz")


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: sprites(size=48), "`size` must be 32 or 64"),
        (lambda: sprites(colours=0), "`colours` must be at least 1"),
        (lambda: grid().draw(0), "`n` must be at least 1"),
        (lambda: grid().draw(2, fixed={"hue": 1}), "`name` must be a factor"),
        (lambda: grid().draw(2, fixed={"f0": 2}), "`f0` must be a level from 0 to 1"),
        (lambda: grid().draw(2, correlated={("f0", "f1"): 0.0}), "`correlated` must be above 0"),
        (lambda: grid().only(f0=[1]).draw(2, fixed={"f0": 0}), "`fixed` must occur"),
        (lambda: grid().only(f0=[]), "must leave an example"),
        (lambda: grid().sample(torch.zeros(3, 5)), r"`factors` must have shape \(n, 2\)"),
        (lambda: grid().sample(torch.tensor([[0, 3]])), "`factors` must be levels"),
        (lambda: FactorData(lambda levels: levels, {}), "`factor_values` must give"),
    ],
)
def test_bad_arguments_are_named(act, words):
    with pytest.raises(ValueError, match=words):
        act()
