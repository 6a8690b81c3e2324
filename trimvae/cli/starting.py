"""A run that begins: when it may replace another or go on, and what it deletes then."""

import json
import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from trimvae.cli.claiming import lock, made_for
from trimvae.cli.cleaning import (
    UNFINISHED,
    WRITTEN_BY_DEMO,
    delete_written,
    files_of,
    patterns_of,
    written,
)
from trimvae.cli.runs import (
    CHECKPOINT,
    CODE,
    CONFIGURATION,
    MARK,
    configuration_of,
    is_marked,
    is_readable,
    make_folder,
    must_be_a_folder,
    must_be_writable,
)
from trimvae.json_values import without_nan
from trimvae.storage import write_json

# What may change while a run goes on: how many epochs it gets in the end, and the software.
_FREE = frozenset({"epochs", "versions"})


class Start:
    """A run that is about to begin: where, and what to do with what is there.

    Making one refuses or reads, and writes nothing. `begin` writes: it is called when training has
    accepted everything, so that a refusal costs nobody a run.

    Args:
        out: The folder; symbolic links are followed.
        overwrite: Replace the run in that folder.
        resume: Go on with the run in that folder, or start one in an empty folder.

    Raises:
        FileExistsError: The folder is not empty, and neither applies; or it is not a run of ours.
        NotADirectoryError: `out`, or a folder above it, is a file.
        PermissionError: The folder, or the one that it would be made in, cannot be written to.
        ValueError: Both `overwrite` and `resume`; or the run's checkpoint is gone.
    """

    def __init__(self, out: str | Path, *, overwrite: bool = False, resume: bool = False) -> None:
        if overwrite and resume:
            raise ValueError(
                "`--resume` must not stand beside --overwrite. Got both. Choose whether the run "
                "goes on or is replaced."
            )
        self.folder = Path(os.path.realpath(out))
        _check_writable(self.folder, out)
        self.recorded: dict[str, Any] | None = None
        """Configuration of the run to go on with; None for a run that starts anew."""
        self.begun = False
        self._aside = self.folder / f".{CHECKPOINT}.set-aside"
        there = _holds_anything(self.folder)
        self._replaces = there and overwrite
        self._unlock: Callable[[], object] | None = None
        self._made = ExitStack()
        if there:
            _check_ours(self.folder, out, overwrite or resume)
        if there and resume:
            self.recorded = configuration_of(self.folder)
            if (self.folder / CODE).exists() and not self._has_checkpoint():
                raise ValueError(
                    f"`--resume` must find the run's {CHECKPOINT}. Got {out}, a finished run "
                    "without it. Train anew with another --out."
                )

    def __enter__(self) -> Self:
        """Keep other processes out of the folder, before anything slow."""
        with ExitStack() as stack:
            stack.enter_context(made_for(self.folder))
            self._lock()
            self._made = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Let other processes into the folder; one that stayed empty goes."""
        if self._unlock is not None:
            self._unlock()
        self._made.close()

    def _has_checkpoint(self) -> bool:
        return (self.folder / CHECKPOINT).exists() or self._aside.exists()

    def check_same(self, configuration: Mapping[str, Any]) -> None:
        """Refuse to go on with other settings than the recorded ones; other epochs are no matter.

        Args:
            configuration: What is asked, in whole or part.

        Raises:
            ValueError: Something differs; every such setting is named.
        """
        if self.recorded is None:
            return
        asked = json.loads(json.dumps(without_nan({**MARK, **configuration})))
        differing = [
            f"{name}: recorded {self.recorded.get(name)!r}, asked {value!r}"
            for name, value in asked.items()
            if name not in _FREE and self.recorded.get(name) != value
        ]
        if differing:
            raise ValueError(
                "`--resume` must go on with the recorded settings. Got others ("
                + "; ".join(differing)
                + "). Ask for the recorded ones, or train anew with another --out."
            )

    def check_kept(self, *sources: str | None) -> None:
        """Refuse to delete what the new run itself is made of.

        Args:
            sources: Paths, with or without `:FUNCTION` behind them; None for nothing.

        Raises:
            ValueError: One of them is a file of the run that is replaced.
        """
        if not self._replaces:
            return
        doomed = {str(file) for file in written(self.folder)}
        for source in sources:
            if source is not None and not doomed.isdisjoint((source, source.rpartition(":")[0])):
                raise ValueError(
                    "`--overwrite` must leave what the new run needs. Got "
                    f"{source}, a file of the run that is replaced. Copy it elsewhere first, or "
                    "choose another --out."
                )

    @contextmanager
    def training(self) -> Iterator[None]:
        """Keep the checkpoint of a run that is replaced out of training's way.

        It comes back where training ends without `begin`: refused, failed or interrupted.

        Raises:
            BlockingIOError: Another process trains into the folder.
        """
        if self.folder.is_dir():
            self._lock()
        checkpoint = self.folder / CHECKPOINT
        if self._aside.exists() and not checkpoint.exists():
            self._aside.replace(checkpoint)  # an earlier process was killed right here
        if self._replaces and checkpoint.exists():
            checkpoint.replace(self._aside)
        try:
            yield
        finally:
            if not self.begun and self._aside.exists():
                self._aside.replace(checkpoint)

    def begin(self, configuration: Mapping[str, Any]) -> None:
        """Make the folder, delete what is replaced, and record the settings; only once.

        The configuration is replaced last: whatever interrupts this, the folder stays a run.

        Raises:
            BlockingIOError: Another process trains into the folder.
            FileExistsError: Another process has put something into the folder meanwhile.
        """
        if self.begun:
            return
        make_folder(self.folder, "--out")
        self._lock()
        if self.recorded is None and not self._replaces and _holds_anything(self.folder):
            _check_ours(self.folder, self.folder, allowed=False)
        if self._replaces and configuration.get("command") == "demo":
            _check_free_for_demo(self.folder)
        self.begun = True
        if self._replaces:
            delete_written(self.folder)
        self._aside.unlink(missing_ok=True)
        content = {**MARK, **configuration}
        if self.recorded is None or self.recorded.get("epochs") != content["epochs"]:
            write_json(self.folder / CONFIGURATION, content)

    def _lock(self) -> None:
        """Keep other processes out of the folder until the block ends, or this object's life."""
        if self._unlock is None:
            self._unlock = weakref.finalize(self, os.close, lock(self.folder, "--out"))


def _check_ours(folder: Path, out: str | Path, allowed: bool) -> None:
    if not is_marked(configuration_of(folder)):
        old = is_readable(configuration_of(folder) or {})
        what = "a run of trimvae 0.1, which has no mark" if old else "which is not a run of ours"
        remedy = "Delete it yourself, or choose" if old else "Choose"
        raise FileExistsError(
            f"`out` must be a new or empty folder. Got {out}, {what}. {remedy} another folder."
        )
    if not allowed:
        raise FileExistsError(
            f"`out` must be a new or empty folder. Got {out}, which holds an earlier run. "
            "Pass --overwrite or --resume, or choose another folder."
        )


def _check_free_for_demo(folder: Path) -> None:
    """Refuse to write a demo's files over a user's own of the same names."""
    own = [file.name for name in WRITTEN_BY_DEMO for file in files_of(folder, name)]
    if own and WRITTEN_BY_DEMO[0] not in patterns_of(folder):
        raise FileExistsError(
            f"`out` must not hold your own {', '.join(own)}, which a demo would write. Got "
            f"{folder}. Move them, or choose another folder."
        )


def _check_writable(folder: Path, out: str | Path) -> None:
    """Refuse a folder that cannot be made or written to, before any work is done for it."""
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise NotADirectoryError(must_be_a_folder("--out", out))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(must_be_writable("--out", out))


def _holds_anything(folder: Path) -> bool:
    """Whether there is more than the unfinished configuration of a run that was killed."""
    if not folder.is_dir():
        return False
    unfinished = set(folder.glob(f".{CONFIGURATION}.{UNFINISHED}"))
    return any(path not in unfinished for path in folder.iterdir())
