"""A table in a CSV file from training to the report, and a pipeline as its classifier."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.trimvae.cli.command_line import call
from tests.trimvae.tables.mixed import labels_of, mixed_frame
from trimvae.cli import runs
from trimvae.models import VAE

CLASSIFIER = """
import pandas as pd
from torch import nn
from tests.trimvae.tables.mixed import mixed_frame, pipeline

def load():
    return pipeline(mixed_frame(120))

def network():
    return nn.Linear(11, 2)
"""

OPTIONS = ("--data", "people.csv", "--out", "run", "--epochs", "2", "--latent-size", "2")


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "TRAVERSED", 1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.py").write_text(CLASSIFIER)
    frame = mixed_frame(120)
    names = pd.Series(labels_of(frame)).map({0: "no", 1: "yes"})
    frame.assign(loan=names).to_csv("people.csv", index=False)
    return frame


@pytest.mark.filterwarnings("ignore:The imitation of the predictor:UserWarning")
def test_a_run_of_a_csv_file_and_a_pipeline_is_explained_again(table):
    words = ["train", "--classifier", "rows.py:load", *OPTIONS, "--label", "loan", "--no-axes"]
    assert call(*words).exit_code == 0
    configuration = json.loads(Path("run/configuration.json").read_text())
    assert configuration["label"] == "loan"
    assert configuration["class_names"] == ["no", "yes"]
    code = VAE.load("run/code.safetensors")
    assert code.schema.names == list(table)
    table.assign(loan="no")[:50].assign(age=33).to_csv("more.csv", index=False)
    words = ["explain", "run", "--trust", "--method", "exact_shapley", "--examples", "4"]
    pd.read_csv("more.csv").assign(loan=["no", "yes"] * 25).to_csv("more.csv", index=False)
    assert call(*words, "--data", "more.csv").exit_code == 0
    assert call("report", "run", "--trust").exit_code == 0
    assert "town = north" in Path("run/report.html").read_text()


def test_a_network_on_the_tensors_of_a_csv_file_is_trained_along_axes(table):
    words = ["train", "--classifier", "rows.py:network", *OPTIONS, "--label", "loan"]
    assert call(*words).exit_code == 0
    assert VAE.load("run/code.safetensors").axes is not None


def test_what_does_not_go_with_a_csv_file_is_refused(table):
    words = ["train", "--classifier", "rows.py:load", *OPTIONS]
    with pytest.raises(ValueError, match="`--axes` must be left out for a classifier without grad"):
        call(*words, "--label", "loan")
    with pytest.raises(ValueError, match="`label` must be a column of .*Got 'laon'"):
        call(*words, "--label", "laon", "--no-axes")
    with pytest.raises(ValueError, match="`--label` must be left out unless `--data` is a CSV"):
        call("train", "--classifier", "rows.py:network", "--label", "loan", "--out", "run")
