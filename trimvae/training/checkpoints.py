"""A training's `last.ckpt`: replaced whole, read without executing code, and compared."""

import hashlib
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch.utils.data import TensorDataset

from trimvae.models.checks import check_finite_weights, check_same_shapes
from trimvae.models.saved import TrainableCode
from trimvae.storage import full, replacing

# A checkpoint is a zip archive, whose comment, the last thing in the file, is its checksum.
_END, _END_LENGTH = b"PK\x05\x06", 22
_MARK = b"trimvae sha256 "
_COMMENT_LENGTH = len(_MARK) + 64


def checkpoint_path(checkpoint_dir: str | Path | None, *, resume: bool) -> Path | None:
    """Where a run keeps its checkpoint, an absolute path behind all links; None for nowhere.

    Raises:
        ValueError: There is no folder to resume from.
        FileExistsError: The folder holds a run that is not to be resumed.
        NotADirectoryError: The folder is a file.
    """
    if checkpoint_dir is None:
        if resume:
            raise ValueError(
                "`checkpoint_dir` must be given to resume. Got None. Pass the run's folder."
            )
        return None
    # Absolute: Lightning would take a relative `file:run` or `a::b` for an address.
    path = (Path(checkpoint_dir) / "last.ckpt").resolve()
    if path.parent.exists() and not path.parent.is_dir():
        raise NotADirectoryError(
            f"`checkpoint_dir` must be a folder. Got {checkpoint_dir}, a file. Choose another name."
        )
    if path.exists() and not resume:
        raise FileExistsError(
            f"`checkpoint_dir` must not hold another run. Got {checkpoint_dir}, with a "
            "last.ckpt. Pass resume=True to go on, or choose another folder."
        )
    return path


class EveryEpoch(Checkpoint):
    """Writes the checkpoint after every epoch, when all other callbacks are through with it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write it."""
        trainer.save_checkpoint(str(self.path))


class WholeFiles(TorchCheckpointIO):
    """Replaces one file atomically; all others are Lightning's own business.

    Lightning writes to the temporary folder first and moves the file, which is no single act where
    that folder lies on another file system: a run killed meanwhile would have lost both the old
    checkpoint and the new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write beside the file, flush to disk, and only then take its place."""
        if Path(path) != self.path:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as temporary:
            try:
                torch.save(checkpoint, temporary)
                _sign(temporary)
            except RuntimeError as error:  # torch's own, where a disk is full
                raise full(self.path, error) from error

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read the file, weights only."""
        if Path(path) != self.path:
            return super().load_checkpoint(path, map_location, weights_only)
        found: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        return found


def fingerprint(data: Any) -> list[float] | int | None:
    """By what data are known again; of a Dataset or DataLoader of one's own the length alone.

    Of tensors length, mean, norm, and a projection on fixed random weights of rows and columns, so
    that the same values in another order are other data.
    """
    if isinstance(data, TensorDataset):
        return [number for tensor in data.tensors for number in _numbers(tensor)]
    if isinstance(data, torch.Tensor):
        return _numbers(data)
    try:
        return len(data)
    except TypeError:  # a stream, or a loader of one
        return None


def _numbers(tensor: torch.Tensor) -> list[float]:
    rows = tensor.detach().reshape(len(tensor), -1)
    rows = rows if rows.dtype == torch.float64 else rows.float()
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(size, generator=generator, device="cpu").to(rows) for size in rows.shape
    )
    norm = torch.linalg.vector_norm(rows)
    projection = left @ (rows @ right) / norm.clamp_min(1e-30)
    return [float(len(rows)), rows.mean().item(), norm.item(), projection.item()]


def check_checkpoint(
    path: Path, code: TrainableCode, asked: Mapping[str, Any], max_epochs: int
) -> None:
    """Check that a checkpoint is whole, ours, of this code, and of the training asked for.

    Args:
        path: A `last.ckpt`.
        code: The code to go on with.
        asked: What `fit` is asked for; only the number of epochs may be another one.
        max_epochs: How many epochs there will be.

    Raises:
        ValueError: The file is truncated, changed, not ours, of another architecture, of a run that
            was asked for something else, or of one that has diverged to NaN.
    """
    checkpoint = _read(path)
    found = {
        name.removeprefix("code."): tuple(tensor.shape)
        for name, tensor in checkpoint["state_dict"].items()
        if name.startswith("code.")
    }
    check_same_shapes(code.shapes(), found, path, type(code).__name__)
    check_finite_weights(checkpoint["state_dict"], path)
    recorded = checkpoint["trimvae"].get("asked", {})
    differing = [
        f"{name}={_shown(asked.get(name))} ({_shown(recorded.get(name))} in the run)"
        for name in asked.keys() | recorded.keys()
        if not _same(asked.get(name), recorded.get(name))
    ]
    if differing:
        raise ValueError(
            "`resume` must go on with what the run was started with. Got "
            f"{', '.join(sorted(differing))}. Ask for the same again, or start another run in "
            "another folder."
        )
    done = checkpoint["epoch"] + 1
    if max_epochs < done:
        raise ValueError(
            f"`max_epochs` must be at least {done} to resume, which the run has seen. Got "
            f"{max_epochs}. Ask for more, or start another run in another folder."
        )


def _sign(path: Path) -> None:
    """Add the checksum of an archive as its comment, which readers of archives skip."""
    with path.open("r+b") as file:
        file.seek(-2, 2)  # the length of the comment
        file.write(struct.pack("<H", _COMMENT_LENGTH))
        file.seek(0)
        found = _checksum_of(file, path.stat().st_size)
        file.write(found)


def _is_as_signed(path: Path) -> bool:
    """Whether a file has the checksum that it was given; also true of archives without comment."""
    with path.open("rb") as file:
        length = file.seek(0, 2)
        file.seek(max(0, length - _END_LENGTH))
        end = file.read()
        if end.startswith(_END) and end.endswith(b"\0\0"):
            return True  # of version 0.1, which gave none
        if length < _COMMENT_LENGTH:
            return False
        file.seek(0)
        return _checksum_of(file, length - _COMMENT_LENGTH) == file.read()


def _checksum_of(file: BinaryIO, length: int) -> bytes:
    """The comment that suits the next so many bytes."""
    found = hashlib.sha256()
    while part := file.read(min(length, 2**20)):
        found.update(part)
        length -= len(part)
    return _MARK + found.hexdigest().encode()


def _read(path: Path) -> dict[str, Any]:
    if not _is_as_signed(path):
        raise ValueError(
            f"`path` must be a whole checkpoint that fit wrote. Got {path}, which is truncated, of "
            "another kind, or differs from its checksum. Use an earlier copy, or start again in "
            "another folder."
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of whatever kind a damaged file makes torch raise
        raise ValueError(
            f"`path` must be a whole checkpoint that fit wrote. Got {path}, which is truncated, "
            "of another kind, or holds code that is never executed. Use an earlier copy, or "
            "start again in another folder."
        ) from error
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= {
        "trimvae",
        "state_dict",
        "epoch",
    }:
        raise ValueError(
            f"`path` must be a checkpoint that fit wrote. Got {path}, written by something else. "
            "Start again in another folder."
        )
    return checkpoint


def _same(left: Any, right: Any) -> bool:
    """Whether two settings are the same; numbers that were computed, nearly."""
    if not (_are_floats(left) and _are_floats(right)):
        return bool(left == right)
    if len(left) != len(right):
        return False
    found, wanted = (torch.tensor(each, device="cpu") for each in (left, right))
    return torch.allclose(found, wanted, rtol=1e-3, atol=1e-4, equal_nan=True)


def _are_floats(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, float) for value in values)


def _shown(value: Any) -> str:
    words = str(value)
    return words if len(words) <= 60 else f"{words[:57]}..."
