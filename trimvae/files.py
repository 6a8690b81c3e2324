"""Files that are written whole or not at all, and read without executing code."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary file that takes the place of `path` when the block ends without error.

    Raises:
        PermissionError: The folder cannot be written to.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except PermissionError as error:
        raise PermissionError(
            f"`path` must be in a folder that can be written to. Got {path}. Choose another "
            "folder, or change its permissions."
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: Any) -> None:
    """Write `content` as indented JSON."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write `text` in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], kind: str, texts: Mapping[str, Any]
) -> None:
    """Write tensors, what kind of file it is, and texts (as JSON) to one safetensors file."""
    metadata = {"format": kind, **{name: json.dumps(text) for name, text in texts.items()}}
    # Copies: the format refuses tensors that share memory, as latents of an identity code do.
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(whole, temporary, metadata)


def read_tensors(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and texts of a file that `write_tensors` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"`path` must be a file. Got {path}, which does not exist.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"`path` must be a file that {kind}.save wrote. Got {path}, which is truncated or of "
            f"another kind ({error}). Save it again."
        ) from error
    if metadata.pop("format", None) != kind:
        raise ValueError(
            f"`path` must be a file that {kind}.save wrote. Got {path}, written by something "
            "else. Name the right file."
        )
    return tensors, {name: json.loads(text) for name, text in metadata.items()}
