"""What a run has written, by what it recorded of itself."""

import pytest

from tests.trimvae.cli.command_line import content
from trimvae.cli.cleaning import WRITTEN, delete_written, patterns_of, written
from trimvae.cli.starting import Start

SETTINGS = {"command": "train", "epochs": 3, "seed": 5}

OF_THREE = {
    "consensus.json",
    "code_1.safetensors",
    "code_2.safetensors",
    "seed_6/last.ckpt",
    "seed_6/history.json",
    "seed_7/last.ckpt",
    "seed_7/history.json",
}


def filled(folder, **settings):
    """A run with files of every name that one of several codes has."""
    Start(folder).begin({**SETTINGS, **settings})
    for name in (*WRITTEN, *OF_THREE, "code_3.safetensors", "seed_8/last.ckpt", "seed_7/mine"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_of_several_codes_each_one_s_files_are_the_run_s(tmp_path):
    folder = filled(tmp_path / "run", codes=3)
    assert set(patterns_of(folder)) == {*WRITTEN, *OF_THREE}
    (folder / "seed_6" / ".last.ckpt.0123abcd").write_text("half a checkpoint")
    delete_written(folder)
    assert set(content(folder)) == {
        "configuration.json",
        "code_3.safetensors",
        "seed_7",
        "seed_7/mine",
        "seed_8",
        "seed_8/last.ckpt",
    }


@pytest.mark.parametrize("settings", [{}, {"codes": 1}, {"codes": None}])
def test_of_one_code_files_of_these_names_are_the_user_s(tmp_path, settings):
    folder = filled(tmp_path / "run", **settings)
    assert {str(path.relative_to(folder)) for path in written(folder)} == set(WRITTEN)
    delete_written(folder)
    assert set(content(folder)) > OF_THREE


def test_a_run_of_several_is_replaced_as_a_whole(tmp_path):
    folder = filled(tmp_path / "run", codes=3)
    start = Start(folder, overwrite=True)
    with start.training():
        start.begin(SETTINGS)
    assert not OF_THREE & set(content(folder))
