"""Every word of the page has its meaning, and every link to one arrives."""

import re
from dataclasses import replace

from tests.trimvae.explanation.made import by_hand, image_explanation, table_explanation
from trimvae.figures.trust import checks
from trimvae.report.glossary import anchor_of, meanings


def test_every_check_has_its_meaning_in_one_sentence():
    explanation = by_hand({"redrawn": {"direction": [0.9, None]}})
    found = {term.name: term for term in meanings(explanation)}
    for check in checks(explanation):
        assert check.meaning[1:] in found[check.name].meaning
    assert all(term.meaning.endswith(".") for term in found.values())
    assert list(found) == sorted(found)


def test_what_is_explained_is_named():
    terms = {term.name: term.meaning for term in meanings(by_hand({"explained_name": "{odd}"}))}
    assert "the {odd}," in terms["score"]
    assert "found again" not in terms


def test_every_link_of_a_page_arrives(tmp_path):
    marked = table_explanation(n_steps=2)
    marked = replace(
        marked, settings={**marked.settings, "recurrence": {"found_in": [1, 2, 3], "codes": 3}}
    )
    regression = table_explanation(outputs=1, n_steps=2)
    for explanation in (marked, regression, image_explanation(batch=3)):
        page = explanation.to_html(tmp_path / "report.html", max_examples=2).read_text("utf-8")
        links = set(re.findall(r'href="#([^"]+)"', page))
        assert links <= set(re.findall(r'id="([^"]+)"', page))
        assert {anchor_of(check.name) for check in checks(explanation)} <= links
