"""What GitHub runs: every test on each Python that the package is for, and the wheel."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def steps_of(job: str) -> str:
    """The text of a job of the workflow that tests."""
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    found = re.search(rf"^  {job}:\n((?:    .*\n|\n)+)", text, re.MULTILINE)
    assert found, f"no job {job}"
    return found[1]


def test_every_python_that_the_package_names_runs_all_that_a_stranger_does():
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    named = [
        re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", each) for each in classifiers
    ]
    versions = re.search(r"python: \[(.*)\]", steps_of("tests"))[1]
    assert re.findall(r"3\.\d+", versions) == [each[1] for each in named if each]
    assert re.findall(r"3\.\d+", versions) == ["3.11", "3.12", "3.13"]
    assert "run: bash .ci/run" in steps_of("tests")


def test_the_wheel_is_built_and_kept():
    assert "run: make wheel" in steps_of("wheel")
    assert "upload-artifact" in steps_of("wheel")


def test_installed_packages_are_audited():
    assert "run: pip-audit" in steps_of("audit")


@pytest.mark.parametrize("target", ["lint", "types", "docs", "examples", "test"])
def test_what_a_stranger_runs_is_there(target):
    assert re.search(rf"^make .*\b{target}\b", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
