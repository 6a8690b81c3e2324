import shutil

import pytest
import torch

from tests.trimvae.cli.command_line import call, content
from trimvae.explanation.explanation import Explanation


def test_a_run_is_explained_from_its_folder_alone(run, folder, monkeypatch):
    (folder / "table.npz").unlink()
    (folder / "my_model.py").rename(folder / "moved.py")
    elsewhere = folder / "elsewhere"
    shutil.move(run, elsewhere)
    before = content(elsewhere)
    monkeypatch.chdir("/")
    result = call(
        "explain", elsewhere, "--examples", "5", "--out", folder / "seen",
        "--classifier", f"{folder}/moved.py:load",
        "--preprocess", f"{folder}/moved.py:preprocessing",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert set(content(folder / "seen")) == {
        "heatmap.png",
        "attributions.csv",
        "explanation.safetensors",
        "traversals_0.png",
        "traversals_1.png",
        "traversals_2.png",
    }
    assert content(elsewhere) == before
    explanation = Explanation.load(folder / "seen" / "explanation.safetensors")
    assert explanation.attributions.shape == (5, 3, 2)
    assert explanation.class_names == ("red", "green", "blü")


def test_the_preprocessing_of_the_run_is_used(run, folder):
    call("explain", "run", "--trust", "--out", "seen")
    explanation = Explanation.load(folder / "seen" / "explanation.safetensors")
    from trimvae.cli.functions import load

    outputs = load("my_model.py:load")(explanation.inputs / 2)
    assert torch.allclose(explanation.outputs, outputs, atol=1e-6)


def test_a_method_is_chosen_by_name(run, folder):
    for method in ("exact_shapley", "FeatureAblation"):
        result = call(
            "explain", "run", "--trust", "--examples", "4", "--method", method, "--out", method
        )
        assert result.exit_code == 0, result.output
        explanation = Explanation.load(folder / method / "explanation.safetensors")
        assert explanation.settings["method"] == method


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (["predicted"], "predicted"),
        (["all"], None),
        (["blü"], [2]),
        (["2", "red"], [2, 0]),
        ([], None),
    ],
)
def test_classes_are_chosen_by_name_or_number(asked, chosen, run, folder):
    options = [part for each in asked for part in ("--classes", each)]
    result = call("explain", "run", "--trust", "--examples", "4", *options, "--out", "seen")
    assert result.exit_code == 0, result.output
    explanation = Explanation.load(folder / "seen" / "explanation.safetensors")
    assert explanation.chosen_classes == chosen


def test_a_class_that_is_none_is_refused(run, folder):
    with pytest.raises(ValueError, match="must be classes that the predictor has. Got 'pink'"):
        call("explain", "run", "--trust", "--classes", "pink", "--out", "seen")


def test_baselines_residual_points_and_names_are_those_asked_for(run, folder):
    (folder / "names.json").write_text('{"z1": "width"}')
    options = ("--residual", "--n-steps", "5", "--latent-names", "names.json")
    result = call("explain", "run", "--trust", "--baselines", "class_mean", *options, "--out", "a")
    assert result.exit_code == 0, result.output
    found = Explanation.load(folder / "a" / "explanation.safetensors")
    assert found.latent_names == ("z0", "width")
    assert found.settings["residual"] is True
    assert found.settings["n_steps"] == 5
    assert len(found.baselines.unique(dim=0)) > 1  # one of each class
    with pytest.raises(ValueError, match="`baselines` must be"):
        call("explain", "run", "--trust", "--baselines", "mean")


def test_an_unknown_method_is_named(run):
    with pytest.raises(ValueError, match="Got 'magic'. Start with integrated_gradients"):
        call("explain", "run", "--trust", "--method", "magic")


def test_other_data_can_be_explained(run, folder):
    import numpy as np

    np.savez("more.npz", inputs=np.ones((10, 6)))
    assert call("explain", "run", "--trust", "--data", "more.npz", "--out", "seen").exit_code == 0
    explanation = Explanation.load(folder / "seen" / "explanation.safetensors")
    assert torch.equal(explanation.inputs, torch.ones(2, 6))


def test_a_file_in_the_way_is_left_alone(run, folder):
    (folder / "seen").write_text("mine")
    with pytest.raises(NotADirectoryError, match="`--out` must be a folder"):
        call("explain", "run", "--trust", "--out", "seen")
    assert (folder / "seen").read_text() == "mine"
