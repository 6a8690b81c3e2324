from typing import Any

import pytest
import torch

from attributions import expected_gradients
from tests.trimvae.explanation.made import table_explanation
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.reading import count_in, parts_in, rows_in
from trimvae.storage import read_tensors, write_tensors


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and texts of a file: 12 examples, 4 classes, 3 latents."""
    path = tmp_path_factory.mktemp("saved") / "explanation"
    table_explanation(n_steps=2).save(path)
    return read_tensors(path, "Explanation")


def test_parts_of_a_file_are_those_of_the_explanation(tmp_path):
    explanation = table_explanation(n_steps=2)
    explanation.save(tmp_path / "saved")
    found = parts_in(tmp_path / "saved")
    assert {
        "class_names",
        "latent_names",
        "settings",
    } == found.keys() - explanation.tensors().keys()
    for name, tensor in explanation.tensors().items():
        assert torch.equal(found[name], tensor)
    assert found["class_names"] == explanation.class_names
    assert found["settings"] == explanation.settings


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("latents", None, "without latents"),
        ("extra", torch.zeros(1), "with an unknown extra"),
        ("attributions", torch.zeros(12, 4, 2), r"whose attributions has shape \(12, 4, 2\)"),
        ("outputs", torch.zeros(12), r"whose outputs has shape \(12,\)"),
        ("outputs", torch.zeros(11, 4), r"whose outputs has shape \(11, 4\)"),
        ("inputs", torch.tensor(1.0), r"whose inputs has shape \(\)"),
        ("inputs", torch.zeros(12, 5), "whose reconstructions have another shape than the inputs"),
        ("labels", torch.zeros(2), r"whose labels has shape \(2,\)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, parts, name, value, message):
    tensors, texts = parts
    changed = {**tensors, name: value}
    changed = {name: tensor for name, tensor in changed.items() if tensor is not None}
    write_tensors(tmp_path / "file", changed, "Explanation", texts)
    with pytest.raises(ValueError, match=rf"Got .*file, {message}\. Explain again"):
        Explanation.load(tmp_path / "file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_names": ["a", "b"]}, "whose class_names are no 4 names"),
        ({"class_names": "abcd"}, "whose class_names are no 4 names"),
        ({"latent_names": [1, 2, 3]}, "whose latent_names are no 3 names"),
        ({"settings": None}, "without settings"),
        ({"settings": {"task": "classification"}}, "without the setting explained"),
    ],
)
def test_texts_that_do_not_fit_are_named(tmp_path, parts, change, message):
    tensors, texts = parts
    write_tensors(tmp_path / "file", tensors, "Explanation", {**texts, **change})
    with pytest.raises(ValueError, match=rf"Got .*file, {message}\."):
        Explanation.load(tmp_path / "file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "guessing"}, "with the task 'guessing'"),
        ({"blocks": [["all", 0, 2, "real", None]]}, "whose blocks do not fit"),
        ({"blocks": [["all", 0, 3]]}, "whose blocks do not fit"),
        ({"blocks": None}, "whose blocks do not fit"),
    ],
)
def test_settings_that_do_not_fit_are_named(tmp_path, parts, change, message):
    tensors, texts = parts
    settings = {**texts["settings"], **change}
    write_tensors(tmp_path / "file", tensors, "Explanation", {**texts, "settings": settings})
    with pytest.raises(ValueError, match=rf"Got .*file, {message}\."):
        Explanation.load(tmp_path / "file")


def test_a_file_that_explains_outputs_which_are_not_there_is_refused(tmp_path, parts):
    tensors, texts = parts
    explained = ("attributions", "total_variation", "explained_at", "explained_at_baseline")
    changed = {**tensors, **{name: tensors[name][:, :2] for name in explained}}
    write_tensors(tmp_path / "file", changed, "Explanation", texts)
    with pytest.raises(ValueError, match="which explains other outputs"):
        parts_in(tmp_path / "file")


@pytest.mark.parametrize("outputs", [1, 2])
def test_binary_classifiers_and_regressions_are_read(tmp_path, outputs):
    for task in ("classification", "regression") if outputs == 1 else ("classification",):
        explanation = table_explanation(outputs=outputs, n_steps=2, task=task)
        explanation.save(tmp_path / "file")
        assert Explanation.load(tmp_path / "file").summary() == explanation.summary()


def test_a_distribution_of_baselines_is_read_again_and_a_wrong_one_refused(tmp_path):
    options = {"method": expected_gradients, "baselines": torch.randn(7, 3), "check_parts": False}
    explanation = table_explanation(**options)
    explanation.save(tmp_path / "saved")
    found = Explanation.load(tmp_path / "saved")
    assert found.baselines.shape == (7, 3)
    assert found.metrics == explanation.metrics
    tensors, texts = read_tensors(tmp_path / "saved", "Explanation")
    tensors["baseline_outputs"] = torch.zeros(3, 4)
    write_tensors(tmp_path / "saved", tensors, "Explanation", texts)
    with pytest.raises(ValueError, match=r"whose baseline_outputs has shape \(3, 4\)"):
        Explanation.load(tmp_path / "saved")


@pytest.mark.parametrize("baselines", ["prior_mean", "class_mean"])
def test_rows_of_a_file_are_those_of_the_explanation(tmp_path, baselines):
    background = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    explanation = table_explanation(baselines=baselines, background=background, check_parts=False)
    explanation.save(tmp_path / "saved")
    assert count_in(tmp_path / "saved") == 12
    found, wanted = rows_in(tmp_path / "saved", [2, 9]), explanation.select([2, 9])
    for name, tensor in wanted.tensors().items():
        assert torch.equal(found[name], tensor), name
    assert found["settings"] == explanation.settings


def test_rows_of_no_file_or_a_broken_one_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        rows_in(tmp_path / "none", [0])
    (tmp_path / "broken").write_bytes(b"nothing")
    for asked in (lambda path: rows_in(path, [0]), count_in):
        with pytest.raises(ValueError, match=r"broken, which is truncated or of another kind"):
            asked(tmp_path / "broken")
