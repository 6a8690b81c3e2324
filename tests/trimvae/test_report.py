"""The report: what it says, and what it does in a browser."""

import re
import shutil

import pytest
import torch
from torch import nn

from tests.cases import convolutional_predictor
from trimvae import VAE, Explanation, explain
from trimvae.report import chosen_examples, sentences, write_report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
EVIL = "<script>document.title='owned'</script>"


def image_explanation(classes=4, size=28, channels=1, batch=12, latents=3, **options):
    torch.manual_seed(0)
    vae = VAE.convolutional((channels, size, size), latents, channels=4, hidden=8)
    predictor = convolutional_predictor(classes=classes, size=size, channels=channels)
    inputs = torch.rand(batch, channels, size, size)
    labels = torch.arange(batch) % classes
    return explain(vae, predictor, inputs, n_steps=4, labels=labels, **options)


def table_explanation(outputs=3, **options):
    torch.manual_seed(0)
    vae = VAE.dense((6,), latent_size=3, hidden=(16,))
    predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs))
    return explain(vae, predictor, torch.randn(12, 6), **options)


def test_the_page_is_whole_and_fetches_nothing(tmp_path):
    page = image_explanation().to_html(tmp_path / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "default-src 'none'" in page
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]


def test_names_with_markup_stay_text(tmp_path):
    explanation = image_explanation(class_names=[EVIL, 'b"c', "naïve 猫", "d"])
    page = explanation.to_html(tmp_path / "report.html", title=EVIL).read_text("utf-8")
    assert "<script>document" not in page
    assert "&lt;script&gt;document" in page
    assert "naïve 猫" in page


def test_the_sentences_are_made_from_the_figures():
    explanation = table_explanation().rename(latents=["size", "hue", "slant"])
    said = " ".join(sentences(explanation))
    assert f"{explanation.metrics['effective_latents']:.1f} latents" in said
    assert f"{explanation.metrics['agreement']:.1%} of the inputs are decided alike" in said
    assert ("Do not rely on this page" in said) == (explanation.metrics["agreement"] < 0.9)
    use = explanation.top(1)[0]
    assert f"{use.name} carries {use.share:.0%}" in said


def test_wrong_examples_come_first_and_classes_share_the_rest():
    explanation = image_explanation()
    chosen = chosen_examples(explanation, 6)
    assert len(set(chosen)) == 6
    bad = explanation.disagrees | (explanation.predicted != explanation.labels)
    assert int(bad[chosen].sum()) >= min(3, int(bad.sum()))
    assert chosen_examples(explanation, 100) == list(range(12))


def test_a_thousand_classes_a_table_and_a_regression_have_pages(tmp_path):
    many = image_explanation(classes=1000, batch=40).to_html(tmp_path / "many.html")
    assert many.stat().st_size < 3_000_000
    table = table_explanation(feature_names=[f"column {EVIL}{i}" for i in range(6)])
    assert "<script>document" not in table.to_html(tmp_path / "table.html").read_text("utf-8")
    regression = table_explanation(outputs=1).to_html(tmp_path / "regression.html")
    assert "What the output rests on" in regression.read_text("utf-8")
    binary = table_explanation(outputs=1, task="classification", class_names=["no", "yes"])
    assert "Class by class" in binary.to_html(tmp_path / "binary.html").read_text("utf-8")


def test_fifty_colour_images_and_ten_latents_stay_under_15_megabytes(tmp_path):
    explanation = image_explanation(size=64, channels=3, batch=50, latents=10)
    noise = write_report(explanation, tmp_path / "report.html", max_examples=50)
    assert noise.stat().st_size < 15_000_000


def test_a_loaded_explanation_has_a_page_without_sliders(tmp_path):
    image_explanation().save(tmp_path / "explanation.safetensors")
    loaded = Explanation.load(tmp_path / "explanation.safetensors")
    page = loaded.to_html(tmp_path / "report.html").read_text("utf-8")
    assert "loaded without code and predictor" in page
    assert 'type="range"' not in page


def test_nothing_is_left_behind_where_the_page_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        table_explanation().to_html(tmp_path / "file" / "report.html")
    with pytest.raises(ValueError, match="`max_examples`, `n_latents` and `max_pixels`"):
        table_explanation().to_html(tmp_path / "report.html", max_examples=0)
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    def refused(**_):
        raise PermissionError(13, "Permission denied")

    # Root may write anywhere, so that a folder's flags prove nothing in a container.
    monkeypatch.setattr("trimvae.files.tempfile.mkstemp", refused)
    with pytest.raises(PermissionError, match="`path` must be in a folder that can be written"):
        table_explanation().to_html(tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


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
    explanation = image_explanation(class_names=[EVIL, "b", "c", "d"])
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
