import importlib
import pickle
import pydoc
import re
import subprocess
import sys

import pytest

import trimvae


def test_every_public_name_is_there_and_is_listed():
    assert len(trimvae.__all__) <= 18
    for name in trimvae.__all__:
        assert getattr(trimvae, name).__name__ == name
        assert name in dir(trimvae)
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", trimvae.__version__)


def test_no_public_name_hides_a_module_of_the_package():
    for name in trimvae.__all__:
        assert importlib.util.find_spec(f"trimvae.{name}") is None


def test_a_star_imports_all_of_them():
    found = {}
    exec("from trimvae import *", found)
    assert set(trimvae.__all__) <= set(found)


PROGRAM = """
import rlcompleter, sys, trimvae
print('trimvae.models' in sys.modules, 'VAE' in vars(trimvae))
trimvae.VAE
print('trimvae.models' in sys.modules, 'VAE' in vars(trimvae))
folders = 'cli data evaluation explanation figures metrics models objectives recurrence report '
folders += 'training'
print(set(folders.split()) <= set(dir(trimvae)))
print(*(getattr(trimvae, name).__name__ for name in folders.split()))
print(trimvae.data.digits.__name__, trimvae.objectives.BetaVAE.__name__)
completer = rlcompleter.Completer({'trimvae': trimvae})
print(*(completer.complete('trimvae.find_', index) for index in range(2)))
"""


def test_names_and_folders_are_imported_when_they_are_first_used():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "False False",
        "True True",
        "True",
        "trimvae.cli trimvae.data trimvae.evaluation trimvae.explanation trimvae.figures "
        "trimvae.metrics trimvae.models trimvae.objectives trimvae.recurrence trimvae.report "
        "trimvae.training",
        "digits BetaVAE",
        "trimvae.find_counterfactuals( None",
    ], done.stderr


def test_help_shows_what_is_public():
    page = pydoc.plain(pydoc.render_doc(trimvae))
    for name in trimvae.__all__:
        assert re.search(rf"\b{name}\b", page), name


def test_classes_and_functions_of_the_door_are_pickled_by_name():
    for name in trimvae.__all__:
        found = getattr(trimvae, name)
        assert pickle.loads(pickle.dumps(found)) is found


@pytest.mark.parametrize("name", ["fit_generator", "Task", "__wrapped__", "_private"])
def test_an_unknown_name_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match=f"module 'trimvae' has no attribute '{name}'"):
        getattr(trimvae, name)
    assert not hasattr(trimvae, name)


def test_an_unknown_name_is_an_import_error():
    with pytest.raises(ImportError, match="cannot import name 'fit_generator' from 'trimvae'"):
        from trimvae import fit_generator  # noqa: F401
