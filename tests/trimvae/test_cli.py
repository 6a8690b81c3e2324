import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from trimvae import commands, runs
from trimvae.cli import app

CLASSIFIER = """
import torch

def load():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))

def preprocessing():
    return lambda inputs: inputs / 2

weights = 3
"""
SMALL = ["--epochs", "1", "--latent-size", "2", "--batch-size", "32"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_model.py").write_text(CLASSIFIER)
    rng = np.random.default_rng(0)
    np.savez(
        "table.npz", inputs=rng.normal(size=(100, 6)), class_names=np.array(["red", "green", "blü"])
    )
    return tmp_path


def call(*arguments: str):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def train(*more: str):
    return call(
        "train", "--classifier", "my_model.py:load", "--data", "table.npz", "--out", "run",
        *SMALL, *more,
    )  # fmt: skip


def test_every_command_has_help_with_an_example():
    for command in ("demo", "train", "explain", "evaluate", "report"):
        result = call(command, "--help")
        assert result.exit_code == 0
        assert "Example: trimvae" in result.output.replace("\n", " ")


def test_train_explain_and_evaluate_from_the_folder_alone(folder, monkeypatch):
    result = train("--preprocess", "my_model.py:preprocessing")
    assert result.exit_code == 0, result.output
    written = {path.name for path in (folder / "run").iterdir()}
    assert written == {
        "configuration.json",
        "metrics.json",
        "history.json",
        "last.ckpt",
        "code.safetensors",
        "examples.safetensors",
        "explanation",
    }
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    assert 0 <= metrics["agreement"] <= 1
    configuration = json.loads((folder / "run" / "configuration.json").read_text())
    assert configuration["latent_size"] == 2
    assert configuration["class_names"] == ["red", "green", "blü"]

    (folder / "table.npz").unlink()
    elsewhere = folder / "elsewhere"
    shutil.move(folder / "run", elsewhere)
    monkeypatch.chdir("/")
    result = call("explain", str(elsewhere), "--examples", "5", "--out", str(folder / "seen"))
    assert result.exit_code == 0, result.output
    assert {path.name for path in (folder / "seen").iterdir()} >= {
        "heatmap.png",
        "attributions.csv",
        "explanation.safetensors",
        "traversals_0.png",
    }
    result = call("evaluate", str(elsewhere))
    assert result.exit_code == 0, result.output
    assert "agreement" in json.loads((elsewhere / "evaluation.json").read_text())["metrics"]


@pytest.mark.parametrize(
    "options",
    [
        ("vae",),
        ("betavae", "--weight", "2", "--warm-up", "3"),
        ("capacity", "--weight", "5", "--warm-up", "3"),
        ("factorvae", "--weight", "3"),
        ("btcvae", "--weight", "6.4"),
        ("dipvae1",),
        ("dipvae2", "--weight", "5"),
    ],
    ids=lambda options: options[0],
)
def test_every_objective_trains_and_reports_the_parts_of_the_kl(folder, options):
    result = train("--objective", *options)
    assert result.exit_code == 0, result.output
    metrics = json.loads((folder / "run" / "metrics.json").read_text())
    parts = ("mutual_information", "total_correlation", "dimension_wise_kl")
    assert metrics["mutual_information"] <= np.log(80) + 1e-3
    assert all(part in metrics for part in parts)
    history = json.loads((folder / "run" / "history.json").read_text())
    assert all(part in history[-1] for part in parts)
    configuration = json.loads((folder / "run" / "configuration.json").read_text())
    assert configuration["objective"] == options[0]


def test_sprites_are_data_of_the_command_line():
    parts = commands.read_data("sprites", seed=0, grey=False)
    assert parts.train_inputs.shape == (16_000, 1, 32, 32)
    assert parts.train_labels is None
    again = commands.read_data("sprites", seed=0, grey=False)
    assert torch.equal(parts.test_inputs, again.test_inputs)


def test_features_of_the_classifier_join_the_reconstruction(folder):
    result = train("--perceptual", "0", "--perceptual-weight", "10", "--objective", "btcvae")
    assert result.exit_code == 0, result.output
    history = json.loads((folder / "run" / "history.json").read_text())
    assert "perceptual" in history[-1]


def test_unknown_objectives_and_layers_are_named(folder):
    with pytest.raises(ValueError, match="`objective` must be one of vae, betavae"):
        train("--objective", "gan")
    with pytest.raises(ValueError, match="`layers` must name submodules"):
        train("--perceptual", "conv7")


def test_a_folder_of_grey_images_is_read_and_explained(folder):
    image = pytest.importorskip("PIL.Image")
    for name, shade in {"dark": 50, "light": 200}.items():
        (folder / "images" / name).mkdir(parents=True)
        for index in range(20):
            image.new("L", (28, 28), shade + index).save(folder / "images" / name / f"{index}.png")
    (folder / "grey_model.py").write_text(
        "import torch\n"
        "def load():\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 2))\n"
    )
    result = call(
        "train", "--classifier", "grey_model.py:load", "--data", "images", "--grey", "--out", "run",
        *SMALL,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    result = call("explain", "run", "--data", "images", "--examples", "3")
    assert result.exit_code == 0, result.output


def test_an_existing_folder_is_only_replaced_when_said_and_only_a_run(folder):
    assert train().exit_code == 0
    with pytest.raises(FileExistsError, match="holds an earlier run. Pass --overwrite or --resume"):
        train()
    assert train("--overwrite").exit_code == 0
    (folder / "precious").mkdir()
    (folder / "precious" / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="is not a run of ours"):
        runs.create(folder / "precious", overwrite=True)
    assert (folder / "precious" / "thesis.tex").exists()


def test_an_interrupted_run_goes_on_with_resume(folder):
    assert train().exit_code == 0
    (folder / "run" / "code.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="must be a finished run"):
        call("explain", "run")
    assert train("--resume").exit_code == 0
    assert (folder / "run" / "code.safetensors").exists()


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("my_model.py", ValueError, "must have the form FILE.py:FUNCTION"),
        ("missing.py:load", FileNotFoundError, "must name an existing file"),
        ("my_model.py:lode", AttributeError, "must name a function of my_model.py"),
        ("my_model.py:weights", ValueError, "a function that returns the model"),
    ],
)
def test_a_classifier_that_cannot_be_found_is_said(folder, spec, error, message):
    with pytest.raises(error, match=message):
        runs.load_function(spec)


def test_errors_are_one_line_and_exit_code_two(folder):
    done = subprocess.run(
        [sys.executable, "-c", "from trimvae.cli import main; main()", "explain", "nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: `run` must be the folder of a run. Got nowhere")
    assert "Traceback" not in done.stderr


def test_a_run_of_something_else_is_refused(folder):
    with pytest.raises(FileNotFoundError, match="`run` must be the folder of a run"):
        call("evaluate", ".")


def test_the_demo_writes_every_figure_it_promises(folder, monkeypatch):
    """One epoch on few digits: the mechanics; `make demo` shows the figures."""
    import trimvae.demo as demo

    few = demo.digits()
    few = few._replace(
        train_inputs=few.train_inputs[:256],
        train_labels=few.train_labels[:256],
        test_inputs=few.test_inputs[:40],
        test_labels=few.test_labels[:40],
    )
    monkeypatch.setitem(demo.DATASETS, "digits", demo.DATASETS["digits"]._replace(read=lambda: few))
    monkeypatch.setattr(demo, "N_STEPS", 4)
    result = call("demo", "--seed", "3", "--out", "demo", "--epochs", "1")
    assert result.exit_code == 0, result.output
    metrics = json.loads((folder / "demo" / "metrics.json").read_text())
    assert metrics["seed"] == 3
    assert 0 < metrics["predictor_accuracy"] <= 1
    keys = {
        "agreement",
        "prediction_kl",
        "reconstruction_error",
        "effective_latents",
        "latents_for_90_percent",
        "completeness_error",
        "latent_share",
        "monotonicity",
        "train_seconds",
    }
    assert set(metrics["plain"]) == set(metrics["trim"]) == keys
    for name in (
        "comparison.png",
        "report.html",
        "explanation/heatmap.png",
        "explanation/traversals_0.png",
    ):
        assert (folder / "demo" / name).stat().st_size > 10_000
    assert call("explain", "demo", "--examples", "4").exit_code == 0


def test_methods_and_penalties_are_chosen_by_name(folder):
    result = train("--penalty", "hessian=0.1", "--penalty", "group_sparsity", "--sparsity", "0")
    assert result.exit_code == 0, result.output
    history = json.loads((folder / "run" / "history.json").read_text())
    assert {"hessian", "group_sparsity"} <= set(history[-1])
    assert "sparsity" not in history[-1]
    configuration = json.loads((folder / "run" / "configuration.json").read_text())
    assert configuration["penalty"] == ["hessian=0.1", "group_sparsity"]
    result = call("explain", "run", "--examples", "4", "--method", "exact_shapley", "--out", "seen")
    assert result.exit_code == 0, result.output
    result = call("evaluate", "run", "--method", "FeatureAblation", "--interventions", "10")
    assert result.exit_code == 0, result.output
    evaluation = json.loads((folder / "run" / "evaluation.json").read_text())
    assert evaluation["settings"]["method"] == "FeatureAblation"
    assert "| deletion_score |" in (folder / "run" / "evaluation.md").read_text()


def test_unknown_methods_and_penalties_are_named(folder):
    train()
    with pytest.raises(ValueError, match="Got 'magic'. Start with integrated_gradients"):
        call("explain", "run", "--method", "magic")
    for penalty in ("hessian=much", "magic"):
        with pytest.raises(ValueError, match=f"`--penalty` must be NAME or NAME=WEIGHT.*{penalty}"):
            train("--penalty", penalty, "--overwrite")


def test_a_report_needs_the_run_alone_and_takes_the_evaluation_along(folder):
    assert train().exit_code == 0
    result = call("report", "run", "--title", "Of <b>my</b> model", "--shown", "4")
    assert result.exit_code == 0, result.output
    page = (folder / "run" / "report.html").read_text("utf-8")
    assert "Of &lt;b&gt;my&lt;/b&gt; model" in page
    assert page.count('class="card" data-example') == 4
    assert "blü" in page
    assert "flip at 1" not in page
    assert call("evaluate", "run", "--interventions", "10").exit_code == 0
    assert call("report", "run", "--out", "elsewhere/page.html").exit_code == 0
    assert "flip at 1" in (folder / "elsewhere" / "page.html").read_text("utf-8")


def test_json_is_all_that_standard_output_holds(folder):
    trained = json.loads(train("--json").stdout)
    assert trained["folder"] == "run"
    assert 0 <= trained["metrics"]["agreement"] <= 1
    for command in ("explain", "evaluate", "report"):
        found = json.loads(call(command, "run", "--json").stdout)
        assert "agreement" in found["metrics"]


@pytest.mark.parametrize("dataset", ["sprites", "breast-cancer"])
def test_the_demo_explains_other_data(folder, monkeypatch, dataset):
    import trimvae.demo as demo

    chosen = demo.DATASETS[dataset]
    data = chosen.read()
    few = data._replace(
        train_inputs=data.train_inputs[:128],
        train_labels=data.train_labels[:128],
        test_inputs=data.test_inputs[:24],
        test_labels=data.test_labels[:24],
    )
    monkeypatch.setitem(
        demo.DATASETS, dataset, chosen._replace(read=lambda: few, classifier_epochs=1)
    )
    monkeypatch.setattr(demo, "N_STEPS", 4)
    result = call("demo", "--dataset", dataset, "--out", "demo", "--epochs", "1", "--json")
    assert json.loads(result.stdout)["dataset"] == dataset
    result = call("report", "demo", "--shown", "3")
    assert result.exit_code == 0, result.output
    if data.feature_names:
        assert data.feature_names[0] in (folder / "demo" / "report.html").read_text("utf-8")


def test_an_unknown_data_set_of_the_demo_is_named(folder):
    with pytest.raises(ValueError, match="`dataset` must be one of digits, fashion, sprites"):
        call("demo", "--dataset", "cats")
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("model", ["ivae", "infogan", "alae", "stylegan2"])
def test_every_model_is_trained_explained_and_reported(folder, model):
    rng = np.random.default_rng(0)
    np.savez(
        "images.npz",
        inputs=rng.random((60, 1, 8, 8)).astype(np.float32),
        labels=rng.integers(0, 3, 60),
        class_names=np.array(["a", "b", "c"]),
    )
    (folder / "small_model.py").write_text(
        "import torch\n"
        "def load():\n"
        "    torch.manual_seed(1)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))\n"
    )
    result = call(
        "train", "--classifier", "small_model.py:load", "--data", "images.npz", "--out", "run",
        "--model", model, "--epochs", "1", "--batch-size", "16",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    configuration = json.loads((folder / "run" / "configuration.json").read_text())
    assert configuration["model"] == model
    terms = json.loads((folder / "run" / "history.json").read_text())[-1]
    assert ({"prediction", "sparsity"} <= set(terms)) == (model != "stylegan2")
    result = call("report", "run", "--examples", "4", "--shown", "2")
    assert result.exit_code == 0, result.output
    page = (folder / "run" / "report.html").read_text("utf-8")
    assert ("By parts of the code" in page) == (model in ("infogan", "stylegan2"))


def test_models_that_do_not_suit_are_named(folder):
    with pytest.raises(ValueError, match="`--model` must be one of vae, ivae, infogan"):
        train("--model", "vqvae")
    with pytest.raises(ValueError, match="`--model alae` must be given images"):
        train("--model", "alae")
    with pytest.raises(ValueError, match="`--model ivae` must be given labels"):
        train("--model", "ivae")
    assert not (folder / "run").exists()
