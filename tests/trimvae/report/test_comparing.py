"""Two explanations side by side on one page."""

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.cases import convolutional_predictor
from tests.trimvae.explanation.made import by_hand, image_explanation, table_explanation
from trimvae import VAE, explain
from trimvae.report.comparing import check_against, comparison_section, relation_of


def another(one, *, classifier=False, code=False):
    """The same inputs explained once more: by another classifier, through another code, or both."""
    own, predictor = one._context
    with torch.random.fork_rng():
        torch.manual_seed(7)
        images = one.inputs.ndim == 4
        if code and images:
            own = VAE.convolutional((1, 28, 28), 3, channels=4, hidden=8)
        elif code:
            own = VAE.dense((6,), latent_size=4, hidden=(16,))
        if classifier and images:
            predictor = convolutional_predictor(classes=3, size=28, channels=1)
        elif classifier:
            predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    return explain(own, predictor, one.inputs, n_steps=4, labels=one.labels)


@pytest.fixture(scope="module")
def image():
    return image_explanation()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "One classifier and one code, explained twice."),
        ({"classifier": True}, "Two classifiers, seen through the same code."),
        ({"code": True}, "One classifier, explained through two codes."),
        ({"classifier": True, "code": True}, "Two classifiers, each explained through a code of"),
    ],
)
def test_what_is_compared_is_said_and_written(image, changed, said, tmp_path):
    other = another(image, **changed)
    assert relation_of(image, other).in_words().startswith(said)
    page = image.to_html(tmp_path / "report.html", against=other, called=("ours", "<theirs>"))
    text = page.read_text("utf-8")
    assert said in text
    assert "Side by side: ours and &lt;theirs&gt;" in text
    assert "<theirs>" not in text
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", text)


def test_a_page_of_one_explanation_has_no_such_section(image, tmp_path):
    assert "Side by side" not in image.to_html(tmp_path / "report.html").read_text("utf-8")


def test_an_explanation_beside_itself_parts_nowhere():
    one = by_hand()
    found = comparison_section(one, one, ("a", "b"), 40)
    assert found["cards"] == []
    assert [pair.correlation for pair in found["pairs"]] == ["1.00"] * len(found["pairs"])
    assert all(pair.again and not pair.reversed for pair in found["pairs"])
    assert [pair.share for pair in found["pairs"]] == [pair.other_share for pair in found["pairs"]]
    first, second = found["heatmaps"]
    assert first["rows"] == second["rows"]


def test_factors_stand_beside_what_corresponds_to_them_also_turned_round():
    one = by_hand()
    order = [2, 0, 1]
    turned = {
        name: getattr(one, name)[..., order]
        for name in ("latents", "deviations", "baselines", "attributions", "total_variation")
    }
    turned["latents"] = turned["latents"] * torch.tensor([1.0, -1.0, 1.0])
    other = replace(one, **turned, latent_names=("z2", "x2", "y2"))
    found = comparison_section(one, other, ("a", "b"), 40)
    pairs = {pair.name: pair for pair in found["pairs"]}
    assert {name: pair.other_name for name, pair in pairs.items()} == {
        "x": "x2", "y": "y2", "z": "z2",
    }  # fmt: skip
    assert [name for name, pair in pairs.items() if pair.reversed] == ["x"]
    assert list(found["heatmaps"][1]["columns"]) == ["x2", "y2", "z2"]


def test_both_heatmaps_have_one_scale():
    one = by_hand()
    stronger = replace(one, attributions=10 * one.attributions)
    first, second = comparison_section(one, stronger, ("a", "b"), 40)["heatmaps"]
    faint, strong = (
        [cell.background for row in side["rows"] for cell in row.cells] for side in (first, second)
    )
    alone = comparison_section(one, one, ("a", "b"), 40)["heatmaps"][0]
    assert faint != [cell.background for row in alone["rows"] for cell in row.cells]
    assert strong == [cell.background for row in alone["rows"] for cell in row.cells]


def test_a_table_and_codes_of_other_sizes_are_compared_too(tmp_path):
    one = table_explanation(n_steps=4, labels=torch.arange(12) % 4)
    page = one.to_html(tmp_path / "r.html", against=another(one, classifier=True, code=True))
    assert "Where they part" in page.read_text("utf-8")


def test_what_cannot_stand_side_by_side_is_refused(image, tmp_path):
    one = by_hand()
    with pytest.raises(ValueError, match="`against` must explain the same inputs.*other values"):
        check_against(one, replace(one, inputs=one.inputs + 1))
    with pytest.raises(ValueError, match="`against` must explain the same classes. Got p, q, r"):
        check_against(one, replace(one, class_names=("p", "q", "r")))
    regression = replace(one, settings={**one.settings, "task": "regression"})
    with pytest.raises(ValueError, match="`against` must explain the same output"):
        check_against(one, regression)
    with pytest.raises(ValueError, match="at least two"):
        image.to_html(tmp_path / "r.html", against=image.select([0]))
    assert list(tmp_path.iterdir()) == []
