import json

import pytest

from tests.trimvae.cli.command_line import call, content
from trimvae import VAE
from trimvae.cli import demo_data, demonstration

FIGURES = {
    "agreement",
    "prediction_kl",
    "reconstruction_error",
    "effective_latents",
    "effective_latents_over_data",
    "latents_for_90_percent",
    "completeness_error",
    "latent_share",
    "monotonicity",
    "train_seconds",
}


@pytest.fixture
def few(folder, monkeypatch):
    """Give the demo a small part of a data set."""

    def shorten(dataset):
        chosen = demo_data.DATASETS[dataset]
        data = chosen.read()
        data = data._replace(
            train_inputs=data.train_inputs[:128],
            train_labels=data.train_labels[:128],
            test_inputs=data.test_inputs[:8],
            test_labels=data.test_labels[:8],
        )
        short = chosen._replace(read=lambda: data, classifier_epochs=12)
        monkeypatch.setitem(demo_data.DATASETS, dataset, short)
        monkeypatch.setattr(demonstration, "N_STEPS", 4)
        monkeypatch.setattr(demonstration, "N_STEPS_REPORTED", 4)
        return data

    return shorten


def test_the_demo_writes_every_figure_it_promises(folder, few):
    """One epoch on few digits: the mechanics; `make demo` shows the figures."""
    few("digits")
    result = call("demo", "--seed", "3", "--out", "demo", "--epochs", "1")
    assert result.exit_code == 0, result.output
    metrics = json.loads((folder / "demo" / "metrics.json").read_text())
    arms = {"plain", "prediction", "trim"}
    assert set(metrics) == {"dataset", "seed", "predictor_accuracy", "consensus", "found", *arms}
    assert 1 <= len(metrics["found"]) <= 3
    assert " ".join(metrics["found"]) in " ".join(result.output.split())
    assert metrics["seed"] == 3
    assert 0 < metrics["predictor_accuracy"] <= 1
    for arm in arms:
        assert set(metrics[arm]) >= FIGURES
    found = json.loads((folder / "demo" / "consensus.json").read_text())
    assert found["seeds"] == [3, 4]
    assert found["in_words"] in result.output.replace("\n", " ")
    assert metrics["consensus"]["in_words"] == found["in_words"]
    assert VAE.load(folder / "demo" / "code_1.safetensors").axes is not None
    for name in (
        "comparison.png",
        "report.html",
        "explanation/heatmap.png",
        "explanation/traversals_0.png",
    ):
        assert (folder / "demo" / name).stat().st_size > 10_000
    (folder / "demo").rename(folder / "moved")
    (folder / "moved" / "classifier.py").write_text("raise SystemExit('called')\n")
    assert call("explain", "moved", "--examples", "2").exit_code == 0  # no code of the run is


@pytest.mark.parametrize(
    "dataset", [pytest.param("sprites", marks=pytest.mark.slow), "breast-cancer"]
)
def test_the_demo_explains_other_data(folder, few, dataset):
    data = few(dataset)
    result = call("demo", "--dataset", dataset, "--out", "demo", "--epochs", "1", "--json")
    assert json.loads(result.stdout)["dataset"] == dataset
    result = call("report", "demo", "--shown", "3")
    assert result.exit_code == 0, result.output
    if data.feature_names:
        assert data.feature_names[0] in (folder / "demo" / "report.html").read_text("utf-8")


@pytest.mark.slow
def test_a_demo_replaces_a_run_and_keeps_what_is_not_the_run_s(folder, few, run):
    few("breast-cancer")
    (run / "notes.txt").write_text("mine")
    result = call(
        "demo", "--dataset", "breast-cancer", "--seed", "4", "--out", "run", "--epochs", "1",
        "--overwrite",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads((run / "metrics.json").read_text())["seed"] == 4
    assert (run / "notes.txt").read_text() == "mine"
    assert not (run / "history.json").exists()  # training's, not the demo's


def test_an_unknown_data_set_of_the_demo_is_named_and_costs_no_run(folder, run):
    before = content(folder)
    with pytest.raises(ValueError, match="`dataset` must be one of digits, fashion, sprites"):
        call("demo", "--dataset", "cats")
    with pytest.raises(ValueError, match="`dataset` must be one of digits, fashion, sprites"):
        call("demo", "--dataset", "cats", "--out", "run", "--overwrite")
    assert content(folder) == before


def test_the_demo_leaves_an_earlier_run_and_a_foreign_folder_alone(folder, run):
    (folder / "precious").mkdir()
    (folder / "precious" / "configuration.json").write_text('{"name": "thesis"}')
    before = content(folder)
    with pytest.raises(FileExistsError, match="holds an earlier run"):
        call("demo", "--out", "run")
    with pytest.raises(FileExistsError, match="not a run of ours"):
        call("demo", "--out", "precious", "--overwrite")
    assert content(folder) == before


def test_training_does_not_go_on_with_a_demo(folder, few):
    from trimvae.cli.starting import Start

    Start(folder / "demo").begin({"command": "demo", "epochs": 1})
    before = content(folder)
    with pytest.raises(ValueError, match="command: recorded 'demo', asked 'train'"):
        call(
            "train", "--classifier", "my_model.py:load", "--data", "table.npz", "--out", "demo",
            "--resume",
        )  # fmt: skip
    assert content(folder) == before
