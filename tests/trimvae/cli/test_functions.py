import sys

import pytest

from trimvae.cli.functions import absolute, load, load_function


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("my_model.py", ValueError, "must have the form FILE.py:FUNCTION"),
        (":load", ValueError, "must have the form FILE.py:FUNCTION"),
        ("missing.py:load", FileNotFoundError, "must name an existing file"),
        ("my_model.py:lode", AttributeError, "must name a function of my_model.py"),
        ("my_model.py:weights", ValueError, "a function that returns the model"),
        ("no_such_module:load", ModuleNotFoundError, "must name a module that can be imported"),
    ],
)
def test_a_classifier_that_cannot_be_found_is_said(folder, spec, error, message):
    with pytest.raises(error, match=message):
        load_function(spec)


def test_a_module_that_lacks_a_module_of_its_own_says_which(folder, monkeypatch):
    (folder / "needs_more.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_module'"):
        load_function("needs_more:load")


def test_functions_are_found_in_files_and_modules(folder):
    assert load("my_model.py:load")[0].in_features == 6
    assert load_function("json:dumps")([1]) == "[1]"
    assert load(None) is None


def test_a_file_may_import_its_neighbours_and_leaves_the_path_alone(folder):
    (folder / "neighbour.py").write_text("answer = 42\n")
    (folder / "asks.py").write_text("from neighbour import answer\ndef load():\n  return answer\n")
    before = list(sys.path)
    assert load("asks.py:load") == 42
    assert sys.path == before


def test_a_file_may_define_dataclasses_and_be_called_like_a_package(folder):
    (folder / "json.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Model:\n"
        "    size: int = 3\n"
        "load = Model\n"
    )
    assert load("json.py:load").size == 3
    import json

    assert json.dumps([1]) == "[1]"


def test_specs_are_absolute_with_colons_in_the_path(folder):
    (folder / "a::b").mkdir()
    (folder / "a::b" / "file:my.py").write_text("def load():\n    return 5\n")
    spec = absolute("a::b/file:my.py:load")
    assert spec == f"{folder}/a::b/file:my.py:load"
    assert load(spec) == 5
    assert absolute("package.module:load") == "package.module:load"
