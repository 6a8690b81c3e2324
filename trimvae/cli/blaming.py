"""Errors of the caller's own functions: which function it was, and where in their file."""

import sysconfig
import traceback
from pathlib import Path

import trimvae

_OURS = tuple(
    str(Path(trimvae.__file__).resolve().parents[1] / name) for name in ("trimvae", "attributions")
)
_STANDARD = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
_INSTALLED = {"site-packages", "dist-packages"}
_NOTED = "This error comes from your own code,"


def frames_of_the_caller(error: Exception) -> list[traceback.FrameSummary]:
    """Places in the caller's own files through which an error came; none where it is not theirs.

    Theirs is what ran below our last line, and all of it where a note says so. Libraries are not
    shown, but for the caller's own module where that is installed as one.

    Args:
        error: As it was caught.
    """
    frames = list(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename:  # which has no frame: nothing ran
        line = (error.text or "").strip()
        place = traceback.FrameSummary(error.filename, error.lineno, "<module>", line=line)
        frames.append(place)
    last = max((i for i, frame in enumerate(frames) if _is_ours(frame)), default=-1)
    below = frames[last + 1 :]
    if not any(note.startswith(_NOTED) for note in getattr(error, "__notes__", ())):
        return [frame for frame in below if _is_the_callers(frame)]
    own = [frame for frame in frames if _is_the_callers(frame)]
    return [frame for frame in own if frame in below] or own or _installed(below)


def told_of(error: Exception) -> str | None:
    """Say what a function of the caller's raised before, or without, a line of their own.

    A loader may want arguments that nobody gives, and a network of torch's layers other inputs.

    Args:
        error: As it was caught.

    Returns:
        A line; None of an error that no note calls the caller's.
    """
    for note in getattr(error, "__notes__", ()):
        if note.startswith(_NOTED):
            name = note.removeprefix(_NOTED).strip().removesuffix(".")
            said = " ".join(f"{type(error).__name__}: {error}".split())
            return f"error: {name} raised {said}"
    return None


def told(error: Exception, frames: list[traceback.FrameSummary]) -> str:
    """Say which function has raised what, then the places in the caller's files.

    Args:
        error: As it was caught.
        frames: At least one, the function that we called first.
    """
    first = frames[0]
    name = "" if first.name == "<module>" else f":{first.name}"
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    places = "".join(
        f'\n  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n    {frame.line}'
        for frame in frames
    )
    return f"error: `{Path(first.filename).name}{name}` raised {said}{places}"


def _is_ours(frame: traceback.FrameSummary) -> bool:
    return str(Path(frame.filename).resolve()).startswith(_OURS)


def _is_the_callers(frame: traceback.FrameSummary) -> bool:
    if frame.filename.startswith("<") or _is_ours(frame):
        return False
    path = Path(frame.filename)
    return _INSTALLED.isdisjoint(path.parts) and not str(path).startswith(_STANDARD)


def _installed(frames: list[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """Of a module that is installed: all but the standard library and torch, which called it."""
    return [
        frame
        for frame in frames
        if not frame.filename.startswith(("<", *_STANDARD))
        or (_INSTALLED & set(Path(frame.filename).parts) and "torch" not in frame.filename)
    ]
