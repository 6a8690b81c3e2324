"""Published data sets with known factors, from the files a user has."""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trimvae.data.archives import DEFLATED_AT_MOST, read_npz
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
    found = _npz(path, ("imgs", "latents_values"))
    images, values = found["imgs"], found["latents_values"]
    names = ("colour", "shape", "scale", "orientation", "x", "y")
    if images.ndim != 3 or values.ndim != 2 or values.shape[1] != len(names):
        raise _wrong(path, f"images {images.shape} and factors {values.shape}")
    if images.dtype not in (np.uint8, np.bool_) or not images.size or images.max() > 1:
        raise _wrong(path, f"images of {images.dtype} that are not binary")
    colours, *columns = values.T
    if len(np.unique(colours)) > 1:  # it is always white
        raise _wrong(path, "images in several colours")
    return _grid(path, images[:, None], dict(zip(names[1:], columns, strict=True)), 1.0)


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
        images, labels = file["images"], file["labels"]
        if labels.ndim != 2 or labels.shape[1] != len(_SHAPES3D_NAMES):
            raise ValueError(f"labels {labels.shape}")
        if images.ndim != 4 or images.shape[3] != 3 or len(images) != len(labels):
            raise ValueError(f"images {images.shape} and labels {labels.shape}")
        if images.dtype != np.uint8:
            raise ValueError(f"images of {images.dtype}")
        if labels.nbytes > DEFLATED_AT_MOST * Path(path).stat().st_size:
            raise ValueError(f"labels of {labels.nbytes:,} bytes")
        columns = dict(zip(_SHAPES3D_NAMES, labels[:].T, strict=True))
    except Exception as error:  # of whatever kind a damaged file makes the library raise
        raise _wrong(path, str(error)) from error
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
    if images.dtype != np.uint8 or images.shape[3] != 3:
        raise _wrong(path, f"images {images.shape} of {images.dtype}")
    values = {name: range(size) for name, size in zip(_MPI3D_NAMES, sizes, strict=True)}
    render = functools.partial(
        _stored, images=images, sizes=sizes, largest=255.0, channels_last=True, path=path
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
        if column.dtype.kind not in "biuf" or not np.isfinite(column).all():
            raise _wrong(path, f"factor {name} without finite values")
        found, inverse = np.unique(column, return_inverse=True)
        values[name] = tuple(found.tolist())
        levels.append(inverse.ravel())
    sizes = tuple(map(len, values.values()))
    expected = np.indices(sizes).reshape(len(sizes), -1)
    if len(images) != math.prod(sizes) or not np.array_equal(np.stack(levels), expected):
        raise _wrong(path, f"{len(images)} images that are not the grid {sizes} in order")
    return FactorData(
        functools.partial(
            _stored,
            images=images,
            sizes=sizes,
            largest=largest,
            channels_last=channels_last,
            path=path,
        ),
        values,
    )


def _stored(
    levels: Tensor,
    *,
    images: Any,
    sizes: tuple[int, ...],
    largest: float,
    channels_last: bool,
    path: str | Path,
) -> Tensor:
    positions = np.ravel_multi_index(tuple(levels.T.numpy()), sizes)
    # HDF5 reads rows only in order, each once.
    unique, inverse = np.unique(positions, return_inverse=True)
    try:
        found = np.asarray(images[unique])
    except OSError as error:  # a file that is read lazily, damaged further on
        raise _wrong(path, str(error)) from error
    rows = torch.from_numpy(found[inverse]).float() / largest
    return rows.movedim(-1, 1) if channels_last else rows


def _npz(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Some arrays of an .npz; others may be pickled objects, such as dSprites' metadata."""
    _check_exists(path)
    found, _ = read_npz(Path(path), names, lambda what: _wrong(path, what))
    if missing := [name for name in names if name not in found]:
        raise _wrong(path, f"without {', '.join(missing)}")
    return found


def _check_exists(path: str | Path) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(f"`path` must be a file. Got {path}, which does not exist.")


def _wrong(path: str | Path, what: str) -> ValueError:
    return ValueError(
        f"`path` must be a whole file of the published form. Got {path} ({what}). "
        "Download it again, or check that it is the right data set."
    )
