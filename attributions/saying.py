"""Errors of the caller's own functions, which pass unchanged and say whose they are."""

from collections.abc import Iterator
from contextlib import contextmanager

_OWN_CODE = "This error comes from your own code,"


@contextmanager
def said_of(argument: str, function: object) -> Iterator[None]:
    """Note on whatever a block raises which of the caller's functions it called.

    Args:
        argument: Under which name it was given: `"predictor"`, say.
        function: The function or module itself.

    Examples:
        >>> try:
        ...     with said_of("predictor", len):
        ...         len(3)
        ... except TypeError as error:
        ...     error.__notes__
        ['This error comes from your own code, `predictor` (len).']
    """
    try:
        yield
    except Exception as error:
        note(error, f"`{argument}` ({_name_of(function)})")
        raise


def note(error: Exception, function: str) -> None:
    """Note on an error which of the caller's functions has raised it, unless a note says so.

    Args:
        error: As it was caught.
        function: What the caller knows it by.
    """
    if not any(text.startswith(_OWN_CODE) for text in getattr(error, "__notes__", ())):
        error.add_note(f"{_OWN_CODE} {function}.")


def _name_of(function: object) -> str:
    """What a function is called, a module by its class."""
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__name__
