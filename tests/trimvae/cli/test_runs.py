import json

import pytest
import torch

from tests.trimvae.cli.command_line import call, content
from trimvae.cli import runs
from trimvae.models import VAE


def test_a_run_of_something_else_is_refused(folder):
    with pytest.raises(
        FileNotFoundError, match="`run` must be the folder of a run. Got ., without configuration"
    ):
        call("evaluate", ".")
    (folder / "configuration.json").write_text('{"name": "my project"}')
    with pytest.raises(FileNotFoundError, match="Got ., not written by trimvae"):
        call("report", ".")


def test_a_run_of_a_newer_version_is_refused(tmp_path):
    newer = {**runs.MARK, "format_version": runs.MARK["format_version"] + 1}
    (tmp_path / "configuration.json").write_text(json.dumps(newer))
    with pytest.raises(ValueError, match="of a newer one. Run pip install --upgrade trimvae"):
        runs.open_run(tmp_path)


def test_a_run_of_the_first_version_is_still_read(tmp_path):
    old = {"command": "train", "classifier": "my_model.py:load", "epochs": 3}
    (tmp_path / "configuration.json").write_text(json.dumps(old))
    assert runs.open_run(tmp_path) == (tmp_path, old)


def test_examples_come_back_with_and_without_labels(tmp_path):
    inputs = torch.randn(300, 2)
    runs.save_examples(tmp_path, inputs, None)
    assert torch.equal(runs.load_examples(tmp_path)[0], inputs[:256])
    assert runs.load_examples(tmp_path)[1] is None
    runs.save_examples(tmp_path, inputs, torch.arange(300))
    assert torch.equal(runs.load_examples(tmp_path)[1], torch.arange(256))


def test_a_run_without_its_code_is_not_finished(tmp_path):
    with pytest.raises(FileNotFoundError, match="Finish it with trimvae train --resume"):
        runs.load_code(tmp_path, VAE)


def test_a_folder_cannot_be_made_in_a_file(tmp_path):
    (tmp_path / "file.txt").write_text("mine")
    for folder in (tmp_path / "file.txt", tmp_path / "file.txt" / "deep"):
        with pytest.raises(NotADirectoryError, match="`--out` must be a folder"):
            runs.make_folder(folder, "--out")
    assert content(tmp_path) == {"file.txt": b"mine"}
