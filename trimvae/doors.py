"""Packages whose names are imported when they are first used, so that a door costs nothing."""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def open_door(
    package: str, names: Mapping[str, str], folders: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return a package's `__getattr__`, `__dir__` (PEP 562) and `__all__`.

    Args:
        package: Its `__name__`.
        names: Each public name and the module that defines it.
        folders: Its subpackages, which can be reached without an import of their own.

    Examples:
        >>> get, _, public = open_door("json", {"JSONDecoder": "json.decoder"}, ["tool"])
        >>> get("JSONDecoder").__name__, public
        ('JSONDecoder', ['JSONDecoder'])
    """
    subpackages = frozenset(folders)

    def import_name(name: str) -> Any:
        if name in subpackages:
            return importlib.import_module(f"{package}.{name}")
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(names[name]), name)
        setattr(sys.modules[package], name, found)  # asked once: from now on an attribute
        return found

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names, *subpackages})

    return import_name, list_names, sorted(names)
