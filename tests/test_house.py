"""The rules of the house that a program can check, with the place named where one is broken."""

import ast
import contextlib
import graphlib
import importlib
import io
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("attributions", "trimvae")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

MOST_LINES_OF_A_FILE = 300
MOST_LINES_OF_A_BODY = 50

# What may break a rule: `file` or `file:name`, and the reason. A test sees to it that nothing
# stays here that no longer needs to.
LONG_FILES: dict[str, str] = {}
LONG_BODIES: dict[str, str] = {}
UNMIRRORED = {
    "trimvae/cli/options.py": "options by name; the tests of every command give them",
    "trimvae/models/recipe.py": "five numbers by name; test_fitting sees each kind's and their use",
    "trimvae/cli/settings.py": "a table of names; test_train sees that each is recorded",
}
CATCHING = {
    "attributions/methods/support.py": "the one place that asks torch whether it can; raises "
    "every error again but torch's own refusal",
    "trimvae/evaluation/dividing.py": "an error of one process is raised in all of them",
}


def none_of(broken: Iterable[str] | Mapping[str, object]) -> None:
    """Fail with a line for every place."""
    places = [f"{k}: {v}" for k, v in broken.items()] if isinstance(broken, Mapping) else broken
    if lines := "\n".join(sorted(places)):
        pytest.fail(lines, pytrace=False)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    return name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions_of(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Every function of a module with its dotted name, methods and nested ones among them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{node.name}"
            if not isinstance(node, ast.ClassDef):
                yield name, node
            yield from functions_of(node, f"{name}.")
        else:
            yield from functions_of(node, prefix)


def body_lines(function: ast.FunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def documented_of(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node, text


def long_files() -> dict[str, int]:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in FILES}
    return {name: length for name, length in lengths.items() if length > MOST_LINES_OF_A_FILE}


def long_bodies() -> dict[str, int]:
    return {
        f"{name_of(path)}:{name}": body_lines(function)
        for path in FILES
        for name, function in functions_of(tree_of(path))
        if body_lines(function) > MOST_LINES_OF_A_BODY
    }


def unmirrored() -> set[str]:
    """Modules without a test file of their own in the same place of tests/."""
    modules = [path for path in FILES if path.name != "__init__.py"]
    mirrors = {
        name_of(path): ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.name}")
        for path in modules
    }
    return {name for name, mirror in mirrors.items() if not mirror.is_file()}


def test_a_file_holds_one_idea_in_at_most_300_lines():
    none_of({k: v for k, v in long_files().items() if k not in LONG_FILES})


def test_a_function_body_has_at_most_50_lines_docstring_apart():
    none_of({k: v for k, v in long_bodies().items() if k not in LONG_BODIES})


def test_every_module_is_tested_in_the_file_that_mirrors_it():
    none_of(unmirrored() - set(UNMIRRORED))


def test_no_exception_stays_that_is_no_longer_needed():
    assert set(LONG_FILES) <= set(long_files())
    assert set(LONG_BODIES) <= set(long_bodies())
    assert set(UNMIRRORED) <= unmirrored()
    assert set(CATCHING) <= set(catching())


def public_names(tree: ast.Module) -> set[str]:
    """Names that a module defines itself at its top level, without a leading underscore."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(target.id for target in targets if isinstance(target, ast.Name))
    return {name for name in names if not name.startswith("_")}


def test_nothing_public_has_the_name_of_its_module():
    broken = [
        name_of(path)
        for path in FILES
        if module_of(path).rpartition(".")[2] in public_names(tree_of(path))
    ]
    none_of(broken)


def test_no_name_at_a_package_hides_a_module_of_it():
    broken = []
    for path in FILES:
        if path.name != "__init__.py":
            continue
        inside = {entry.stem for entry in path.parent.iterdir() if entry.name != "__init__.py"}
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ImportFrom) and node.module != module_of(path):
                bound = {alias.asname or alias.name for alias in node.names}
                broken += [f"{name_of(path)}: {name}" for name in sorted(bound & inside)]
    none_of(broken)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_door_has_about_fifteen_names_and_all_of_them_open(package):
    door = importlib.import_module(package)
    assert 12 <= len(door.__all__) <= 20
    assert len(set(door.__all__)) == len(door.__all__)
    missing = [name for name in door.__all__ if not hasattr(door, name)]
    none_of(missing)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()


def narrows(node: ast.Assert) -> bool:
    """Whether it tells the type checker alone: `x is not None` or `isinstance(x, ...)`."""
    test = node.test
    if isinstance(test, ast.Compare):
        compared = test.comparators[0]
        none = isinstance(compared, ast.Constant) and compared.value is None
        return isinstance(test.ops[0], ast.IsNot) and none
    return isinstance(test, ast.Call) and getattr(test.func, "id", "") == "isinstance"


def test_an_assertion_only_narrows_a_type_and_says_why_it_holds():
    broken = []
    for path in FILES:
        lines = path.read_text().splitlines()
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Assert):
                said = any("#" in line for line in lines[node.lineno - 1 : node.end_lineno])
                if not (narrows(node) and said):
                    broken.append(f"{name_of(path)}:{node.lineno}")
    none_of(broken)


def test_no_settings_are_read_from_local_variables():
    broken = [
        f"{name_of(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and (
            getattr(node.func, "id", "") == "locals"
            or (getattr(node.func, "id", "") == "vars" and not node.args)
        )
    ]
    none_of(broken)


def caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(kind) for kind in types}


def catching() -> dict[str, list[int]]:
    """Files and lines that swallow errors which may be those of a user's model."""
    too_wide = {"RuntimeError", "NotImplementedError", "Exception", "BaseException"}
    found: dict[str, list[int]] = {}
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            # To say it again in better words, or to tidy up before it goes on, chooses no path.
            swallows = isinstance(node, ast.ExceptHandler) and not isinstance(
                node.body[-1], ast.Raise
            )
            if swallows and caught(node) & too_wide:
                found.setdefault(name_of(path), []).append(node.lineno)
    return found


def test_no_path_is_chosen_by_catching_an_error_that_may_be_the_users():
    none_of({k: v for k, v in catching().items() if k not in CATCHING})


SECTION = re.compile(r"^(Args|Returns|Yields|Raises|Warns|Attributes):$")


def referring_lines(docstring: str) -> list[str]:
    """Lines of a docstring's sections that send the reader elsewhere for an argument."""
    found, inside = [], False
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            inside = bool(SECTION.match(line))
        elif inside and re.search(r"\b[Ss]ee `", line):
            found.append(line.strip())
    return found


def test_help_is_complete_where_it_describes_an_argument():
    broken = {
        f"{name_of(path)}:{getattr(node, 'name', 'module')}": referring_lines(text)
        for path in FILES
        for node, text in documented_of(tree_of(path))
        if referring_lines(text)
    }
    none_of(broken)


@pytest.mark.parametrize(
    ("phrase", "instead"),
    [(r"\bwithout (it|them)[.;)]", "default: ..."), (r"\btoo[.;]", "also")],
    ids=["without it", "too"],
)
def test_docstrings_avoid(phrase, instead):
    broken = [
        f"{name_of(path)}:{getattr(node, 'name', 'module')} (say {instead!r})"
        for path in FILES
        for node, text in documented_of(tree_of(path))
        if re.search(phrase, text)
    ]
    none_of(broken)


def layered() -> set[str]:
    """Modules that a contract of layers names."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [
        layer
        for contract in settings["contracts"]
        if contract["type"] == "layers"
        for layer in contract["layers"]
    ]
    return {module.strip() for layer in layers for module in re.split(r"[|:]", layer)}


def test_every_module_has_its_layer():
    layers = layered()
    without = []
    for path in FILES:
        parts = module_of(path).split(".")
        prefixes = {".".join(parts[: end + 1]) for end in range(len(parts))}
        only_a_docstring = path.name == "__init__.py" and len(tree_of(path).body) <= 1
        if not prefixes & layers and len(parts) > 1 and not only_a_docstring:
            without.append(name_of(path))
    none_of(without)


def test_the_layers_are_kept(monkeypatch):
    linter = pytest.importorskip("importlinter.cli")
    monkeypatch.chdir(ROOT)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        broken = linter.lint_imports(no_cache=True, no_logo=True)
    assert not broken, output.getvalue()


def test_no_chain_of_imports_closes_to_a_circle():
    grimp = pytest.importorskip("grimp")
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    order = graphlib.TopologicalSorter(
        {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    )
    order.prepare()  # raises CycleError with the circle
