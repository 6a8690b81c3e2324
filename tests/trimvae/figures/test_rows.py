import pytest
import torch
from matplotlib.text import Text

from attributions.methods import exact_shapley
from tests.trimvae.tables.mixed import mixed_frame, pipeline
from trimvae import VAE, explain
from trimvae.figures.rows import amount, cells, in_units, number, spans, table_of


@pytest.fixture(scope="module")
def frame():
    return mixed_frame()


@pytest.fixture(scope="module")
def explanation(frame):
    torch.manual_seed(0)
    vae = VAE.table(frame, latent_size=3, hidden=(16,))
    return explain(vae, pipeline(frame), frame[:5], method=exact_shapley)


@pytest.fixture(scope="module")
def of_tensors():
    torch.manual_seed(0)
    return explain(VAE.dense((3,), 2), torch.nn.Linear(3, 2), torch.randn(4, 3))


def test_rows_are_in_their_own_units(frame, explanation):
    shown = in_units(explanation, explanation.inputs)
    torch.testing.assert_close(shown[:, 0], torch.tensor(frame["age"][:5].to_numpy()).float())
    assert torch.equal(shown[:, 3:], explanation.inputs[:, 3:])


def test_an_input_is_shown_with_its_own_words(frame, explanation):
    shown = dict(cells(explanation, explanation.inputs[0]))
    assert list(shown) == list(frame)
    assert shown["age"] == str(frame["age"][0])
    assert shown["town"] == frame["town"][0]
    assert shown["owner"] == str(frame["owner"][0])
    assert float(shown["income"].replace(" ", "")) == float(f"{frame.at[0, 'income']:.4g}")


def test_what_is_missing_says_so(frame, explanation):
    schema = table_of(explanation)
    gone = schema.encode(frame[frame["income"].isna() & frame["job"].isna()])[0]
    shown = dict(cells(explanation, gone))
    assert shown["income"] == shown["job"] == "missing"


def test_a_decoder_that_is_not_sure_says_how_sure_it_is(explanation):
    row = explanation.inputs[0].clone()
    row[9:] = torch.tensor([0.4, 0.6])
    assert dict(cells(explanation, row))["town"] == "north (60%)"


def test_amounts_are_whole_where_the_column_is_and_percent_of_categories(explanation):
    assert amount(explanation, 0, torch.tensor(41.7)) == "42"
    assert amount(explanation, 1, torch.tensor(28098.9)) == "28 100"
    assert amount(explanation, 10, torch.tensor(0.237)) == "24%"
    moved = explanation.inputs[:2]
    assert spans(explanation, moved, [0])[0].split(" to ")[0] == cells(explanation, moved[0])[0][1]


def test_tensors_of_no_table_are_shown_as_they_are(of_tensors):
    assert table_of(of_tensors) is None
    assert torch.equal(in_units(of_tensors, of_tensors.inputs), of_tensors.inputs)
    row = torch.tensor([0.126, -0.001, 3.0])
    assert cells(of_tensors, row) == [("x0", "0.13"), ("x1", "0.00"), ("x2", "3.00")]
    assert spans(of_tensors, of_tensors.inputs, [0, 1]) == ["", ""]


def test_numbers_of_any_size_have_four_digits():
    assert [number(value) for value in (1234567.0, 12.3456, 1e-7, -0.0)] == [
        "1 235 000",
        "12.35",
        "1e-07",
        "0",
    ]


def texts_of(figure):
    return [part.get_text() for part in figure.findobj(Text)]


def test_figures_and_report_speak_in_units_and_categories(frame, explanation, tmp_path):
    texts = texts_of(explanation.plot_traversals(0))
    assert any(" to " in text and "%" in text for text in texts)
    texts = texts_of(explanation.plot_counterfactual(0))
    assert any(" to " in text for text in texts)
    explanation.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    age, income = cells(explanation, explanation.inputs[0])[:2]
    assert age[1] in page
    assert income[1] in page
    assert "town = north" in page
