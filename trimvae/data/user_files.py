"""Arrays and image folders of the user's own."""

import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trimvae.data.splits import Split, split


def arrays(path: str | Path, *, test_share: float = 0.2, seed: int = 0) -> Split:
    """Read an .npz with `inputs` and perhaps `labels`, `test_inputs`, `test_labels` and names.

    The names are `class_names` and, for a table, `feature_names`. Images from 0 to 255 are divided
    by 255, and channels that stand last are put first; where floats are rescaled or dimensions
    moved, a warning says so. Everything else is taken as it is.

    Args:
        path: The file; arrays of Python objects are refused, since reading them executes code.
        test_share: Share held out where the file has no `test_inputs`.
        seed: Of that split.

    Returns:
        Inputs `(n, *event)` as floats, labels as whole numbers, and the names.

    Warns:
        UserWarning: Images were in [0, 255] as floats, or had their channels last.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, no .npz, or has no `inputs`; or their number differs
            from that of the labels.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be an .npz file. Got {path}, which does not exist.")
    try:
        # Opened here: NumPy leaves a file open that it cannot read.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = dict(file)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"`path` must be a whole .npz file of plain arrays. Got {path} ({error}). "
            "Write it with numpy.savez(path, inputs=..., labels=...)."
        ) from error
    if "inputs" not in found:
        raise ValueError(
            f"`path` must hold an array `inputs`. Got {path} with {sorted(found)}. "
            "Write it with numpy.savez(path, inputs=..., labels=...)."
        )
    names, features = (
        tuple(map(str, found[key])) if key in found else None
        for key in ("class_names", "feature_names")
    )
    inputs, labels = _inputs(found["inputs"]), _labels(found.get("labels"), len(found["inputs"]))
    if "test_inputs" not in found:
        parts = split(inputs, labels, test_share=test_share, seed=seed, class_names=names)
        return parts._replace(feature_names=features)
    test_inputs = found["test_inputs"]
    return Split(
        inputs,
        labels,
        _inputs(test_inputs),
        _labels(found.get("test_labels"), len(test_inputs)),
        names,
        features,
    )


def _inputs(values: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if tensor.ndim == 4 and tensor.shape[-1] in (1, 3) and tensor.shape[1] not in (1, 3):
        warnings.warn(
            f"`inputs` must have channels first. Got {tuple(tensor.shape)}, so the last dimension "
            "was moved there. Save images as (n, channels, height, width) to silence this.",
            UserWarning,
            stacklevel=3,
        )
        tensor = tensor.permute(0, 3, 1, 2).contiguous()
    if tensor.dtype == torch.uint8:
        return tensor.float() / 255
    tensor = tensor.float()
    if tensor.ndim == 4 and tensor.min() >= 0 and tensor.max() > 2 and tensor.max() <= 255:
        warnings.warn(
            f"`inputs` must be images in [0, 1]. Got values up to {tensor.max():.4g}, so they were "
            "divided by 255. Save them so to silence this.",
            UserWarning,
            stacklevel=3,
        )
        tensor = tensor / 255
    return tensor


def _labels(values: np.ndarray | None, count: int) -> Tensor | None:
    if values is None:
        return None
    if len(values) != count:
        raise ValueError(
            f"`labels` must have one entry per example ({count}). Got {len(values)}. "
            "Write both arrays from the same rows."
        )
    return torch.from_numpy(np.ascontiguousarray(values)).long()


def image_folder(
    folder: str | Path,
    *,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    test_share: float = 0.2,
    seed: int = 0,
) -> Split:
    """Read a folder of images, one subfolder per class (torchvision's `ImageFolder`).

    Args:
        folder: `folder/class name/any.png`.
        size: Height and width in pixels; default: those of the first image.
        channels: 3 for colour, 1 for grey.
        test_share: Share of the images held out.
        seed: Of the split.

    Returns:
        Images `(n, channels, height, width)` in [0, 1], labels and the subfolders' names.

    Raises:
        FileNotFoundError: The folder does not exist or has no images.
        ValueError: `channels` is neither 1 nor 3.
    """
    from torchvision.datasets import ImageFolder
    from torchvision.transforms.v2 import functional as transforms

    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Got {channels}. Use 3 for colour.")
    try:
        files = ImageFolder(str(folder))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"`folder` must hold one subfolder of images per class. Got {folder} ({error})."
        ) from error
    images = []
    for image, _ in files:
        if size is None:
            size = (image.height, image.width)
        tensor = transforms.pil_to_tensor(image.convert("L" if channels == 1 else "RGB"))
        images.append(transforms.resize(tensor, list(size), antialias=True))
    return split(
        torch.stack(images).float() / 255,
        torch.tensor(files.targets),
        test_share=test_share,
        seed=seed,
        class_names=tuple(files.classes),
    )
