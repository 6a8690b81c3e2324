"""What the page does in a browser."""

import json
import shutil

import pytest
import torch

from tests.trimvae.explanation.made import image_explanation, table_explanation
from tests.trimvae.report.test_comparing import another
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

    def open_(explanation, *, width=1280, dark=False, **options):
        path = explanation.to_html(tmp_path / "report.html", title=EVIL, **options)
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
@pytest.mark.parametrize("width", [1280, 900, 390])
def test_every_picture_of_a_strip_is_seen_whole(opened, width):
    page = opened(image_explanation(class_names=["sandal", "ankle boot", "shirt"]), width=width)
    cut = page.evaluate(
        """[...document.querySelectorAll('.strip img')].filter(picture => {
            const inner = picture.getBoundingClientRect();
            const outer = picture.closest('.card').getBoundingClientRect();
            return inner.left < outer.left || inner.right > outer.right || inner.width < 30;
        }).length"""
    )
    assert cut == 0
    assert page.locator(".strip img").count() >= 21
    assert page.evaluate(
        "[...document.querySelectorAll('.strip')].every(n => n.scrollWidth <= n.clientWidth)"
    )


@pytest.mark.browser
def test_numbers_and_links_keep_to_one_line_on_a_phone_and_the_first_column_stays(opened):
    page = opened(
        image_explanation(latents=12, class_names=[f"class {i}" for i in "abc"]), width=390
    )
    lines = "[...document.querySelectorAll(%r)].map(n => n.getClientRects().length)"
    assert set(page.evaluate(lines % "nav a")) == {1}
    heights = "[...document.querySelectorAll('.heatmap td')].map(n => n.clientHeight)"
    assert max(page.evaluate(heights)) < 50  # one line, though the row's name may take two
    assert page.evaluate(
        "[...document.querySelectorAll('.heatmap td')].every(n => n.scrollWidth <= n.clientWidth)"
    )
    box = page.locator(".scroll:has(.heatmap)")
    name = box.locator("tbody th").first
    before = name.bounding_box()["x"]
    assert box.evaluate("node => { node.scrollLeft = 300; return node.scrollLeft; }") > 100
    assert name.bounding_box()["x"] == before
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.browser
def test_a_moved_picture_is_called_moved_and_has_its_own_decision(opened):
    explanation = image_explanation()
    page = opened(explanation)
    card = page.locator(".card[data-example]").first
    drawn = card.locator("figure:has(.window) figcaption")
    before = drawn.inner_text()
    assert before.startswith("redrawn: ")
    assert "right" not in before
    card.locator("input[type=range]").first.focus()
    page.keyboard.press("Home")
    example = int(card.get_attribute("data-example"))
    latent = explanation.strongest(example, 1)[0]
    outputs = explanation.traverse(example, latent, values=torch.tensor([-2.5])).outputs[0]
    chance, winner = outputs.softmax(dim=0).max(dim=0)
    assert drawn.inner_text() == f"moved: {explanation.class_names[int(winner)]} ({chance:.2f})"
    card.locator("button.reset").click()
    assert drawn.inner_text() == before


@pytest.mark.browser
def test_a_name_is_used_everywhere_kept_and_saved_to_be_read_back(opened, tmp_path):
    explanation = image_explanation()
    page = opened(explanation)
    latent = explanation.top(1)[0].latent
    own = explanation.latent_names[latent]
    save = page.locator("#save-names")
    assert save.is_disabled()
    page.fill(f"#name-{latent}", EVIL)
    assert page.title() == EVIL
    assert page.locator("main script[src], main bdi script").count() == 0
    called = page.locator(f"[data-latent='{latent}']").all_text_contents()
    assert set(called) == {EVIL}
    assert page.locator(".heatmap thead").inner_text().count(EVIL) == 1
    assert f"More of {EVIL} speaks" in " ".join(page.locator("#overview p").all_inner_texts())
    page.fill(f"#name-{latent}", "loop")
    with page.expect_download() as waiting:
        save.click()
    waiting.value.save_as(tmp_path / "names.json")
    assert json.loads((tmp_path / "names.json").read_text()) == {own: "loop"}
    read_back = image_explanation(latent_names=tmp_path / "names.json")
    assert read_back.latent_names[latent] == "loop"
    slider = page.locator(f"label:has([data-latent='{latent}'])").last
    assert slider.inner_text() == "loop"
    page.reload()
    assert page.input_value(f"#name-{latent}") == "loop"
    assert page.locator(f"#latent-{latent} bdi").inner_text() == "loop"
    page.fill(f"#name-{latent}", " ")
    assert page.locator(f"#latent-{latent} bdi").inner_text() == own
    assert save.is_disabled()
    assert not page.complaints


@pytest.mark.browser
def test_print_is_light_and_shows_no_sliders(opened):
    page = opened(image_explanation(), dark=True)
    page.emulate_media(media="print")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    assert not page.locator(".sliders").first.is_visible()
    assert page.locator(".strip img").first.is_visible()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("make", "width", "dark", "beside"),
    [
        (image_explanation, 1280, False, True),
        (image_explanation, 390, True, True),
        (table_explanation, 390, False, False),
    ],
)
def test_axe_finds_nothing_against_wcag_aa(opened, make, width, dark, beside):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
    asked = {"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]}
    one = make(batch=4)
    other = another(one, classifier=True, code=True) if beside else None
    page = opened(one, width=width, dark=dark, against=other)
    page.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true; })")
    found = axe.Axe().run(page, options=asked).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


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
