"""Plain arrays of an .npz: each is compared with the size of the file before it is read."""

import math
import struct
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

# How each version of NumPy's format says what an array is, before its values.
_HEADERS: dict[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Of an archive's format: where a member's header has the length of its name, how long it is without
# name, and how long what may follow the member.
_NAME_LENGTH, _LOCAL_HEADER, _DESCRIPTOR = 26, 30, 24

DEFLATED_AT_MOST = 1032
"""Bytes that one byte of a deflated stream can stand for."""


class Archive(NamedTuple):
    """What was asked of an .npz, and what was not."""

    arrays: dict[str, np.ndarray[Any, Any]]
    """By name, those that were asked for and are there."""
    others: list[str]
    """Names of the others, which are not read."""


def read_npz(path: Path, names: Collection[str], refusal: Callable[[str], Exception]) -> Archive:
    """Read some arrays of an .npz, none of which may hold Python objects.

    Checksums are compared, and before memory is asked for, so are an array's shape with its size,
    and its size with that of the file.

    Args:
        path: The file, which must exist.
        names: Of the arrays to read; not all need be there.
        refusal: Makes the caller's error of a few words on what is wrong with the file.

    Raises:
        Exception: The caller's own, whatever a damaged file makes NumPy or zipfile raise.
    """
    try:
        # Opened here: zipfile leaves a file open that it cannot read.
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            members = _members_of(archive)
            _check_whole(stream, [*members.values()], archive.start_dir)
            for name in members.keys() & set(names):
                _check_size(name, members[name], path.stat().st_size)
            found = {name: _read(archive, members[name]) for name in names if name in members}
    except Exception as error:  # of whatever kind a damaged file makes a library raise
        raise refusal(str(error) or type(error).__name__) from error
    return Archive(found, sorted(members.keys() - found.keys()))


def _members_of(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Members by the name of their array."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        with archive.open(member):  # a name stands in the file twice, and both must agree
            name = member.filename.removesuffix(".npy")
        if name in members:
            raise ValueError(f"two arrays are called {name}")
        members[name] = member
    return members


def _check_whole(stream: IO[bytes], members: list[zipfile.ZipInfo], end: int) -> None:
    """Raise a ValueError where the file has room for an array that its directory does not name."""
    gaps, position = [], 0
    for member in sorted(members, key=lambda member: member.header_offset):
        gaps.append(member.header_offset - position)
        stream.seek(member.header_offset + _NAME_LENGTH)
        name, extra = struct.unpack("<HH", stream.read(4))
        position = member.header_offset + _LOCAL_HEADER + name + extra + member.compress_size
    if not all(0 <= gap <= _DESCRIPTOR for gap in (*gaps, end - position)):
        raise ValueError("arrays that overlap, or bytes that belong to none")


def _check_size(name: str, member: zipfile.ZipInfo, size: int) -> None:
    """Raise a ValueError where a member claims to be larger than its part of the file can be."""
    most = {
        zipfile.ZIP_STORED: member.compress_size,
        zipfile.ZIP_DEFLATED: member.compress_size * DEFLATED_AT_MOST,
    }
    if member.compress_type not in most:
        raise ValueError(f"{name} is compressed as numpy.savez never does")
    if member.compress_size > size or member.file_size > most[member.compress_type]:
        raise ValueError(f"{name} claims {member.file_size:,} bytes in a file of {size:,}")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray[Any, Any]:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"{member.filename} is in version {version} of NumPy's format")
        shape, _, dtype = _HEADERS[version](stream)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds Python objects")
        held, said = member.file_size - stream.tell(), math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or held != said:
            raise ValueError(f"{member.filename} has {held:,} bytes for {shape} of {dtype}")
    with archive.open(member) as stream:
        array: np.ndarray[Any, Any] = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # at its end the checksum is compared
    return array
