"""Where a command writes: looked at before any work, and kept from other processes meanwhile."""

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from trimvae.cli.runs import make_folder, must_be_writable, open_run

if sys.platform != "win32":
    import fcntl


def alone(
    command: Callable[..., Any], claim: Callable[..., AbstractContextManager[None]]
) -> Callable[..., Any]:
    """Wrap a command, so that it claims what it writes to before anything else.

    Args:
        command: As typer takes it, with the options `run` and perhaps `out`.
        claim: Given the same options.

    Returns:
        The command; its options stay what they are.
    """

    @functools.wraps(command)
    def wrapped(**options: Any) -> Any:
        open_run(options["run"])  # what is no run is refused, and nothing is made in it
        with claim(options["run"], options.get("out")):
            return command(**options)

    return wrapped


@contextmanager
def run_claimed(run: Path, _: Path | None = None) -> Iterator[None]:
    """Claim the folder of a run.

    Raises:
        BlockingIOError: Another process writes into it.
        PermissionError: It cannot be written to.
    """
    _check_writable("run", run)
    handle = lock(run, "run")
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def explanation_claimed(run: Path, out: Path | None) -> Iterator[None]:
    """Claim the folder of an explanation; one that was made for it and stays empty is removed.

    Raises:
        BlockingIOError: Another process writes into it.
        NotADirectoryError: It is a file, or lies in one.
        PermissionError: It cannot be made or written to.
    """
    folder = out or run / "explanation"
    with made_for(folder):
        handle = lock(folder, "--out")
        try:
            yield
        finally:
            os.close(handle)


@contextmanager
def report_claimed(run: Path, out: Path | None) -> Iterator[None]:
    """Claim the file of a report by a hidden file beside it, which goes when the block ends.

    Raises:
        BlockingIOError: Another process writes it.
        NotADirectoryError: Its folder is a file, or lies in one.
        PermissionError: Its folder cannot be made or written to.
    """
    file = Path(os.path.realpath(out or run / "report.html"))
    with made_for(file.parent):
        mark = file.with_name(f".{file.name}.lock")
        handle = lock(file, "--out", os.open(mark, os.O_CREAT | os.O_RDWR, 0o666))
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)
            os.close(handle)


@contextmanager
def made_for(folder: Path) -> Iterator[None]:
    """Have a folder to write to; what was made for it and stays empty is removed."""
    new = [place for place in (folder, *folder.parents) if not os.path.lexists(place)]
    make_folder(folder, "--out")
    try:
        _check_writable("--out", folder)
        yield
    finally:
        for place in new:  # the innermost first
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()


def lock(place: Path, argument: str, handle: int | None = None) -> int:
    """Keep other processes from a place until the handle that is returned is closed.

    Where a file system has no locks, nobody is kept from anything.

    Args:
        place: A folder that exists, or what the handle stands for.
        argument: Which argument names it, for the error.
        handle: Of an open file; default: the folder is opened.

    Raises:
        BlockingIOError: Another process has it.
    """
    if handle is None:
        handle = os.open(place, os.O_RDONLY) if sys.platform != "win32" else os.open(os.devnull, 0)
    try:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise BlockingIOError(
            f"`{argument}` must not be in use. Got {place}, to which another process writes. "
            "Wait for it, or choose another place."
        ) from error
    except OSError:  # some network file systems have no locks
        pass
    return handle


def _check_writable(argument: str, folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(must_be_writable(argument, folder))
