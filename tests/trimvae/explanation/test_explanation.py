"""An explanation kept, drawn, tabulated and shown."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from attributions import Contrast, Predictor
from tests.trimvae.explanation.made import table_explanation
from trimvae import VAE, Explanation, explain


@pytest.fixture(scope="module")
def table():
    return table_explanation(labels=torch.arange(12) % 4, class_names=["a", "b", "ç", "<d>"])


def test_it_survives_the_file_and_is_plain_json(tmp_path, table):
    path = tmp_path / "explanation.safetensors"
    table.save(path)
    loaded = Explanation.load(path)
    for name, tensor in table.tensors().items():
        assert torch.equal(getattr(loaded, name), tensor), name
    assert loaded.metrics == table.metrics
    assert loaded.warnings == table.warnings
    assert loaded.class_names == ("a", "b", "ç", "<d>")
    assert loaded.settings == json.loads(json.dumps(table.settings))
    assert json.loads(json.dumps(loaded.to_dict()))["metrics"] == table.metrics


def test_what_was_loaded_can_be_asked_once_code_and_predictor_are_given(tmp_path, table):
    table.save(tmp_path / "saved")
    loaded = Explanation.load(tmp_path / "saved")
    assert not loaded.can_be_asked
    for question in (
        loaded.plot_traversals,
        loaded.counterfactuals,
        lambda: loaded.trim,
        lambda: loaded.code,
    ):
        with pytest.raises(RuntimeError, match="loaded without them"):
            question()
    assert not Explanation.load(tmp_path / "saved", code=table.code).can_be_asked
    predictor, _ = table.trim.predictor.original
    asked = Explanation.load(tmp_path / "saved", code=table.code, predictor=predictor)
    assert asked.can_be_asked
    assert asked.code is table.code
    assert torch.equal(asked.traverse(0, 1).outputs, table.traverse(0, 1).outputs)
    assert torch.equal(asked.pixels(0), table.pixels(0))


@pytest.mark.parametrize("ready", [False, True])
def test_a_loaded_explanation_asks_what_was_explained(tmp_path, ready):
    """Behind the same preprocessing, in logarithms of probabilities, and of the same contrast."""
    vae = VAE.dense((6,), latent_size=3, hidden=(8,))
    predictor = nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=1))
    options = {"preprocess": lambda inputs: 3 * inputs}
    with pytest.warns(UserWarning, match="ends in a softmax"):
        explanation = explain(
            vae, predictor, torch.randn(4, 6), explained=Contrast(2, 0), **options
        )
    explanation.save(tmp_path / "saved")
    given = {"predictor": predictor, **options}
    if ready:
        made = Predictor(predictor, explained=Contrast(2, 0), probabilities=True, **options)
        given = {"predictor": made}
    loaded = Explanation.load(tmp_path / "saved", code=vae, **given)
    latents = explanation.latents
    torch.testing.assert_close(loaded.trim(latents), explanation.explained_at)
    torch.testing.assert_close(loaded.traverse(1, 0).outputs, explanation.traverse(1, 0).outputs)


def test_another_code_or_predictor_is_refused_where_it_is_given(tmp_path, table):
    table.save(tmp_path / "saved")
    size, (latents, classes) = table.inputs.shape[1:], table.attributions.shape[:0:-1]
    own, _ = table.trim.predictor.original
    others = {
        "code": [VAE.dense(size, latents), VAE.dense(size, latents + 1), VAE.dense((5,), latents)],
        "predictor": [nn.Linear(*size, classes), nn.Linear(*size, 5), nn.Linear(5, classes)],
    }
    for argument, wrong in others.items():
        for other in wrong:
            given = {"code": table.code, "predictor": own, argument: other}
            with pytest.raises(ValueError, match=f"`{argument}` must be the one that the expl"):
                Explanation.load(tmp_path / "saved", **given)
    with pytest.raises(ValueError, match="`predictor` must be.* other numbers.*`preprocess`"):
        Explanation.load(
            tmp_path / "saved", code=table.code, predictor=own, preprocess=torch.zeros_like
        )


def test_bad_files_are_refused(tmp_path, table):
    path = tmp_path / "explanation.safetensors"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Explanation.load(path)
    table.save(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="truncated or of another kind"):
        Explanation.load(path)
    save_file({"latents": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="written by something else"):
        Explanation.load(path)


def test_the_frame_has_one_row_per_example_and_latent(table):
    frame = table.to_frame()
    assert len(frame) == 12 * 3
    row = frame[(frame.example == 3) & (frame.latent == "z1")].iloc[0]
    assert row.attribution == pytest.approx(table.target_attributions[3, 1].item())
    assert row.value == pytest.approx(table.latents[3, 1].item())
    assert row.predicted == row.explained == table.class_names[int(table.predicted[3])]
    everything = table.to_frame(all_classes=True)
    assert len(everything) == 12 * 4 * 3
    row = everything[
        (everything.example == 5) & (everything.explained == "ç") & (everything.latent == "z0")
    ].iloc[0]
    assert row.attribution == pytest.approx(table.attributions[5, 2, 0].item())


def test_a_frame_of_a_regression_names_its_output():
    frame = table_explanation(outputs=1, batch=3, n_steps=2, class_names=["price"]).to_frame()
    assert set(frame.predicted) == set(frame.explained) == {"price"}


def test_names_can_be_given_later(table):
    renamed = table.rename(latents=["size", "tilt", "ink"])
    assert "size" in renamed.summary()
    assert renamed.class_names == table.class_names
    assert renamed.rename(classes=list("wxyz")).class_names == ("w", "x", "y", "z")
    assert renamed.can_be_asked
    assert renamed.rename(classes=[1, 2, 3, 4]).class_names == ("1", "2", "3", "4")
    with pytest.raises(ValueError, match="`latents` must tell all 3 apart. Got 'a' more than once"):
        table.rename(latents=["a", "b", "a"])
    with pytest.raises(ValueError, match="`classes` must have 4 entries"):
        table.rename(classes=["a"])
    with pytest.raises(ValueError, match="`latents` must have 3 entries"):
        table.rename(latents=["a"])


def test_choosing_keeps_all_that_an_explanation_can_do(table):
    wrong = table.wrong()
    assert isinstance(wrong, Explanation)
    assert wrong.can_be_asked
    assert wrong.traverse(0, 0, n_steps=2).outputs.shape == (2, 4)


def test_it_is_compared_by_its_method(table):
    found = table.compare(table)
    assert found.matched.tolist() == [0, 1, 2]
    assert found.same_decisions == 1


def test_a_notebook_sees_summary_and_heatmap_and_no_markup_of_names(table):
    shown = table.rename(latents=["<b>x", "y", "z"])._repr_html_()
    assert "&lt;b&gt;x" in shown
    assert "data:image/png;base64," in shown
    assert "<b>x" not in shown


def test_every_picture_is_a_method(table, tmp_path):
    assert table.plot(title="mine").axes[0].get_title(loc="left") == "mine"
    assert table.plot_blocks(title="blocks").axes[0].get_title(loc="left") == "blocks"
    assert table.plot_waterfall(1, n_latents=1).get_title(loc="left").startswith("Example 1")
    assert len(table.plot_traversals(0, n_latents=1, frames=2).axes) == 2
    assert len(table.plot_pixels(0, latents=[1]).axes) == 2
    assert table.plot_counterfactual(0, method="gradient").axes
    assert len(table.plot_trust().axes) == 1
    target = int(table.predicted.bincount(minlength=4).argmin())
    assert len(table.plot_attributes(table.class_names[target], k=1).axes) == 1
    assert table.animate(tmp_path / "moving.gif", frames=2).stat().st_size > 0
    page = table.to_html(tmp_path / "page.html", title="mine", max_examples=2)
    assert "<title>mine</title>" in page.read_text("utf-8")


def test_marks_of_a_consensus_survive_the_file_and_earlier_files_have_none(tmp_path, table):
    marks = {"found_in": [2, 1, 3], "codes": 3}
    marked = replace(table, settings={**table.settings, "recurrence": marks})
    marked.save(tmp_path / "marked")
    loaded = Explanation.load(tmp_path / "marked")
    assert loaded.recurrence == marked.recurrence == ((2, 1, 3), 3)
    assert loaded.summary() == marked.summary()
    assert loaded.rename(latents=["a", "b", "c"]).recurrence == marked.recurrence
    before = {name: value for name, value in table.settings.items() if name != "recurrence"}
    replace(table, settings=before).save(tmp_path / "earlier")
    assert Explanation.load(tmp_path / "earlier").recurrence is None
