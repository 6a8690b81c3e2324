"""The page: whole, safe, small, and with the right examples."""

import os
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import trimvae.report
from tests.trimvae.explanation.made import by_hand, image_explanation, table_explanation
from tests.trimvae.explanation.textured import texture_reader, textured_explanation
from tests.trimvae.report.colours import contrast
from trimvae import Evaluation, Explanation
from trimvae.explanation.asking import FrozenCode
from trimvae.report.page import chosen_examples, shown_classes, write_report

EVIL = "<script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def table():
    return table_explanation(n_steps=4, labels=torch.arange(12) % 4)


def test_the_page_is_whole_and_fetches_nothing(tmp_path):
    page = image_explanation(batch=4).to_html(tmp_path / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "default-src 'none'" in page
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]


def test_names_with_markup_stay_text(tmp_path):
    explanation = image_explanation(classes=4, batch=4, class_names=[EVIL, 'b"c', "naïve 猫", "d"])
    page = explanation.to_html(tmp_path / "report.html", title=EVIL).read_text("utf-8")
    assert "<script>document" not in page
    assert "&lt;script&gt;document" in page
    assert "naïve 猫" in page
    columns = table_explanation(n_steps=2, feature_names=[f"column {EVIL}{i}" for i in range(6)])
    assert "<script>document" not in columns.to_html(tmp_path / "table.html").read_text("utf-8")


def by_outcome(right, predicted=None):
    """Twelve examples of three classes; those that are named went right."""
    predicted = torch.arange(12) % 3 if predicted is None else torch.tensor(predicted)
    labels = torch.where(torch.isin(torch.arange(12), torch.tensor(right)), predicted, 3)
    outputs = torch.eye(4)[predicted]
    return by_hand(
        inputs=torch.zeros(12, 2),
        outputs=outputs,
        reencoded_outputs=outputs,
        labels=labels,
        class_names=("a", "b", "c", "d"),
    )


def test_wrong_examples_are_chosen_first_for_half_of_the_places():
    """The last three of twelve went wrong: all are shown, and the first of the others."""
    assert chosen_examples(by_outcome(range(9)), 6) == [0, 1, 2, 9, 10, 11]
    assert chosen_examples(by_outcome(range(9)), 4) == [0, 1, 9, 10]
    # Two of four places are for those that went wrong, though these are the majority.
    predicted = [0] * 6 + [1] * 6
    few = by_outcome([4, 5, 10, 11], predicted)
    assert chosen_examples(few, 4) == [0, 1, 2, 6]


def test_an_example_that_is_decided_otherwise_when_re_encoded_went_wrong():
    evidence = by_outcome(range(12))
    again = evidence.outputs.clone()
    again[11] = again[0]
    evidence = by_hand(**{**evidence.tensors(), "reencoded_outputs": again})
    assert chosen_examples(evidence, 4) == [0, 1, 2, 11]


def test_the_predicted_classes_share_the_other_places_in_turn():
    predicted = [0] * 9 + [1, 1, 2]
    assert chosen_examples(by_outcome(range(12), predicted), 6) == [0, 1, 2, 9, 10, 11]
    assert chosen_examples(by_outcome(range(12), predicted), 3) == [0, 9, 11]


def test_all_are_shown_where_there_is_room():
    assert chosen_examples(by_outcome([0, 5]), 100) == list(range(12))
    assert chosen_examples(by_outcome([]), 12) == list(range(12))
    assert len(chosen_examples(by_outcome([0, 5]), 1)) == 1


def test_a_regression_knows_no_wrong():
    evidence = by_hand({"task": "regression"}, labels=torch.tensor([1, 1, 1, 1]))
    assert chosen_examples(evidence, 2) == [0, 1]
    assert shown_classes(evidence, [0, 1]) == []


def test_the_filter_offers_the_classes_that_are_shown():
    assert shown_classes(by_hand(), [0, 1]) == [(0, "a")]
    assert shown_classes(by_hand(), [3, 1]) == [(0, "a"), (2, "c")]


def test_the_page_shows_the_chosen_examples(table, tmp_path):
    page = write_report(table, tmp_path / "report.html", max_examples=4).read_text("utf-8")
    shown = [int(example) for example in re.findall(r'data-example="(\d+)"', page)]
    assert shown == chosen_examples(table, 4)
    outcomes = re.findall(r'data-outcome="(\w+)', page)
    right = [bool(table.predicted[example] == table.labels[example]) for example in shown]
    assert outcomes == ["right" if is_right else "wrong" for is_right in right]


def test_counts_decide_how_much_is_shown(table, tmp_path):
    page = write_report(
        table, tmp_path / "report.html", max_examples=1, n_latents=2, frames=3
    ).read_text("utf-8")
    sliders = re.findall(r'type="range" min="0" max="(\d+)"', page)
    assert sliders == ["3", "3"]  # three frames and the example's own
    assert len(re.findall(r"\d % of the <a.*?>evidence</a>, in \d of \d classes</span>", page)) == 2


def test_a_warning_that_both_give_with_other_numbers_is_shown_once(tmp_path):
    explanation = textured_explanation(texture_reader(), batch=32, n_steps=4)
    (first, *_) = explanation.warnings
    again = re.sub(r"\d+%", "55%", first)
    assert again != first
    warned = [again, "Judges disagree."]
    evaluation = Evaluation(metrics={}, by_class={}, by_latent={}, warnings=warned, settings={})
    path = explanation.to_html(tmp_path / "report.html", evaluation=evaluation, max_examples=1)
    text = path.read_text("utf-8")
    assert text.count("Warning.") == len(explanation.warnings) + 1
    assert "Judges disagree." in text


def test_the_figures_of_an_evaluation_are_added(table, tmp_path):
    evaluation = Evaluation(metrics={"flip_at_1": 0.8125}, by_class={}, by_latent={}, settings={})
    page = table.to_html(tmp_path / "report.html", evaluation=evaluation, max_examples=1)
    text = page.read_text("utf-8")
    assert "All figures of the evaluation" in text
    assert '<th scope="row">flip at 1</th><td>0.8125</td>' in text
    without = table.to_html(tmp_path / "report.html", max_examples=1).read_text("utf-8")
    assert "All figures of the evaluation" not in without


def test_a_thousand_classes_a_regression_and_a_binary_logit_have_pages(tmp_path):
    many = image_explanation(classes=1000, batch=20).to_html(tmp_path / "many.html")
    assert many.stat().st_size < 3_000_000
    regression = table_explanation(outputs=1, n_steps=2).to_html(tmp_path / "regression.html")
    assert "What the output rests on" in regression.read_text("utf-8")
    binary = table_explanation(
        outputs=1, n_steps=2, task="classification", class_names=["no", "yes"]
    )
    assert "Class by class" in binary.to_html(tmp_path / "binary.html").read_text("utf-8")


def test_colour_images_and_ten_latents_stay_under_300_kilobytes_each(tmp_path):
    """Noise, which compresses worst; a page of fifty stays under 15 megabytes."""
    explanation = image_explanation(size=64, channels=3, batch=10, latents=10)
    noise = write_report(explanation, tmp_path / "report.html", max_examples=10)
    assert noise.stat().st_size < 10 * 300_000


def test_a_loaded_explanation_has_a_page_without_sliders(table, tmp_path):
    table.save(tmp_path / "explanation.safetensors")
    loaded = Explanation.load(tmp_path / "explanation.safetensors")
    page = loaded.to_html(tmp_path / "report.html").read_text("utf-8")
    assert "loaded without code and predictor" in page
    assert 'type="range"' not in page


def test_nothing_is_left_behind_where_the_page_cannot_be_written(table, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        table.to_html(tmp_path / "file" / "report.html", max_examples=1)
    for name in ("max_examples", "n_latents", "max_pixels"):
        with pytest.raises(ValueError, match="`max_examples`, `n_latents` and `max_pixels`"):
            table.to_html(tmp_path / "report.html", **{name: 0})
    with pytest.raises(ValueError, match="must be at least 1 and `frames` 2"):
        table.to_html(tmp_path / "report.html", frames=1)
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_written_to_is_named(table, tmp_path, monkeypatch):
    create = os.open

    def refused(path, *args, **options):
        if str(path).startswith(str(tmp_path)):
            raise PermissionError(13, "Permission denied")
        return create(path, *args, **options)

    # Root may write anywhere, so that a folder's flags prove nothing in a container.
    monkeypatch.setattr("os.open", refused)
    with pytest.raises(PermissionError, match="`path` must be in a folder that can be written"):
        table.to_html(tmp_path / "report.html", max_examples=1)
    assert not list(tmp_path.iterdir())


def test_each_latent_s_card_says_in_how_many_codes_it_is_found(table, tmp_path):
    marked = replace(
        table, settings={**table.settings, "recurrence": {"found_in": [1, 2, 3], "codes": 3}}
    )
    page = marked.to_html(tmp_path / "report.html").read_text("utf-8")
    cards = dict(
        re.findall(r'<h3 id="latent-\d"><bdi.*?>(z\d)</bdi> <span class="soft">(.*?)</span>', page)
    )
    assert cards["z0"].endswith(" classes, found in no other of 3 codes")
    assert cards["z2"].endswith(" classes, found again in 3 of 3 codes")
    assert "3 codes were compared." in page
    assert "codes" not in table.to_html(tmp_path / "plain.html").read_text("utf-8")


TEMPLATES = Path(trimvae.report.__file__).parent / "templates"


def themes():
    """Colours by name: of the light theme, the dark one in both of its places, and of print."""
    css = (TEMPLATES / "report.css").read_text("utf-8")
    blocks = re.findall(r"\{[^{}]*--page:[^{}]*\}", css)
    return [dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in blocks]


def test_all_colours_of_text_can_be_read_in_light_in_dark_and_in_print():
    light, dark, chosen_dark, printed = themes()
    assert dark == chosen_dark
    assert contrast(light["ink"], light["page"]) > 12 > 3 > contrast(dark["page"], "#000000")
    for theme in (light, dark, printed):
        for ink in ("ink", "soft", "blue", "orange", "good", "bad"):
            for ground in ("page", "card"):
                assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)


def test_printing_is_light_without_controls_and_breaks_no_card():
    css = (TEMPLATES / "report.css").read_text("utf-8")
    printed = css.partition("@media print")[2]
    assert "color-scheme: light" in printed
    hidden = re.search(r"([^}]*)\{ display: none !important", printed).group(1)
    assert all(name in hidden for name in (".sliders", "button", ".filters", ".naming"))
    unbroken = re.search(r"([^}]*)\{ break-inside: avoid", printed).group(1)
    assert ".card" in unbroken
    assert "figure" in unbroken


def test_headings_come_in_order_and_the_first_link_skips_to_the_content(table, tmp_path):
    for explanation in (table, image_explanation(batch=3)):
        page = explanation.to_html(tmp_path / "report.html", max_examples=2).read_text("utf-8")
        levels = [int(level) for level in re.findall(r"<h(\d)", page)]
        assert levels.count(1) == 1 == levels[0]
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert '<html lang="en">' in page
        assert re.search(r'<a [^>]*href="#(\w+)"', page).group(1) == "content"
        assert '<main id="content"' in page


def test_marks_of_names_stay_inside_and_every_name_can_be_renamed(table, tmp_path):
    page = table.to_html(tmp_path / "report.html", max_examples=2).read_text("utf-8")
    assert not re.search("[\ue000-\ue002]", page)
    text = re.sub(r"<script.*?</script>|<[^>]*aria-[^>]*>", "", page, flags=re.S)
    assert not re.search(r"\bz[012]\b", re.sub(r"<bdi.*?</bdi>", "", text))
    boxes = re.findall(r'<label for="name-(\d)">.*?<input id="name-(\d)"', page)
    assert sorted(boxes) == [("0", "0"), ("1", "1"), ("2", "2")]


def test_a_page_decodes_what_it_shows_once(tmp_path, monkeypatch):
    """Sliders, strips, AttFind's effects once for all classes, and little for each attribute."""
    explanation, rows = image_explanation(batch=12), []
    decode = FrozenCode.decode

    def counted(self, latents):
        rows.append(len(latents))
        return decode(self, latents)

    monkeypatch.setattr(FrozenCode, "decode", counted)
    page = explanation.to_html(tmp_path / "report.html", counterfactuals=False).read_text("utf-8")
    attributes = len(re.findall(r'id="class-\d+-\d+"', page))
    assert attributes > 3
    sliders, strips, effects = 12 * 3 * 11, 3 * 25, 12 * (2 * 3 + 1)
    assert sum(rows) <= sliders + strips + effects + attributes * (12 + 3)
    assert len(rows) <= 2 + 1 + 7 + 2 * attributes


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"title": None}, "`title` must be text. Got None"),
        ({"evaluation": 3}, "`evaluation` must be what evaluate returns. Got int"),
        ({"against": 3}, "`against` must be an explanation. Got int"),
        ({"judges": torch.nn.Linear(6, 4)}, "`judges` must be a list of classifiers. Got Linear"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_of_another_kind_is_refused_and_nothing_written(table, tmp_path, given, told):
    with pytest.raises(TypeError, match=told):
        table.to_html(tmp_path / "report.html", max_examples=1, **given)
    assert list(tmp_path.iterdir()) == []
