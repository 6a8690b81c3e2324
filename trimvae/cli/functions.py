"""Functions of the caller's own that `--classifier` and `--preprocess` name."""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any


def load_function(spec: str, argument: str = "classifier") -> Callable[..., Any]:
    """Find `module:function` or `path/to/file.py:function`.

    Args:
        spec: What names it.
        argument: Which argument that is, for errors.

    Raises:
        ValueError: `spec` has no colon, or what it names is not callable.
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: There is no such module.
        AttributeError: The module has no such function.
    """
    source, colon, name = spec.rpartition(":")
    if not colon or not source or not name:
        raise ValueError(
            f"`{argument}` must have the form FILE.py:FUNCTION or MODULE:FUNCTION. Got {spec!r}. "
            "Write for example my_model.py:load."
        )
    module = (
        _module_of_file(Path(source), argument)
        if source.endswith(".py")
        else _module_named(source, argument)
    )
    if not hasattr(module, name):
        raise AttributeError(
            f"`{argument}` must name a function of {source}. Got {name!r}, which it does not have. "
            "Check the name."
        )
    function = getattr(module, name)
    if not callable(function):
        raise ValueError(
            f"`{argument}` must name a function that returns the model. Got {name!r}, a "
            f"{type(function).__name__}. Write a function that builds and returns it."
        )
    return function  # type: ignore[no-any-return]


def load(spec: str | None, argument: str = "classifier") -> Any:
    """Call the function that `FILE.py:FUNCTION` names; None for None."""
    if spec is None:
        return None
    function = load_function(spec, argument)
    with code_of_the_caller(spec):
        return function()


@contextmanager
def code_of_the_caller(spec: str) -> Iterator[None]:
    """Mark errors of the user's own code, so that they are shown with its own lines."""
    try:
        yield
    except Exception as error:
        from attributions.saying import note  # whose package loads torch

        note(error, f"`{spec}`")
        raise


def absolute(spec: str) -> str:
    """Make a spec that holds from any folder."""
    if ".py:" not in spec:
        return spec
    path, _, name = spec.rpartition(":")
    return f"{Path(path).resolve()}:{name}"


def _module_of_file(path: Path, argument: str) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(
            f"`{argument}` must name an existing file. Got {path}. Check the path."
        )
    # A name of its own: a user's file may be called like a package.
    found = importlib.util.spec_from_file_location(f"_of_the_caller_{path.stem}", path)
    if found is None or found.loader is None:  # never for a path that ends in .py
        raise ImportError(f"cannot load {path}")
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # where dataclasses look for their module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        with code_of_the_caller(str(path)):
            found.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


def _module_named(name: str, argument: str) -> ModuleType:
    try:
        with code_of_the_caller(name):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0] and error.name != name:
            raise  # something that the module itself imports
        raise ModuleNotFoundError(
            f"`{argument}` must name a module that can be imported. Got {name!r}. Install it, or "
            "write the path of a file: FILE.py:FUNCTION."
        ) from error
