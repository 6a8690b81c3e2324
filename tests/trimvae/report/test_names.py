import re
from dataclasses import replace

import pytest

from attributions import Contrast
from tests.trimvae.explanation.made import by_hand, image_explanation, table_explanation
from trimvae.report.names import (
    own_names,
    renamable,
    shown,
    unmarked,
    with_marked_names,
    with_shown_names,
)
from trimvae.report.notebook import notebook_card
from trimvae.report.page import render_report

ODD = ("$\\frac{", "half\ud800", "cat\u202egnp", "y" * 10_000, "\u05d0\u05d1", "<script>", "a\nb\0")


def odd(explanation):
    """The same with odd names of everything that has one."""
    settings, classes = explanation.settings, len(explanation.class_names)
    columns = settings["feature_names"]
    odd_settings = {
        "feature_names": columns and [*ODD, *columns][: len(columns)],
        "explained_name": f"{ODD[1]} rather than {ODD[3]}",
        "blocks": [["\u202eblock\udc00", *block[1:]] for block in settings["blocks"]],
    }
    return replace(
        explanation,
        class_names=[*ODD, *map(str, range(classes))][:classes],
        latent_names=tuple(f"{name} of {ODD[i]}" for i, name in enumerate("uvw")),
        settings={**settings, **odd_settings},
    )


def test_ordinary_names_leave_an_explanation_as_it_is():
    explanation = table_explanation(n_steps=2)
    assert with_shown_names(explanation) is explanation
    assert with_shown_names(by_hand()).latent_names == ("x", "y", "z")


def test_every_name_of_an_explanation_is_made_fit_to_be_shown():
    explanation = table_explanation(n_steps=2, feature_names=[f"x{i}" for i in range(6)])
    safe = with_shown_names(odd(explanation))
    names = [*safe.class_names, *safe.latent_names, *safe.settings["feature_names"]]
    names += [safe.settings["explained_name"], *(block.name for block in safe.blocks)]
    assert all(len(name) <= 200 and "\u202e" not in name for name in names)
    "".join(names).encode("utf-8")
    assert safe.class_names[:2] == ("$\\frac{", "half\ufffd")  # HTML knows no formulas
    assert safe.settings["feature_names"][4] == "\u2068\u05d0\u05d1\u2069"
    assert safe.can_be_asked
    assert safe.attributions is explanation.attributions


def test_names_that_are_alike_when_cut_stay_apart():
    assert len(set(shown([f"{'a' * 80}{i}" for i in range(50)]))) == 50


@pytest.mark.parametrize("make", [table_explanation, image_explanation])
def test_a_page_with_odd_names_is_whole_safe_and_bounded(make):
    explanation = make(n_steps=2) if make is table_explanation else make()
    options = {"n_latents": 2, "frames": 3, "max_examples": 2, "max_pixels": 20}
    ordinary = render_report(explanation, title="ordinary", **options)
    page = render_report(odd(explanation), title="\ud800" + "t" * 10_000, **options)
    page.encode("utf-8")
    assert not re.search("[\u202a-\u202e\u2066\u2067\0]", page)
    assert page.count("\u2068") == page.count("\u2069")
    assert "\\$" not in page
    assert page.count("<script") == ordinary.count("<script")
    assert len(page) < len(ordinary) + 100_000


def test_a_page_of_5_000_classes_with_long_names_is_bounded():
    names = [f"{'long ' * 2_000}{index}" for index in range(5_000)]
    explanation = table_explanation(outputs=5_000, batch=8, n_steps=2, class_names=names)
    options = {"n_latents": 2, "frames": 3, "max_examples": 4}
    page = render_report(explanation, title="many", **options)
    assert len(page) < 300_000
    assert "#17" in page or "classes are never predicted" in page


def test_a_notebook_shows_odd_names():
    card = notebook_card(odd(table_explanation(n_steps=2)))
    card.encode("utf-8")
    assert len(card) < 400_000
    assert "\u202e" not in card


def test_a_contrast_of_odd_names_is_named():
    explanation = table_explanation(n_steps=2, class_names=ODD[:4], explained=Contrast(1, 3))
    assert with_shown_names(explanation).settings["explained_name"].startswith("half\ufffd rather")


def test_a_marked_name_becomes_an_element_and_all_else_is_escaped():
    marked = with_marked_names(by_hand(latent_names=("a", "<b>", "\ue000c\ue002")))
    text = f"{marked.latent_names[1]} & {marked.latent_names[2]}"
    assert unmarked(text) == "<b> & c"
    assert renamable(text) == (
        '<bdi class="name" data-latent="1">&lt;b&gt;</bdi> &amp; '
        '<bdi class="name" data-latent="2">c</bdi>'
    )
    assert renamable("94 % of it") == "94\u00a0% of it"
    assert renamable("a") == "a"  # an article, not the latent of that name


def test_latents_are_known_again_by_the_names_that_explain_gave_them():
    names = ("x" * 80, "y" * 5000, "z")
    own = own_names(by_hand(latent_names=names), [2, 0, 1])
    assert list(own) == [2, 0, 1]
    assert (own[0], own[2]) == (names[0], "z")
    assert len(own[1]) == 60
