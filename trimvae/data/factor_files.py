"""Published data sets with known factors, from the files a user has."""

import functools
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trimvae.data.factors import FactorData

_MPI3D = {
    1_036_800: (6, 6, 2, 3, 3, 40, 40),
    460_800: (4, 4, 2, 3, 3, 40, 40),
}
_MPI3D_NAMES = (
    "object_colour",
    "object_shape",
    "object_size",
    "camera_height",
    "background_colour",
    "horizontal_axis",
    "vertical_axis",
)
_SHAPES3D_NAMES = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")


def dsprites_file(path: str | Path) -> FactorData:
    """Read dSprites' own .npz: binary images `(1, 64, 64)` and five factors.

    References:
        Matthey et al.: dSprites, 2017, https://github.com/google-deepmind/dsprites-dataset

    Args:
        path: `dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz`, or one of its form.

    Returns:
        The whole grid, with the factors `shape`, `scale`, `orientation`, `x` and `y`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated or of another form.
    """
    arrays = _npz(path, ("imgs", "latents_classes", "latents_values"))
    images, values = arrays["imgs"], arrays["latents_values"]
    names = ("colour", "shape", "scale", "orientation", "x", "y")
    if images.ndim != 3 or values.ndim != 2 or values.shape[1] != len(names):
        raise _wrong(path, f"images {images.shape} and factors {values.shape}")
    # The colour is always white.
    return _grid(path, images[:, None], dict(zip(names[1:], values.T[1:], strict=True)), 1.0)


def shapes3d_file(path: str | Path) -> FactorData:
    """Read 3D Shapes' .h5 lazily: colour images `(3, 64, 64)` and six factors.

    References:
        Burgess, Kim: 3D Shapes, 2018, https://github.com/google-deepmind/3d-shapes

    Args:
        path: `3dshapes.h5`, or one of its form.

    Returns:
        The whole grid, with the factors `floor_hue`, `wall_hue`, `object_hue`, `scale`, `shape` and
        `orientation`.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: `h5py` is not installed.
        ValueError: The file is truncated or of another form.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "`shapes3d_file` must find the package h5py. Got none. Run pip install h5py."
        ) from error
    _check_exists(path)
    try:
        file = h5py.File(path, "r")
        images, labels = file["images"], file["labels"][:]
    except (OSError, KeyError) as error:
        raise _wrong(path, str(error)) from error
    if images.ndim != 4 or labels.ndim != 2 or labels.shape[1] != len(_SHAPES3D_NAMES):
        raise _wrong(path, f"images {images.shape} and labels {labels.shape}")
    columns = dict(zip(_SHAPES3D_NAMES, labels.T, strict=True))
    return _grid(path, images, columns, 255.0, channels_last=True)


def mpi3d_file(path: str | Path, *, factor_sizes: Sequence[int] | None = None) -> FactorData:
    """Read one of MPI3D's .npz: colour images `(3, 64, 64)` and seven factors.

    References:
        Gondal et al.: On the Transfer of Inductive Bias from Simulation to the Real World, 2019,
        https://arxiv.org/abs/1906.03292

    Args:
        path: `mpi3d_toy.npz`, `mpi3d_realistic.npz`, `mpi3d_real.npz` or
            `real3d_complicated_shapes_ordered.npz`.
        factor_sizes: How many levels each of the seven factors has; default: as in the published
            file with that many images.

    Returns:
        The whole grid, with the factors `object_colour`, `object_shape`, `object_size`,
        `camera_height`, `background_colour`, `horizontal_axis` and `vertical_axis`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated or of another form, or does not hold the whole grid.
    """
    images = _npz(path, ("images",))["images"]
    sizes = tuple(_MPI3D.get(len(images), ()) if factor_sizes is None else factor_sizes)
    if images.ndim != 4 or len(sizes) != len(_MPI3D_NAMES) or math.prod(sizes) != len(images):
        raise _wrong(path, f"images {images.shape} for a grid of {sizes or 'unknown sizes'}")
    values = {name: range(size) for name, size in zip(_MPI3D_NAMES, sizes, strict=True)}
    render = functools.partial(
        _stored, images=images, sizes=sizes, largest=255.0, channels_last=True
    )
    return FactorData(render, values)


def _grid(
    path: str | Path,
    images: Any,
    columns: Mapping[str, np.ndarray],
    largest: float,
    *,
    channels_last: bool = False,
) -> FactorData:
    """Check that rows are the grid of their columns' values, in order, and wrap them."""
    values, levels = {}, []
    for name, column in columns.items():
        found, inverse = np.unique(column, return_inverse=True)
        values[name] = tuple(found.tolist())
        levels.append(inverse.ravel())
    sizes = tuple(map(len, values.values()))
    expected = np.indices(sizes).reshape(len(sizes), -1)
    if len(images) != math.prod(sizes) or not np.array_equal(np.stack(levels), expected):
        raise _wrong(path, f"{len(images)} images that are not the grid {sizes} in order")
    return FactorData(
        functools.partial(
            _stored, images=images, sizes=sizes, largest=largest, channels_last=channels_last
        ),
        values,
    )


def _stored(
    levels: Tensor, *, images: Any, sizes: tuple[int, ...], largest: float, channels_last: bool
) -> Tensor:
    positions = np.ravel_multi_index(tuple(levels.T.numpy()), sizes)
    # HDF5 reads rows only in order, each once.
    unique, inverse = np.unique(positions, return_inverse=True)
    rows = torch.from_numpy(np.asarray(images[unique])[inverse]).float() / largest
    return rows.movedim(-1, 1) if channels_last else rows


def _npz(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    _check_exists(path)
    try:
        # Opened here: NumPy leaves a file open that it cannot read.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            # Other entries may be pickled objects (dSprites' metadata); they are never read.
            return {name: file[name] for name in names}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise _wrong(path, str(error)) from error


def _check_exists(path: str | Path) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(f"`path` must be a file. Got {path}, which does not exist.")


def _wrong(path: str | Path, what: str) -> ValueError:
    return ValueError(
        f"`path` must be a whole file of the published form. Got {path} ({what}). "
        "Download it again, or check that it is the right data set."
    )
