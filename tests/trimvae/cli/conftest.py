import os
import shutil
from pathlib import Path

import pytest

from tests.trimvae.cli.command_line import train, write_inputs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a classifier and a table."""
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def _trained_once(tmp_path_factory):
    place = tmp_path_factory.mktemp("trained")
    write_inputs(place)
    before = Path.cwd()
    os.chdir(place)
    try:
        assert train("--preprocess", "my_model.py:preprocessing").exit_code == 0
    finally:
        os.chdir(before)
    return place / "run"


@pytest.fixture
def run(_trained_once, folder):
    """A copy, called `run`, of one run that was trained for all these tests."""
    shutil.copytree(_trained_once, folder / "run")
    configuration = folder / "run" / "configuration.json"
    recorded = configuration.read_text(encoding="utf-8")
    here = recorded.replace(str(_trained_once.parent), str(folder))
    configuration.write_text(here, encoding="utf-8")
    return folder / "run"
