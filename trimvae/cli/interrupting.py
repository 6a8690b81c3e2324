"""Ctrl-C and SIGTERM: one line that says how to go on, and the exit code that shells expect."""

import functools
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

INTERRUPTED, TERMINATED = 130, 143  # 128 and the number of the signal


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends what it interrupts as cleanly as Ctrl-C does."""


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM interrupt what a block does, as Ctrl-C does; only in the main thread."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, _terminate)
    except ValueError:  # not the main thread, where signals are somebody else's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def interruptible(command: Callable[..., Any], advice: str) -> Callable[..., Any]:
    """Wrap a command, so that an interruption ends it with a line and an exit code.

    Args:
        command: As typer takes it; its options stay what they are.
        advice: How to go on.

    Returns:
        The command, which exits with 130 after SIGINT and 143 after SIGTERM.
    """

    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        try:
            with terminable():
                return command(*arguments, **options)
        except KeyboardInterrupt as error:
            ended = isinstance(error, Terminated)
            typer.echo(f"{'terminated' if ended else 'interrupted'}: {advice}", err=True)
            raise SystemExit(TERMINATED if ended else INTERRUPTED) from error

    return wrapped


def _terminate(*_: Any) -> None:
    raise Terminated
