"""README and docs: their code runs, and the names, files, commands and options in them exist."""

import importlib
import importlib.util
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from captum.attr import IntegratedGradients
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from attributions import Trim
from benchmarks import smoke
from trimvae import VAE, explain
from trimvae.cli.entry import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [*PAGES, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "tables").glob("*.md"))]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```\n(.*?)^```$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
# Packages whose public names all stand on the page of the API.
LISTED = (
    "attributions.axes",
    "attributions.methods",
    "attributions.penalties",
    "attributions.measures",
    "attributions.transforms",
    "trimvae.data",
    "trimvae.figures",
    "trimvae.metrics",
    "trimvae.models",
    "trimvae.objectives",
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def fences(page: Path) -> list[str]:
    return FENCE.findall(page.read_text(encoding="utf-8"))


def snippets(page: Path) -> list[str]:
    """What stands in code: inline, and in fences that are no Python."""
    return ["".join(found) for found in CODE.findall(page.read_text(encoding="utf-8"))]


class MyClassifier(nn.Linear):
    """What a reader of the page on the command line has."""

    def __init__(self) -> None:
        super().__init__(4, 2)


class Network(nn.Module):
    """A generator as the page on codes expects it."""

    z_dim, w_dim, num_ws = 6, 6, 2

    def __init__(self) -> None:
        super().__init__()
        self.mapping, self.synthesis = nn.Linear(6, 6), Synthesis()


class Synthesis(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.draw = nn.Linear(12, 784)

    def forward(self, ws: torch.Tensor) -> torch.Tensor:
        return self.draw(ws.flatten(1)).sigmoid().view(-1, 1, 28, 28)


def prepared(page: Path) -> dict[str, Any]:
    """What the code of a page takes for granted, as small as it can be."""
    torch.manual_seed(0)
    shape = (3, 64, 64) if page.name == "README.md" else (1, 28, 28)
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(torch.Size(shape).numel(), 3)).eval()
    # Axes want as many examples as latents squared.
    images = torch.rand(160 if page.name == "axes.md" else 16, *shape)
    vae = VAE.dense(shape, latent_size=4, hidden=(16,)).eval()
    trim = Trim(classifier, vae.decode)
    latents = vae.encode(images).mean.detach()
    return {
        "torch": torch,
        "nn": nn,
        "classifier": classifier,
        "normalise": lambda inputs: (inputs - 0.5) / 0.5,
        "images": images,
        "held_out": images[:2],
        "held_out_images": images[:2],
        "loader": DataLoader(TensorDataset(images), batch_size=8),
        "classes": classifier(images).argmax(dim=1),
        "vae": vae,
        "trim": trim,
        "latents": latents,
        "IntegratedGradients": IntegratedGradients,
        "explanation": explain(vae, classifier, images[:2], n_steps=4),
        "MyClassifier": MyClassifier,
        "network": Network().eval(),
        "decoder": nn.Sequential(nn.Linear(128, 784), nn.Unflatten(1, (1, 28, 28))),
        "encoder": nn.Sequential(nn.Flatten(), nn.Linear(784, 128)),
        **imported_for(page),
    }


def imported_for(page: Path) -> dict[str, Any]:
    """What an earlier page or an example has imported for the reader already."""
    import trimvae

    return {name: getattr(trimvae, name) for name in ("explain", "fit") if page.name != "README.md"}


@pytest.mark.parametrize("page", [page for page in PAGES if fences(page)], ids=name_of)
def test_the_code_of_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(MyClassifier().state_dict(), "weights.pt")
    namespace = prepared(page)
    for number, code in enumerate(fences(page), 1):
        exec(compile(code, f"{name_of(page)}, fence {number}", "exec"), namespace)
    if page.name == "command_line.md":
        assert isinstance(namespace["load"](), MyClassifier)


def test_all_python_on_the_pages_is_run_here_or_cut_from_an_example():
    assert sum(len(fences(page)) for page in PAGES) >= 12
    cut = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        cut += re.findall(r"^``` \{\.python\}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(cut) >= 10
    assert all(re.fullmatch(r'--8<-- "examples/\w+\.py:\w+"\n', code) for code in cut)


@pytest.mark.parametrize("page", [*TEXTS, ROOT / "CHANGELOG.md"], ids=name_of)
def test_every_relative_link_of_a_page_leads_to_a_file(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [
        link
        for link in links
        if not link.startswith(("http", "mailto:")) and not (page.parent / link).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_every_file_that_a_page_names_exists(page):
    paths = re.compile(r"(?<![\w./:-])(?:attributions|trimvae|tests|examples|benchmarks)/[\w./]*")
    named = {path for code in snippets(page) for path in paths.findall(code)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@cache
def options() -> dict[str, set[str]]:
    """The options of every command."""
    group = typer.main.get_command(app)
    own = {option for parameter in group.params for option in parameter.opts}
    common = own | {"--help", "--install-completion", "--show-completion"}
    return {
        name: common.union(*(one.opts + one.secondary_opts for one in command.params))
        for name, command in group.commands.items()
    }


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_every_command_that_a_page_names_exists_with_its_options(page):
    wrong = []
    for code in snippets(page):
        for command, rest in re.findall(rf"(?:^|trimvae )({'|'.join(options())})\b(.*)", code):
            wanted = set(re.findall(r"(?<=\s)--[a-z][\w-]*", rest))
            wrong += [f"trimvae {command} {option}" for option in wanted - options()[command]]
        for target in re.findall(r"\bmake ([a-z][\w-]*)", code):
            if not re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE):
                wrong.append(f"make {target}")
        for module in re.findall(r"python -m ((?:benchmarks|examples)[\w.]*)", code):
            if importlib.util.find_spec(module) is None:
                wrong.append(f"python -m {module}")
    assert wrong == []


def test_no_page_runs_a_benchmark_or_example_by_its_path():
    assert [
        name_of(page)
        for page in TEXTS
        if re.search(r"python (benchmarks|examples)/", page.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.parametrize("package", LISTED)
def test_the_page_of_the_api_lists_every_public_name_of_a_package(package):
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    entry = re.search(rf"^::: {re.escape(package)}\n(.*?)(?=^:::|^#|\Z)", page, re.M | re.S)
    assert entry is not None
    public = set(importlib.import_module(package).__all__)
    assert public == set(re.findall(r"\w+", entry[1])) - {"options", "members"}


def test_every_name_on_the_page_of_the_api_exists():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    entries = re.findall(r"^::: ([\w.]+)\n(.*?)(?=^:::|^#|\Z)", page, re.MULTILINE | re.DOTALL)
    assert len(entries) > 20
    missing = [
        f"{module}.{name}"
        for module, members in entries
        for name in set(re.findall(r"\w+", members)) - {"options", "members"}
        if not hasattr(importlib.import_module(module), name)
    ]
    assert missing == []


def test_the_page_of_the_api_documents_every_name_at_both_doors():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for package in ("attributions", "trimvae"):
        for name in importlib.import_module(package).__all__:
            found = getattr(importlib.import_module(package), name)
            if inspect.ismodule(found):
                assert f"::: {found.__name__}\n" in page
            else:
                assert re.search(rf"\b{name}\b", page) or f"::: {found.__module__}\n\n" in page


def resolved(path: str) -> Any:
    """The module, function or attribute at a dotted path."""
    parts = path.split(".")
    for stop in range(len(parts), 0, -1):
        if importlib.util.find_spec(parts[0]) and _is_module(".".join(parts[:stop])):
            found: Any = importlib.import_module(".".join(parts[:stop]))
            for part in parts[stop:]:
                found = getattr(found, part)
            return found
    raise ImportError(path)


def _is_module(path: str) -> bool:
    parent, _, name = path.rpartition(".")
    if not parent:
        return importlib.util.find_spec(name) is not None
    return (
        _is_module(parent)
        and hasattr(importlib.import_module(parent), "__path__")
        and importlib.util.find_spec(path) is not None
    )


def migrations() -> list[tuple[str, str]]:
    """Rows of the migration table: old names, new names."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = changelog.partition("### Migration from 0.1")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return [row for row in rows if row[0] != "0.1"]


def test_every_new_name_of_the_migration_table_can_be_imported_and_takes_its_keyword():
    rows = migrations()
    assert len(rows) > 60
    checked = 0
    for _, new in rows:
        for path, keyword in re.findall(
            r"`((?:attributions|trimvae)(?:\.\w+)*)(?:\((\w+)=\))?`", new
        ):
            found = resolved(path)
            checked += 1
            if keyword:
                assert keyword in inspect.signature(found).parameters, (path, keyword)
    assert checked > 60


@pytest.mark.slow
@pytest.mark.parametrize("name", smoke.names())
def test_every_benchmark_still_runs(name, tmp_path):
    outcome, said = smoke.run(name, str(tmp_path))
    if outcome == "skipped":
        pytest.skip(said.strip().splitlines()[-1])
    assert outcome == "ok", said
