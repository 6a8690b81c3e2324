"""Files that are written whole or not at all, and read without executing code, as written."""

import errno
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from trimvae.json_values import without_nan

if TYPE_CHECKING:  # torch is slow to import, and text needs none
    from torch import Tensor

_CHECKSUM = "sha256"
_REMEDY = "Use another copy, or remove it and make it again."


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary file that takes the place of `path` when the block ends without error.

    The temporary file lies in the same folder, hence on the same file system. It is flushed to disk
    before it takes the place of the earlier file, which is kept until then; the folder is flushed
    afterwards. After an error or Ctrl-C the temporary file is gone and the earlier one unchanged.

    A new file gets the permissions that the umask leaves, a replaced one keeps its own. A symbolic
    link stays a link: the file that it points to is replaced.

    Args:
        path: The file, relative paths from the working folder of the moment.

    Yields:
        An empty file to write to; its name begins with a dot and the name of the file.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: The folder is a file.
        IsADirectoryError: `path` is a folder.
        OSError: The disk is full.
        PermissionError: The folder cannot be written to.
        ValueError: `path` is neither a file nor new, such as a device.
    """
    target = Path(os.path.realpath(path))
    earlier = _permissions(target, path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    granted = _create(temporary, path)
    try:
        with _said_where_full(path):
            yield temporary
            _flush(temporary)  # before permissions that may forbid it
            temporary.chmod(granted if earlier is None else earlier)
            temporary.replace(target)
        _flush_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _said_where_full(path: str | Path) -> Iterator[None]:
    """Name the file for which there was no room, which the system's own error does not."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise full(path, error) from error


def full(path: str | Path, error: Exception) -> OSError:
    """Return the error that says which file has no room, for whoever writes with a library.

    Args:
        path: The file.
        error: As the system or a library raised it.
    """
    reason = getattr(error, "strerror", None) or error
    found = OSError(
        f"`path` must be where the file can be written whole. Got {path} ({reason}). "
        "Make room on the disk."
    )
    found.errno = getattr(error, "errno", None)
    return found


def _permissions(target: Path, path: str | Path) -> int | None:
    """Permissions of the file that is replaced; None for a new file."""
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):  # the latter is refused in `_create`
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(
            f"`path` must be a file. Got {path}, which is a folder. Name a file in it."
        )
    if not stat.S_ISREG(mode):
        raise ValueError(
            f"`path` must be a plain file or new. Got {path}, which is a device, pipe or socket. "
            "Name a file."
        )
    return stat.S_IMODE(mode)


def _create(temporary: Path, path: str | Path) -> int:
    """Make an empty file that nobody else has, and return the permissions that the umask left."""
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"`path` must be in a folder that exists. Got {path}. Make the folder first."
        ) from error
    except NotADirectoryError as error:
        raise NotADirectoryError(
            f"`path` must be in a folder. Got {path}, in what is a file. Choose another place."
        ) from error
    except PermissionError as error:
        raise PermissionError(
            f"`path` must be in a folder that can be written to. Got {path}. Choose another "
            "folder, or change its permissions."
        ) from error
    try:
        return stat.S_IMODE(os.fstat(handle).st_mode)
    finally:
        os.close(handle)


def _flush(file: Path) -> None:
    """Have a file's content on the disk."""
    handle = os.open(file, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _flush_folder(folder: Path) -> None:
    """Have a folder's names on the disk, where its file system can."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows, which flushes names with the file
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError:  # some network file systems have no such call; the file is in its place
        pass
    finally:
        os.close(handle)


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON; NaN and infinities, which that does not know, as null."""
    text = json.dumps(without_nan(content), indent=2, default=_number, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write `text` in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON, or not in UTF-8, or nested too deeply to be ours.
    """
    path = _existing(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"`path` must be a whole JSON file. Got {path} ({error}). Write it again."
        ) from error


def write_tensors(
    path: str | Path, tensors: "Mapping[str, Tensor]", kind: str, texts: Mapping[str, Any]
) -> None:
    """Write tensors, what kind of file it is, and texts (as JSON) to one safetensors file.

    The file carries a checksum of all of it, which `read_tensors` compares.

    Raises:
        OSError: The disk is full, or fails.
    """
    from safetensors.torch import save

    written = {name: json.dumps(text, default=_number) for name, text in texts.items()}
    metadata = {"format": kind, **written}
    # Copies: the format refuses tensors that share memory, as latents of an identity code do.
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    metadata[_CHECKSUM] = checksum(whole, metadata)
    with replacing(path) as temporary:
        # Not `save_file`, which writes to a file of its own name that a killed process leaves.
        temporary.write_bytes(save(whole, metadata))


def read_tensors(path: str | Path, kind: str) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """Return the tensors and texts of a file that `write_tensors` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, of another kind, or was changed since it was written.
            Files of version 0.1 carry no checksum to tell the last by.
    """
    from safetensors import safe_open

    path = _existing(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # of whatever kind a damaged file makes the library raise
        raise ValueError(
            f"`path` must be a file that {kind}.save wrote. Got {path}, which is truncated or of "
            f"another kind ({error}). {_REMEDY}"
        ) from error
    recorded = metadata.pop(_CHECKSUM, None)
    if recorded not in (None, checksum(tensors, metadata)):
        raise ValueError(
            f"`path` must be a file as {kind}.save wrote it. Got {path}, whose content differs "
            f"from its checksum. {_REMEDY}"
        )
    if metadata.pop("format", None) != kind:
        raise ValueError(
            f"`path` must be a file that {kind}.save wrote. Got {path}, written by something "
            "else. Name the right file."
        )
    try:
        return tensors, {name: json.loads(text) for name, text in metadata.items()}
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"`path` must be a file that {kind}.save wrote. Got {path}, whose texts cannot be "
            f"read ({error}). {_REMEDY}"
        ) from error


def checksum(tensors: "Mapping[str, Tensor]", texts: Mapping[str, str] | None = None) -> str:
    """SHA-256 of tensors with their names, dtypes and shapes, and of texts, in hexadecimal.

    The order does not matter, nor where the tensors are.

    Args:
        tensors: By name, such as a `state_dict`.
        texts: By name; default: none.

    Examples:
        >>> import torch
        >>> weights = {"a": torch.ones(2), "b": torch.zeros(3)}
        >>> checksum(weights) == checksum(dict(reversed(weights.items())))
        True
    """
    found = hashlib.sha256()
    for name, text in sorted((texts or {}).items()):
        found.update(json.dumps([name, text]).encode())
    for name, tensor in sorted(tensors.items()):
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(_bytes_of(tensor))
    return found.hexdigest()


def _bytes_of(tensor: "Tensor") -> Any:
    """The values of a tensor of any kind, as a buffer of bytes."""
    import torch

    values = tensor.detach().cpu()
    if values.layout != torch.strided:
        values = values.to_dense()
    if values.is_complex():
        values = torch.view_as_real(values.resolve_conj())
    return values.contiguous().reshape(-1).view(torch.uint8).numpy().data


def _number(value: Any) -> int | float | None:
    """A number of NumPy's, which JSON does not know, as Python's own."""
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return cast("float | None", without_nan(float(value)))
    raise TypeError(f"`content` must be JSON. Got {type(value).__name__}. Convert it first.")


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a file. Got {path}, which does not exist.")
    return path
