"""What the page does in a browser."""

import shutil

import pytest
import torch

from tests.trimvae.explanation.made import image_explanation, table_explanation
from tests.trimvae.report.test_page import EVIL

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Open an explanation's page; collect what it complains of and fetches."""
    contexts = []

    def open_(explanation, *, width=1280, dark=False):
        path = explanation.to_html(tmp_path / "report.html", title=EVIL)
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.fetched = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.fetched.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()


def seen(page):
    return page.locator(".card[data-example]:not([hidden])").count()


@pytest.mark.browser
def test_a_slider_moves_picture_probabilities_and_words(opened):
    explanation = image_explanation(class_names=[EVIL, "b", "c"])
    page = opened(explanation)
    card = page.locator(".card[data-example]").first
    slider, sheet = card.locator("input[type=range]").first, card.locator(".window img")
    before = sheet.evaluate("node => node.style.left"), card.locator("output").inner_text()
    slider.focus()
    page.keyboard.press("Home")
    assert sheet.evaluate("node => node.style.left") == "0%"
    assert "at \u22122.50" in card.locator("output").inner_text()
    assert "\u22122.50" in slider.get_attribute("aria-valuetext")
    first = explanation.strongest(int(card.get_attribute("data-example")), 1)[0]
    example = int(card.get_attribute("data-example"))
    outputs = explanation.traverse(example, first, values=torch.tensor([-2.5])).outputs[0]
    shown = [float(text) for text in card.locator(".chance .number").all_inner_texts()]
    assert shown == pytest.approx(outputs.softmax(dim=0).tolist(), abs=0.006)
    page.keyboard.press("End")
    assert "+2.50" in card.locator("output").inner_text()
    card.locator("button.reset").click()
    after = sheet.evaluate("node => node.style.left"), card.locator("output").inner_text()
    assert after == before
    assert not page.complaints
    assert all(url.startswith(("file:", "data:")) for url in page.fetched)
    assert page.title() == EVIL


@pytest.mark.browser
def test_filters_keep_the_class_and_outcome_they_name(opened):
    explanation = image_explanation()
    page = opened(explanation)
    assert seen(page) == 12
    right = int((explanation.predicted == explanation.labels).sum())
    page.select_option("#filter-outcome", "right")
    assert seen(page) == right
    assert page.locator("#count").inner_text() == f"{right} of 12 examples"
    page.select_option("#filter-outcome", "all")
    target = int(explanation.predicted[0])
    page.select_option("#filter-class", str(target))
    assert seen(page) == int((explanation.predicted == target).sum())


@pytest.mark.browser
def test_the_page_fits_a_phone_and_follows_the_dark(opened):
    page = opened(image_explanation(), width=390, dark=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.click("#theme")
    assert page.evaluate(colour) != dark == "rgb(20, 23, 27)"


@pytest.mark.browser
def test_every_control_and_picture_has_a_name(opened):
    page = opened(image_explanation())
    assert page.evaluate(
        "[...document.querySelectorAll('input, select')].every(node => node.labels.length === 1)"
    )
    assert page.evaluate("[...document.images].every(node => node.alt && node.naturalWidth > 0)")
    assert page.evaluate(
        "new Set([...document.querySelectorAll('[id]')].map(n => n.id)).size"
        " === document.querySelectorAll('[id]').length"
    )


@pytest.mark.browser
def test_a_tables_slider_moves_its_columns(opened):
    names = [f"col{index}" for index in range(6)]
    page = opened(table_explanation(feature_names=names))
    card = page.locator(".card[data-example]").first
    before = card.locator("[data-column] td").all_inner_texts()
    card.locator("input[type=range]").first.focus()
    page.keyboard.press("Home")
    assert card.locator("[data-column] td").all_inner_texts() != before
    assert set(card.locator("[data-column] th").all_inner_texts()) <= set(names)
    assert not page.complaints
