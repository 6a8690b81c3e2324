import json
import shutil

import numpy as np
import pytest
import torch

from tests.trimvae.cli.command_line import call, content, train
from trimvae.cli import runs
from trimvae.cli.runs import load_examples
from trimvae.cli.settings import Settings
from trimvae.explanation.explanation import Explanation
from trimvae.models import VAE

PARTS = ("mutual_information", "total_correlation", "dimension_wise_kl")


@pytest.fixture(autouse=True)
def _few_pictures(monkeypatch):
    monkeypatch.setattr(runs, "TRAVERSED", 0)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_s_folder_holds_all_that_was_learned(run):
    assert {path.name for path in run.iterdir()} == {
        "configuration.json",
        "metrics.json",
        "history.json",
        "last.ckpt",
        "code.safetensors",
        "examples.safetensors",
        "explanation",
    }
    metrics = read(run / "metrics.json")
    assert 0 <= metrics["agreement"] <= 1
    assert set(PARTS) < set(metrics)
    assert set(PARTS) < set(read(run / "history.json")[-1])
    assert VAE.load(run / "code.safetensors").latent_size == 2


def test_every_setting_is_recorded_with_the_model_s_own_choices(run):
    configuration = read(run / "configuration.json")
    assert set(Settings._fields) < set(configuration)
    assert configuration["format"] == "trimvae run"
    assert configuration["command"] == "train"
    assert configuration["latent_size"] == 2
    assert configuration["class_names"] == ["red", "green", "blü"]
    assert configuration["prediction_weight"] == 20
    assert configuration["sparsity"] == 6
    assert configuration["learning_rate"] == 3e-3
    assert configuration["objective"] == "vae"
    for path in ("classifier", "preprocess", "data"):
        assert configuration[path].startswith("/")


@pytest.mark.parametrize(
    "options",
    [
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
    metrics = read(folder / "run" / "metrics.json")
    assert metrics["mutual_information"] <= np.log(80) + 1e-3
    assert all(part in metrics for part in PARTS)
    history = read(folder / "run" / "history.json")
    assert all(part in history[-1] for part in PARTS)
    configuration = read(folder / "run" / "configuration.json")
    assert configuration["objective"] == options[0]


def test_features_of_the_classifier_join_the_reconstruction(folder):
    result = train("--perceptual", "0", "--perceptual-weight", "10", "--objective", "btcvae")
    assert result.exit_code == 0, result.output
    assert "perceptual" in read(folder / "run" / "history.json")[-1]


def test_penalties_are_chosen_by_name(folder):
    result = train(
        "--penalty", "hessian=0.1", "--penalty", "group_sparsity", "--sparsity", "0",
        "--monotonicity", "0.5",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    history = read(folder / "run" / "history.json")
    assert {"hessian", "group_sparsity", "monotonicity"} <= set(history[-1])
    assert "sparsity" not in history[-1]
    configuration = read(folder / "run" / "configuration.json")
    assert configuration["penalty"] == ["hessian=0.1", "group_sparsity"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--objective", "gan"), "`objective` must be one of vae, betavae"),
        (("--perceptual", "conv7"), "`layers` must name submodules"),
        (
            ("--perceptual", "0", "--classifier", "my_model.py:function"),
            "`--perceptual` must name layers of an nn.Module. Got .* a plain function",
        ),
        (("--penalty", "hessian=much"), "`--penalty` must be NAME or NAME=WEIGHT.*hessian=much"),
        (("--penalty", "magic"), "`--penalty` must be NAME or NAME=WEIGHT.*magic"),
        (("--penalty", "hessian=-1"), "`--penalty` must be NAME or NAME=WEIGHT.*at least 0"),
        (("--model", "vqvae"), "`--model` must be one of vae, residual, ivae, infogan"),
        (("--model", "alae"), "`--model alae` must be given images"),
        (("--model", "ivae"), "`--model ivae` must be given labels"),
        (("--model", "alae", "--weight", "3"), "`--weight` must be left out for alae"),
        (("--accelerator", "abacus"), "`--accelerator` must be one that is here: auto, cpu"),
        (("--data", "nowhere.npz"), "`path` must be an .npz file. Got .*nowhere.npz"),
        (("--prediction-weight", "-1"), "`prediction_weight` must be at least 0"),
        (
            ("--task", "sorting"),
            "`--task` must be one of classification, regression. Got 'sorting'",
        ),
        (("--learning-rate", "0"), "`learning_rate` must be above 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("earlier", [False, True], ids=["new", "over a run"])
def test_what_training_refuses_costs_no_run(folder, run, options, message, earlier):
    if not earlier:
        shutil.rmtree(run)
    before = content(folder)
    with pytest.raises((ValueError, OSError), match=message):
        train(*options, *(["--overwrite"] if earlier else []))
    assert content(folder) == before


def test_a_run_is_replaced_only_when_said(folder, run):
    before = content(folder)
    with pytest.raises(FileExistsError, match="holds an earlier run. Pass --overwrite or --resume"):
        train()
    assert content(folder) == before
    (run / "notes.txt").write_text("mine")
    (run / "evaluation.json").write_text("of the earlier run")
    assert train("--overwrite", "--seed", "3").exit_code == 0
    after = content(run)
    assert after["notes.txt"] == b"mine"
    assert "evaluation.json" not in after
    assert read(run / "configuration.json")["seed"] == 3
    assert after["code.safetensors"] != before["run/code.safetensors"]


def test_an_interrupted_run_goes_on_with_resume(folder, run):
    (run / "code.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="must be a finished run"):
        call("explain", "run", "--trust")
    before = read(run / "configuration.json")
    assert train("--preprocess", "my_model.py:preprocessing", "--resume").exit_code == 0
    assert (run / "code.safetensors").exists()
    assert read(run / "configuration.json") == before


def test_more_epochs_go_on_and_end_as_one_long_run_has_them(folder, run):
    options = ("--preprocess", "my_model.py:preprocessing", "--resume")
    assert train(*options, epochs=3).exit_code == 0
    assert len(read(run / "history.json")) == 3
    assert read(run / "configuration.json")["epochs"] == 3
    assert VAE.load(run / "code.safetensors").trained_with["epochs"] == 3


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--batch-size", "16"), "batch_size: recorded 32, asked 16"),
        (("--seed", "1"), "seed: recorded 0, asked 1"),
        (("--sparsity", "2"), "sparsity: recorded 6.0, asked 2.0"),
        (("--objective", "btcvae"), "objective: recorded 'vae', asked 'btcvae'"),
        (("--latent-size", "3"), "latent_size: recorded 2, asked 3"),
        (("--penalty", "hessian"), r"penalty: recorded \[\], asked \['hessian'\]"),
        (("--preprocess", "my_model.py:load"), "preprocess: recorded .*asked .*my_model.py:load"),
        (("--data", "other.npz"), r"data: recorded .*table.npz', asked .*other.npz"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_resuming_with_other_settings_is_refused_by_name(folder, run, options, named):
    shutil.copy("table.npz", "other.npz")
    before = content(folder)
    with pytest.raises(ValueError, match=f"`--resume` must go on with the recorded.*{named}"):
        train("--preprocess", "my_model.py:preprocessing", *options, "--resume", epochs=2)
    assert content(folder) == before


def test_resuming_with_other_rows_or_names_in_the_file_is_refused(folder, run):
    resume = ("--preprocess", "my_model.py:preprocessing", "--resume")
    inputs = np.load("table.npz")["inputs"]
    np.savez("table.npz", inputs=inputs, class_names=np.array(["red", "green", "blue"]))
    before = content(folder)
    with pytest.raises(ValueError, match="class_names: recorded .*'blü'.*, asked .*'blue'"):
        train(*resume, epochs=2)
    assert content(folder) == before
    np.savez("table.npz", inputs=2 * inputs, class_names=np.array(["red", "green", "blü"]))
    before = content(folder)
    with pytest.raises(ValueError, match="must go on with what the run was started with.*data"):
        train(*resume, epochs=2)
    assert content(folder) == before


def test_fewer_epochs_than_are_done_are_refused(folder):
    assert train(epochs=2).exit_code == 0
    before = content(folder)
    with pytest.raises(ValueError, match="`max_epochs` must be at least 2 to resume"):
        train("--resume", epochs=1)
    assert content(folder) == before


@pytest.mark.parametrize("step", [0, 1])
def test_a_crash_before_the_first_checkpoint_can_be_gone_on_with(folder, monkeypatch, step):
    from trimvae.training.variational import VAETraining

    take_step = VAETraining.training_step

    def crash(module, batch, batch_idx):
        if batch_idx == step:
            raise KeyboardInterrupt
        return take_step(module, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(VAETraining, "training_step", crash)
        assert train().exit_code != 0
    written = content(folder / "run") if (folder / "run").exists() else {}
    assert set(written) == ({"configuration.json"} if step else set())
    assert train("--resume").exit_code == 0
    assert train(out="at once").exit_code == 0
    once, resumed = (VAE.load(f"{name}/code.safetensors") for name in ("at once", "run"))
    for left, right in zip(once.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(left, right)


def test_a_model_that_fails_in_its_first_step_costs_no_run(folder, run):
    (folder / "my_model.py").write_text(
        "import torch\n"
        "class Moody(torch.nn.Linear):\n"
        "    def forward(self, inputs):\n"
        "        if len(inputs) > 8:\n"
        "            raise OverflowError('too many at once')\n"
        "        return super().forward(inputs)\n"
        "def load():\n"
        "    return Moody(6, 3)\n"
    )
    before = content(folder)
    with pytest.raises(OverflowError, match="too many at once"):
        train("--overwrite")
    assert content(folder) == before


def test_a_damaged_checkpoint_is_refused_and_kept(folder, run):
    whole = (run / "last.ckpt").read_bytes()
    (run / "last.ckpt").write_bytes(whole[:1000])
    before = content(folder)
    with pytest.raises(ValueError, match="must be a whole checkpoint"):
        train("--preprocess", "my_model.py:preprocessing", "--resume", epochs=2)
    assert content(folder) == before


@pytest.mark.parametrize("name", ["a::b", "file:y"])
def test_a_folder_that_looks_like_an_address_is_trained_into_and_resumed(folder, name):
    assert train(out=name).exit_code == 0
    assert (folder / name / "last.ckpt").is_file()
    assert train("--resume", out=name, epochs=2).exit_code == 0
    assert {path.name for path in folder.iterdir()} >= {name, "table.npz", "my_model.py"}
    assert len(read(folder / name / "history.json")) == 2


def test_a_link_is_trained_into_and_stays(folder):
    (folder / "disk").mkdir()
    (folder / "run").symlink_to(folder / "disk")
    assert train().exit_code == 0
    assert train("--overwrite").exit_code == 0
    assert (folder / "run").is_symlink()
    assert (folder / "disk" / "last.ckpt").is_file()


def test_a_folder_of_grey_images_is_read_and_explained(folder):
    image = pytest.importorskip("PIL.Image")
    for name, shade in {"dark": 50, "light": 200}.items():
        (folder / "images" / name).mkdir(parents=True)
        for index in range(20):
            image.new("L", (28, 28), shade + index).save(folder / "images" / name / f"{index}.png")
    (folder / "grey_model.py").write_text(
        "import torch\n"
        "def load():\n"
        "    torch.manual_seed(1)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 2))\n"
    )
    result = call(
        "train", "--classifier", "grey_model.py:load", "--data", "images", "--grey", "--out", "run",
        "--epochs", "1", "--latent-size", "2", "--batch-size", "32", "--no-axes",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    result = call("explain", "run", "--trust", "--data", "images", "--examples", "3")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("model", ["ivae", "infogan", "alae", "stylegan2"])
def test_every_model_is_trained_explained_and_reported(folder, model):
    rng = np.random.default_rng(0)
    np.savez(
        "images.npz",
        inputs=rng.random((24, 1, 8, 8)).astype(np.float32),
        labels=rng.integers(0, 3, 24),
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
        "--model", model, "--epochs", "1", "--batch-size", "8", "--no-axes",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    configuration = read(folder / "run" / "configuration.json")
    assert configuration["model"] == model
    terms = read(folder / "run" / "history.json")[-1]
    assert ({"prediction", "sparsity"} <= set(terms)) == (model != "stylegan2")
    result = call("report", "run", "--trust", "--examples", "2", "--shown", "1")
    assert result.exit_code == 0, result.output
    page = (folder / "run" / "report.html").read_text("utf-8")
    assert ("By parts of the code" in page) == (model in ("infogan", "stylegan2"))


def test_every_setting_reaches_training(folder, monkeypatch):
    """A change of one option changes what `fit` is given, and nothing else."""
    from trimvae.cli import training

    asked = {}

    def refuse(code, predictor, data, **options):
        asked.update(options, data=data)
        raise ValueError("`fit` must stop here.")

    monkeypatch.setattr(training, "fit", refuse)
    with pytest.raises(ValueError, match="must stop here"):
        train(
            "--preprocess", "my_model.py:preprocessing", "--task", "regression", "--seed", "3",
            "--learning-rate", "0.01", "--prediction-weight", "5", "--sparsity", "2",
            "--monotonicity", "0.5", "--objective", "btcvae", "--weight", "3", epochs=7,
        )  # fmt: skip
    assert asked["data"].shape == (80, 6)
    assert asked["validation"].shape == (20, 6)
    assert asked["preprocess"](4.0) == 2.0
    assert repr(asked["objective"]).startswith("BetaTCVAE(beta=3.0")
    assert [(penalty.name, penalty.weight) for penalty in asked["penalties"]] == [
        ("sparsity", 2.0),
        ("monotonicity", 0.5),
    ]
    wanted = {
        "task": "regression",
        "seed": 3,
        "learning_rate": 0.01,
        "prediction_weight": 5.0,
        "max_epochs": 7,
        "batch_size": 32,
        "resume": False,
        "checkpoint_dir": folder / "run",
        "progress": True,
        "accelerator": "auto",
    }
    assert {name: asked[name] for name in wanted} == wanted
    assert not (folder / "run").exists()


def test_a_single_logit_is_explained_as_the_task_says_with_the_true_labels(folder):
    (folder / "one_logit.py").write_text(
        "import torch\ndef load():\n    torch.manual_seed(1)\n    return torch.nn.Linear(6, 1)\n"
    )
    labels = np.arange(100) % 2
    np.savez(
        "table.npz",
        inputs=np.load("table.npz")["inputs"],
        labels=labels,
        class_names=np.array(["benign", "malignant"]),
    )
    result = train("--classifier", "one_logit.py:load", "--task", "classification")
    assert result.exit_code == 0, result.output
    assert call("explain", "run", "--trust", "--out", "seen", "--examples", "9").exit_code == 0
    for written in ("run/explanation", "seen"):
        explanation = Explanation.load(folder / written / "explanation.safetensors")
        assert explanation.task == "classification"
        assert explanation.class_names == ("benign", "malignant")
        assert explanation.labels is not None
    assert torch.equal(explanation.labels, load_examples(folder / "run")[1][:9])
