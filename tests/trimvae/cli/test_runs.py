import json

import pytest
import torch

from tests.trimvae.cli.command_line import call, content
from trimvae.cli import runs
from trimvae.evaluation.result import Evaluation
from trimvae.models import VAE
from trimvae.storage import write_json, write_tensors


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


SOUND = {**runs.MARK, "command": "train", "classifier": "my_model.py:load", "seed": 0, "codes": 3}


@pytest.mark.parametrize(
    "change",
    [
        {"seed": "0"},
        {"seed": None},
        {"codes": 10**9},
        {"classifier": ["my_model.py:load"]},
        {"class_names": "cat"},
        {"class_names": [1, 2]},
        {"grey": "no"},
        {"task": 1},
    ],
    ids=str,
)
def test_a_configuration_of_other_kinds_of_values_is_not_ours(tmp_path, change):
    write_json(tmp_path / "configuration.json", SOUND)
    assert runs.open_run(tmp_path) == (tmp_path, SOUND)
    write_json(tmp_path / "configuration.json", {**SOUND, **change})
    with pytest.raises(FileNotFoundError, match=r"Got .*, not written by trimvae"):
        runs.open_run(tmp_path)


def test_a_model_that_does_not_exist_is_named(run):
    configuration = json.loads((run / "configuration.json").read_text("utf-8"))
    write_json(run / "configuration.json", {**configuration, "model": "gan"})
    with pytest.raises(ValueError, match="`--model` must be one of vae, .*Got 'gan'"):
        call("explain", "run", "--trust")


@pytest.mark.parametrize("tensors", [{"labels": 3}, {"inputs": 2, "labels": 3}, {"other": 1}])
def test_damaged_examples_are_named(tmp_path, tensors):
    found = {name: torch.zeros(count) for name, count in tensors.items()}
    write_tensors(tmp_path / "examples.safetensors", found, "examples", {})
    with pytest.raises(ValueError, match="`run` must hold its examples .*Got .*examples.safetens"):
        runs.load_examples(tmp_path)


def test_a_consensus_says_of_each_latent_in_how_many_codes_it_is_found(tmp_path):
    vae = VAE.dense((6,), 2)
    write_json(tmp_path / "configuration.json", SOUND)
    assert runs.load_recurrence(tmp_path, vae) is None
    write_json(tmp_path / "consensus.json", {"found_in": [3, 1], "codes": 3})
    assert runs.load_recurrence(tmp_path, vae) == ((3, 1), 3)
    for found in (
        [3, 1],
        {"codes": 3},
        {"found_in": [3], "codes": 3},
        {"found_in": [3, 4], "codes": 3},
        {"found_in": [3, "1"], "codes": 3},
        {"found_in": [3, 1], "codes": None},
    ):
        write_json(tmp_path / "consensus.json", found)
        with pytest.raises(ValueError, match="`run` must hold its consensus .*Got .*consensus.jso"):
            runs.load_recurrence(tmp_path, vae)


def test_an_evaluation_is_read_whole_or_refused(tmp_path):
    assert runs.load_evaluation(tmp_path) is None
    figures = {"agreement": 0.9, "share": float("nan")}
    evaluation = Evaluation(
        metrics=figures, by_class={"cat": figures}, by_latent={"z0": {}}, settings={"n": 3}
    )
    content = evaluation.to_dict()
    write_json(tmp_path / "evaluation.json", content)
    found = runs.load_evaluation(tmp_path)
    assert repr(found) == repr(evaluation)  # NaN is no equal of itself
    for change in (
        {"metrics": None},
        {"metrics": {"agreement": "high"}},
        {"by_class": {"cat": [1]}},
        {"by_latent": []},
        {"more": 1},
    ):
        write_json(tmp_path / "evaluation.json", {**content, **change})
        with pytest.raises(ValueError, match="`run` must hold its evaluation .*Got .*evaluation"):
            runs.load_evaluation(tmp_path)
    (tmp_path / "evaluation.json").write_text("half")
    with pytest.raises(ValueError, match="must be a whole JSON file. Got .*evaluation.json"):
        runs.load_evaluation(tmp_path)
