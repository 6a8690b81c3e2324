"""A folder of pictures of the user's own, one subfolder per class."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from trimvae.data.splits import Split, split

if TYPE_CHECKING:  # Pillow is slow to import
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I;16N")
_TURNED = (5, 6, 7, 8)
"""Orientations in EXIF's words of pictures whose height and width change places."""
_ORIENTATION = 0x0112


def image_folder(
    folder: str | Path,
    *,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    test_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """Read a folder of pictures, one subfolder per class, as viewers show them.

    Pictures are turned as their EXIF data say, 16-bit ones keep their precision, and transparent
    ones are laid on white; of an animation the first picture is taken. Those of another size are
    stretched or shrunk. Subfolders and files whose names begin with a dot are skipped. Each file is
    read once, however many links lead to it, so that none is both trained with and held out.

    Args:
        folder: `folder/class name/any.png`, or deeper; also `.jpg`, `.jpeg`, `.bmp`, `.pgm`,
            `.ppm`, `.tif`, `.tiff` and `.webp`.
        size: Height and width in pixels of all pictures; default: the size that most of them have,
            the smallest of several such.
        channels: 3 for colour, 1 for grey.
        test_share: Share of the pictures held out.
        seed: Of the split.

    Returns:
        Images `(n, channels, height, width)` in [0, 1], labels and the subfolders' names.

    Warns:
        UserWarning: Pictures differ in size, and no `size` was given.

    Raises:
        FileNotFoundError: The folder does not exist, or a class has no picture.
        ValueError: `channels` is neither 1 nor 3, a picture is truncated, of no known kind or too
            large, or one file lies in two classes.
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Got {channels}. Use 3 for colour.")
    classes = _classes_of(Path(folder))
    files = [(path, label) for label, paths in enumerate(classes.values()) for path in paths]
    if size is None:
        size = _usual_size(folder, [path for path, _ in files])
    return split(
        torch.stack([_read(path, size, channels) for path, _ in files]),
        torch.tensor([label for _, label in files]),
        test_share=test_share,
        seed=seed,
        class_names=tuple(classes),
    )


def _classes_of(folder: Path) -> dict[str, list[Path]]:
    """Pictures of every class by its name, in order.

    Raises:
        FileNotFoundError: There is no folder, no class, or a class without pictures.
        ValueError: A file lies in two classes.
    """
    if not folder.is_dir():
        raise FileNotFoundError(_no_pictures(folder, "which is no folder"))
    inside = [each for each in folder.iterdir() if each.is_dir()]
    names = sorted(each.name for each in inside if not each.name.startswith("."))
    elsewhere = {_identity(place) for place in (folder, *inside)}
    classes: dict[str, list[Path]] = {name: [] for name in names}
    found: dict[tuple[int, int], tuple[str, Path]] = {}
    for name in names:
        for path in _pictures_in(folder / name, elsewhere):
            first, earlier = found.setdefault(_identity(path), (name, path))
            if first != name:
                raise ValueError(
                    f"`folder` must hold each picture in one class. Got {path}, which is "
                    f"{earlier} as well. Delete one of the two."
                )
            if earlier is path:
                classes[name].append(path)
    empty = [name for name, paths in classes.items() if not paths]
    if empty or not classes:
        what = f"without pictures in {', '.join(empty[:3])}" if empty else "without subfolders"
        raise FileNotFoundError(_no_pictures(folder, what))
    return classes


def _no_pictures(folder: Path, what: str) -> str:
    return (
        f"`folder` must hold one subfolder of images per class. Got {folder}, {what}. Put the "
        "pictures into folder/class name/."
    )


def _pictures_in(folder: Path, elsewhere: set[tuple[int, int]]) -> Iterator[Path]:
    """Pictures in a class's folder and all below.

    Links are followed, but neither into a folder twice, nor upwards, nor into another class.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS

    seen = set(elsewhere)
    for place, below, files in os.walk(folder, onerror=_refuse, followlinks=True):
        within = Path(place)
        below.sort()
        kept = []
        for name in below:
            identity = _identity(within / name)
            if not name.startswith(".") and identity not in seen:
                seen.add(identity)
                kept.append(name)
        below[:] = kept
        for name in sorted(files):
            if name.lower().endswith(IMG_EXTENSIONS) and not name.startswith("."):
                yield within / name


def _refuse(error: OSError) -> None:
    raise error  # it names the folder


def _identity(path: Path) -> tuple[int, int]:
    """What two links to one file or folder have in common."""
    try:
        found = path.stat()
    except OSError as error:
        raise ValueError(_unreadable(path, error)) from error
    return found.st_dev, found.st_ino


def _usual_size(folder: str | Path, paths: list[Path]) -> tuple[int, int]:
    """Height and width that most pictures have."""
    sizes = Counter(_size_of(path) for path in paths)
    most = max(sizes.values())
    usual = min(size for size, count in sizes.items() if count == most)
    if len(sizes) > 1:
        warnings.warn(
            f"`folder` must hold pictures of one size where `size` is not given. Got {len(sizes)} "
            f"sizes in {folder}, so that all become {usual[0]} x {usual[1]}, which {most} of "
            f"{len(paths)} are. Pass size=(height, width), or resize them.",
            UserWarning,
            stacklevel=3,
        )
    return usual


def _size_of(path: Path) -> tuple[int, int]:
    from PIL import ImageOps

    with _opened(path) as image:
        turned = image.getexif().get(_ORIENTATION) in _TURNED
        shown = ImageOps.exif_transpose(image) if turned else image
        return shown.height, shown.width


def _read(path: Path, size: tuple[int, int], channels: int) -> Tensor:
    """One picture `(channels, *size)` in [0, 1]."""
    from PIL import ImageOps
    from torchvision.transforms.v2 import functional as transforms

    with _opened(path) as image:
        image.verify()  # checksums, of kinds that have some; it leaves nothing to be read
    with _opened(path) as image:
        _check_complete(image)
        values = _values(ImageOps.exif_transpose(image), image.format, channels)
    resized: Tensor = transforms.resize(values, list(size), antialias=True)
    return resized.clamp(0, 1)


def _check_complete(image: "ImageFile") -> None:
    """Raise a ValueError where a file says of some pixels not even where they are."""
    boxes = [part[1] for part in image.tile if part[1] is not None]
    covered = sum((right - left) * (lower - upper) for left, upper, right, lower in boxes)
    if boxes and covered < image.width * image.height:
        raise ValueError(f"{covered} of {image.width} x {image.height} pixels")


def _values(image: "Image", kind: str | None, channels: int) -> Tensor:
    """A picture's own pixels, `(channels, height, width)` in [0, 1]."""
    from PIL import Image
    from torchvision.transforms.v2 import functional as transforms

    if image.mode in _SIXTEEN_BITS or (image.mode == "I" and kind in ("PNG", "PPM")):
        brightness = np.asarray(image).astype(np.float32) / 65535
        return torch.from_numpy(brightness).expand(channels, -1, -1)
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of 32 bits ({image.mode}), whose range is unknown")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer)
    pixels: Tensor = transforms.pil_to_tensor(image.convert("L" if channels == 1 else "RGB"))
    return pixels.float() / 255


@contextmanager
def _opened(path: Path) -> Iterator["ImageFile"]:
    """Open a picture; whatever Pillow finds wrong with it names the file."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # A stream: Pillow maps a named file to memory, and turns a mapped TIFF wrongly.
            with path.open("rb") as stream, Image.open(stream) as image:
                yield image
    except Exception as error:  # of whatever kind a damaged file makes Pillow raise
        raise ValueError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    return (
        f"`folder` must hold whole pictures. Got {path} ({error}). Delete or replace it; a very "
        "large one may be shrunk."
    )
