"""What a run has written, by what it recorded of itself."""

import pytest

from tests.trimvae.cli.command_line import content
from trimvae.cli.cleaning import WRITTEN, delete_written, written
from trimvae.cli.runs import along_axes_of
from trimvae.cli.starting import Start

# A checkpoint along axes is there for the number of epochs before it.
ALONG = along_axes_of(3)

OF_ONE = {name.replace(along_axes_of(), ALONG) for name in WRITTEN}

SETTINGS = {"command": "train", "epochs": 3, "seed": 5}

OF_THREE = {
    "consensus.json",
    "code_1.safetensors",
    "code_2.safetensors",
    "seed_6/last.ckpt",
    f"seed_6/{ALONG}/last.ckpt",
    "seed_6/history.json",
    "seed_7/last.ckpt",
    f"seed_7/{ALONG}/last.ckpt",
    "seed_7/history.json",
}


def filled(folder, **settings):
    """A run with files of every name that one of several codes has."""
    Start(folder).begin({**SETTINGS, **settings})
    for name in (*OF_ONE, *OF_THREE, "code_3.safetensors", "seed_8/last.ckpt", "seed_7/mine"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_of_several_codes_each_one_s_files_are_the_run_s(tmp_path):
    folder = filled(tmp_path / "run", codes=3)
    assert {str(path.relative_to(folder)) for path in written(folder)} == {*OF_ONE, *OF_THREE}
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
    assert {str(path.relative_to(folder)) for path in written(folder)} == OF_ONE
    delete_written(folder)
    assert set(content(folder)) > OF_THREE


def test_a_run_of_several_is_replaced_as_a_whole(tmp_path):
    folder = filled(tmp_path / "run", codes=3)
    start = Start(folder, overwrite=True)
    with start.training():
        start.begin(SETTINGS)
    assert not OF_THREE & set(content(folder))


def test_folders_of_similar_names_are_the_user_s(tmp_path):
    folder = filled(tmp_path / "run", codes=3)
    own = ("axes_after_all/last.ckpt", "axes_after_3/mine")
    for name in own:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "last.ckpt").write_text("mine")
    (folder / "axes_after_9").symlink_to(tmp_path / "elsewhere")
    delete_written(folder)
    assert set(own) < set(content(folder))
    assert (tmp_path / "elsewhere" / "last.ckpt").exists()
