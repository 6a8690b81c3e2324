import json
import warnings

import pytest
import torch
from torch import nn

from tests.trimvae.cli.command_line import call, content
from trimvae.cli.trusting import Named, functions_of, weights_of
from trimvae.explanation.explanation import Explanation
from trimvae.storage import write_tensors

TRAP = "from pathlib import Path\nPath(__file__).with_name('executed').touch()\n"


def rewritten(run, **changes):
    """Change what the run's configuration names."""
    path = run / "configuration.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


@pytest.fixture
def trapped(run, folder):
    """A received run whose configuration names code in its own folder."""
    body = (folder / "my_model.py").read_text()
    (run / "trap.py").write_text(TRAP + body)
    rewritten(run, classifier=f"{run}/trap.py:load", preprocess=f"{run}/trap.py:preprocessing")
    return run


@pytest.mark.parametrize("command", ["explain", "evaluate", "report"])
def test_code_that_a_run_names_is_not_imported_unasked(trapped, command):
    with pytest.raises(ValueError, match="`--classifier` must be named again: a run is data.*trap"):
        call(command, "run")
    with pytest.raises(ValueError, match="`--preprocess` must be named again: a run is data"):
        call(command, "run", "--classifier", "my_model.py:load")
    own = ("--classifier", "my_model.py:load", "--preprocess", "my_model.py:preprocessing")
    few = {"explain": ["--examples", "2"], "evaluate": ["--interventions", "4"], "report": []}
    own = (*own, *few[command])
    assert call(command, "run", *own).exit_code == 0
    assert not (trapped / "executed").exists()
    assert call(command, "run", "--trust", *few[command]).exit_code == 0
    assert (trapped / "executed").exists()


@pytest.mark.parametrize("spec", ["trap.py:load", "run/trap.py:load", "trap:load", "os:getcwd"])
def test_neither_relative_paths_nor_modules_are_imported(trapped, spec):
    rewritten(trapped, classifier=spec)
    with pytest.raises(ValueError, match="`--classifier` must be named again"):
        call("explain", "run", "--preprocess", "my_model.py:preprocessing")
    assert not (trapped / "executed").exists()


def test_what_pretends_to_be_a_demo_is_not_imported_either(trapped):
    (trapped / "classifier.py").write_text(TRAP)
    rewritten(trapped, command="demo", dataset="breast-cancer", classifier="classifier.py:load")
    before = content(trapped)
    with pytest.raises(ValueError, match="`--preprocess` must be named again"):
        call("explain", "run")
    with pytest.raises(FileNotFoundError, match=r"Got run/classifier.safetensors, which does not"):
        call("explain", "run", "--preprocess", "my_model.py:preprocessing")
    assert content(trapped) == before


def test_a_trusted_run_is_explained_by_what_it_names(run, folder):
    few = ("--examples", "3")
    assert call("explain", "run", "--trust", "--out", "trusted", *few).exit_code == 0
    own = ("--classifier", "my_model.py:load", "--preprocess", "my_model.py:preprocessing")
    assert call("explain", "run", *own, "--out", "named", *few).exit_code == 0
    found = [
        Explanation.load(folder / out / "explanation.safetensors") for out in ("trusted", "named")
    ]
    assert torch.equal(found[0].outputs, found[1].outputs)


def test_what_is_said_next_can_be_typed(run):
    own = "--classifier my_model.py:load --preprocess my_model.py:preprocessing"
    result = call("explain", "run", *own.split(), "--out", "seen", "--examples", "2")
    assert f"trimvae report run {own}" in " ".join(result.output.split())
    result = call("evaluate", "run", "--trust", "--interventions", "10")
    assert "trimvae report run --trust" in " ".join(result.output.split())
    assert Named("my model.py:load", None, False).options() == " --classifier 'my model.py:load'"
    assert Named(None, None, False).options() == ""


def test_other_weights_than_the_recorded_ones_are_warned_of(run, folder):
    body = (folder / "my_model.py").read_text()
    (folder / "other.py").write_text(body.replace("manual_seed(1)", "manual_seed(2)"))
    configuration = json.loads((run / "configuration.json").read_text("utf-8"))
    assert len(configuration["classifier_sha256"]) == 64

    def of(classifier):
        return functions_of(run, configuration, Named(classifier, None, True)).predictor

    with pytest.warns(UserWarning, match="`--classifier` must be the one that the run was trained"):
        of("other.py:load")
    with pytest.warns(UserWarning, match=f"whose weights differ from those that {run} recorded"):
        of("my_model.py:function")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert weights_of(of("my_model.py:load")) == weights_of(of(None))
        del configuration["classifier_sha256"]  # as of version 0.1
        of("other.py:load")


def test_the_warning_reaches_who_types_a_command(run, folder):
    body = (folder / "my_model.py").read_text()
    (folder / "other.py").write_text(body.replace("manual_seed(1)", "manual_seed(2)"))
    with pytest.warns(UserWarning, match="`--classifier` must be the one that the run was trained"):
        call("explain", "run", "--trust", "--classifier", "other.py:load", "--examples", "2")


def test_another_classifier_than_a_demo_s_own_is_warned_of(folder):
    from trimvae.cli.demo_data import DATASETS

    classifier = DATASETS["breast-cancer"].new_classifier()
    write_tensors(folder / "classifier.safetensors", classifier.state_dict(), "classifier", {})
    configuration = {"command": "demo", "dataset": "breast-cancer"}
    own = functions_of(folder, configuration, Named(None, None, False)).predictor
    assert weights_of(own) == weights_of(classifier)
    with pytest.warns(UserWarning, match="`--classifier` must be the one"):
        functions_of(folder, configuration, Named("my_model.py:load", None, False))


def test_a_run_that_names_no_classifier_says_so(folder):
    with pytest.raises(ValueError, match="`--classifier` must be given. Got .*, which names none"):
        functions_of(folder, {"command": "train"}, Named(None, None, True))


def test_weights_are_told_apart_and_functions_have_none():
    torch.manual_seed(0)
    layer = nn.Linear(2, 3)
    before = weights_of(layer)
    assert weights_of(layer.double().float().train()) == before
    with torch.no_grad():
        layer.bias[0] += 1e-3
    assert weights_of(layer) != before
    assert weights_of(torch.relu) is None


def test_training_goes_on_only_with_the_recorded_weights(run, folder):
    body = (folder / "my_model.py").read_text()
    (folder / "my_model.py").write_text(body.replace("manual_seed(1)", "manual_seed(2)"))
    from tests.trimvae.cli.command_line import train

    with pytest.raises(ValueError, match="go on with the recorded settings.*classifier_sha256"):
        train("--preprocess", "my_model.py:preprocessing", "--resume")
