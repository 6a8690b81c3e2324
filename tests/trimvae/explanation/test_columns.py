import json

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation
from torch import nn

from attributions import Contrast, exact_shapley, expected_gradients
from attributions.predictors import Predictor
from tests.trimvae.explanation.made import Identity, image_explanation, linear, table_explanation
from trimvae import explain
from trimvae.explanation.columns import chosen_classes
from trimvae.explanation.explanation import Explanation
from trimvae.explanation.summing import summed

CHOICES = (2, [3, 1], "predicted")
NAMES = ("ant", "bee", "cat", "dog")


def all_and_some(classes, **options):
    every = table_explanation(class_names=NAMES, **options)
    return every, table_explanation(class_names=NAMES, classes=classes, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"n_steps": 8},
        {"n_steps": 8, "residual": True},
        {"method": exact_shapley},
        {"method": FeatureAblation},
        {"method": expected_gradients, "n_steps": 4, "baselines": torch.randn(5, 3)},
    ],
)
def test_chosen_classes_get_what_they_get_among_all(options):
    every, some = all_and_some([3, 1], **options)
    torch.testing.assert_close(some.attributions, every.attributions[:, [3, 1]])
    torch.testing.assert_close(some.target_attributions, every.target_attributions)
    every, some = all_and_some("predicted", **options)
    assert some.attributions.shape == (12, 1, 3)
    torch.testing.assert_close(some.attributions[:, 0], every.target_attributions)


@pytest.mark.parametrize("classes", CHOICES)
def test_attributions_add_up_to_the_change_of_their_own_classes(classes):
    some = table_explanation(classes=classes, tolerance=1e-3)
    change = (some.explained_at - some.explained_at_baseline).abs().amax(dim=1, keepdim=True)
    missed = some.attributions.sum(dim=2) - some.change
    assert bool((missed.abs() <= 1e-3 * change).all())
    assert some.explained_at.shape == (12, 4)
    assert some.explained_at.sum(dim=1).abs().max() < 1e-5  # centred over all classes


@pytest.mark.parametrize("classes", CHOICES)
def test_what_is_said_of_predicted_classes_does_not_depend_on_the_choice(classes):
    every, some = all_and_some(classes, n_steps=8)
    for name in ("shares", "effective_latents", "block_shares", "target_change"):
        torch.testing.assert_close(getattr(some, name), getattr(every, name))
    for mine, theirs in zip(some.by_predicted_class, every.by_predicted_class, strict=True):
        torch.testing.assert_close(mine, theirs, equal_nan=True)
    # All but the figures that need the gradients of every class.
    of_all = {"completeness_error", "worst_completeness_error"}
    of_all.add("class_dependence_of_class_directions")
    assert every.metrics.keys() - some.metrics.keys() <= of_all
    for name in some.metrics.keys() - of_all:
        assert some.metrics[name] == pytest.approx(every.metrics[name], abs=1e-6, nan_ok=True), name


def test_names_are_those_of_the_columns():
    _, some = all_and_some([3, 1], n_steps=2)
    assert some.explained_names == ("dog", "bee")
    assert some.output_names == some.class_names == NAMES
    _, some = all_and_some("cat", n_steps=2)
    assert some.explained_names == ("cat",)
    _, some = all_and_some("predicted", n_steps=2)
    assert some.explained_names == ("predicted class",)
    assert all_and_some("all", n_steps=2)[1].chosen_classes is None


def test_a_latent_speaks_for_the_class_among_whose_examples_it_raises_the_output():
    inputs = torch.tensor([[2.0, 1.0], [4.0, 1.0], [1.0, 3.0], [1.0, 5.0]])
    predictor = linear([1.0, 0.0], [0.0, 1.0], [-9.0, -9.0])
    some = explain(Identity(), predictor, inputs, explained="output", classes="predicted")
    assert some.predicted.tolist() == [0, 0, 1, 1]
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(some.slopes, expected)
    use = next(use for use in some.top() if use.latent == 0)
    assert use.speaks_for == ("0", pytest.approx(1.0))
    assert use.speaks_against == ("1", pytest.approx(0.0))  # the third class is never predicted


@pytest.mark.parametrize("classes", CHOICES)
def test_a_file_gives_it_back_and_a_wrong_choice_in_it_is_refused(tmp_path, classes):
    some = table_explanation(classes=classes, n_steps=4)
    some.save(tmp_path / "some")
    again = Explanation.load(tmp_path / "some")
    assert again.chosen_classes == some.chosen_classes
    for name, tensor in some.tensors().items():
        assert torch.equal(getattr(again, name), tensor), name
    assert again.metrics == pytest.approx(some.metrics, nan_ok=True)
    assert json.loads(json.dumps(some.to_dict())) == some.to_dict()
    for wrong in (None, [0, 1, 2, 3], [9], ["a"], "predicted" if classes != "predicted" else [0]):
        some.settings["classes"] = wrong
        some.save(tmp_path / "wrong")
        with pytest.raises(ValueError, match="whose attributions are not those of its classes"):
            Explanation.load(tmp_path / "wrong")


@pytest.mark.parametrize("classes", CHOICES)
def test_examples_can_be_selected_and_sums_added_up(classes):
    every, some = all_and_some(classes, n_steps=8)
    parts = [some.select(range(5)), some.select(range(5, 12))]
    assert parts[1].attributions.shape[0] == 7
    torch.testing.assert_close(parts[1].target_attributions, every.target_attributions[5:])
    found = summed(parts)
    torch.testing.assert_close(found.means, summed([every]).means, equal_nan=True)
    torch.testing.assert_close(found.slopes.float(), some.slopes)


@pytest.mark.parametrize("classes", CHOICES)
def test_tables_have_the_columns_that_were_chosen(classes):
    every, some = all_and_some(classes, n_steps=8)
    mine, theirs = some.to_frame(), every.to_frame()
    assert (mine.drop(columns="attribution") == theirs.drop(columns="attribution")).all(axis=None)
    torch.testing.assert_close(
        torch.tensor(mine["attribution"].to_numpy()), torch.tensor(theirs["attribution"].to_numpy())
    )
    whole = some.to_frame(all_classes=True)
    assert len(whole) == some.attributions.numel()
    if classes == "predicted":
        assert (whole["explained"] == whole["predicted"]).all()
    else:
        assert set(whole["explained"]) == set(some.explained_names)


@pytest.mark.parametrize("classes", CHOICES)
def test_an_xarray_of_chosen_classes_adds_up(classes):
    pytest.importorskip("xarray")
    _, some = all_and_some(classes, n_steps=8)
    data = some.to_xarray()
    ends = data["explained_at_baseline"] + data["attributions"].sum("latent")
    assert abs(ends - data["explained_at"]).max() < 0.05


@pytest.mark.parametrize("classes", CHOICES)
def test_everything_is_drawn_and_asked_as_of_all_classes(classes, tmp_path):
    every = image_explanation(classes=4)
    some = explain(*every._context, every.inputs, n_steps=4, classes=classes)
    some.plot()
    some.plot_blocks()
    some.plot_traversals(0, frames=3)
    some.plot_pixels(0)
    some.plot_counterfactual(0)
    assert some.plot_waterfall(1).get_xlabel() == every.plot_waterfall(1).get_xlabel()
    some.to_html(tmp_path / "report.html", max_examples=2, frames=3)
    assert "speaks" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert some.compare(every).same_strongest == 1
    within = some.within(0, "bands")
    torch.testing.assert_close(within.used, every.within(0, "bands").used)
    total = within.attributions.sum(dim=2)[:, 0]
    torch.testing.assert_close(total, some.target_attributions[:, 0], atol=1e-5, rtol=1e-3)


def test_of_more_than_100_classes_the_predicted_one_is_attributed_unless_all_are_asked_for():
    assert table_explanation(outputs=100, n_steps=2).attributions.shape == (12, 100, 3)
    many = table_explanation(outputs=101, n_steps=2)
    assert many.chosen_classes == "predicted"
    assert many.attributions.shape == (12, 1, 3)
    every = table_explanation(outputs=101, n_steps=2, classes="all")
    assert every.attributions.shape == (12, 101, 3)
    torch.testing.assert_close(many.target_attributions, every.target_attributions)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (4, "`classes` must be classes that the predictor has. Got 4"),
        (-1, "`classes` must be classes that the predictor has. Got -1"),
        ([1.5], "`classes` must be classes that the predictor has. Got 1.5"),
        ("emu", "`classes` must be classes that the predictor has. Got 'emu'"),
        ([0, "ant"], "`classes` must name at least one class, and each once"),
        ([], "`classes` must name at least one class, and each once"),
    ],
)
def test_classes_that_are_none_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        table_explanation(class_names=NAMES, classes=classes)


def test_what_is_no_class_at_all_is_refused_by_its_type():
    with pytest.raises(TypeError, match="`classes` must be numbers or names of classes. Got None"):
        table_explanation(classes=[None])


@pytest.mark.parametrize("options", [{"explained": Contrast(0, 1)}, {"task": "regression"}])
def test_a_single_output_has_no_classes_to_choose(options):
    with pytest.raises(ValueError, match="`classes` must be left out where there is one output"):
        table_explanation(classes=[0], **options)
    whole = table_explanation(classes="predicted", n_steps=2, **options)
    assert whole.chosen_classes is None


def test_numbers_of_any_kind_are_numbers():
    predictor, outputs = Predictor(nn.Linear(2, 4)), torch.randn(3, 4)
    for classes in (range(1, 3), torch.tensor([1, 2]), np.array([1, 2]), (1.0, 2.0)):
        assert chosen_classes(classes, predictor, outputs, NAMES) == [1, 2]
    assert chosen_classes(np.int64(3), predictor, outputs, NAMES) == [3]
