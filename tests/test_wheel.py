"""The wheel and the source distribution, built, installed and used from outside the repository."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("build")
pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[1]
# Built once for all tests of this file, so that they share a process of pytest-xdist.
pytestmark = pytest.mark.xdist_group("wheel")

USE = """
import pathlib
import sys

import torch

import attributions
import trimvae
from trimvae import VAE, explain

for package in (attributions, trimvae):
    place = pathlib.Path(package.__file__)
    assert pathlib.Path(sys.argv[1]) in place.parents, place
    assert (place.parent / "py.typed").is_file()

torch.manual_seed(0)
inputs = torch.randn(8, 6)
predictor = torch.nn.Linear(6, 3)
explanation = explain(VAE.dense((6,), latent_size=2), predictor, inputs)
print(trimvae.__version__, tuple(explanation.attributions.shape))
explanation.to_html("report.html")
"""


def run(*command, cwd: Path, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("dist")
    # The wheel is made from the source distribution, as an index would.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    (source,) = folder.glob("*.tar.gz")
    return wheel, source


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    command = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    run(*command, "--target", target, built[0], cwd=target)
    return target


def sources(*suffixes: str) -> set[str]:
    """What of the repository belongs to the packages."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in ("attributions", "trimvae")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix in suffixes
    }


def test_the_wheel_holds_the_two_packages_whole_and_nothing_else(built):
    names = set(zipfile.ZipFile(built[0]).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == sources(".py", ".typed", ".css", ".j2", ".js")
    assert "trimvae/report/templates/report.html.j2" in inside
    assert {"attributions/py.typed", "trimvae/py.typed"} <= inside
    (licence,) = {name for name in names if name.endswith("LICENSE")}
    assert b"the trimvae authors" in zipfile.ZipFile(built[0]).read(licence)


def test_the_source_distribution_builds_the_same_and_holds_no_tests(built):
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sources(".py", ".typed", ".css", ".j2", ".js") <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml"} <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]


def test_what_is_said_of_the_wheel_is_complete(built):
    archive = zipfile.ZipFile(built[0])
    (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
    text = archive.read(metadata).decode()
    version = run(sys.executable, "-c", "import trimvae; print(trimvae.__version__)", cwd=ROOT)
    for line in (
        "Name: trimvae",
        f"Version: {version.strip()}",
        "License-Expression: MIT",
        "Requires-Python: >=3.11",
        "Requires-Dist: captum<0.10,>=0.8",
    ):
        assert f"\n{line}\n" in text


def test_the_installed_wheel_explains_and_reports_outside_the_repository(installed, tmp_path):
    # The path comes before that of the editable installation.
    command = (sys.executable, "-c", USE, installed)
    found = run(*command, cwd=tmp_path, PYTHONPATH=str(installed))
    assert found.strip().endswith("(8, 3, 2)")
    assert (tmp_path / "report.html").read_text().count("</html>") == 1


def test_the_installed_command_says_its_version(installed, tmp_path):
    command = (sys.executable, installed / "bin" / "trimvae", "--version")
    found = run(*command, cwd=tmp_path, PYTHONPATH=str(installed))
    version = next(installed.glob("trimvae-*.dist-info")).name.split("-")[1]
    assert version.removesuffix(".dist") in found
