"""How sure it is, in words: survival, mixed inputs, checks, and what no factor draws."""

import re

import pytest
import torch

from tests.trimvae.explanation.made import by_hand, table_explanation
from trimvae import VAE, explain
from trimvae.report.sureness import doubted, how_sure, not_seen, survival, warned


def test_survival_counts_decisions_or_tells_the_variance_that_remains():
    assert survival(by_hand()) == (
        "Shown only what the factors draw, the classifier decides 75 % of the inputs as before "
        "(3 of 4)."
    )
    regression = table_explanation(outputs=1, n_steps=4)
    assert survival(regression).startswith("Shown only what the factors draw, the model's")


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("hybrid at 0.2", "the coarse shape of one with the detail of another"),
        ("exchange of 50% of the columns", "exchange of 50% of the columns"),
    ],
)
def test_real_inputs_that_were_mixed_are_told_of_where_enough_decisions_changed(kind, told):
    few, many = ([kind, True, 0.6, 0.1, 0.2, changed, 60] for changed in (5, 30))
    assert not any("mixed" in text for text in how_sure(by_hand({"cues": [few]}), []))
    (said,) = [text for text in how_sure(by_hand({"cues": [few, many]}), []) if "mixed" in text]
    assert said == (
        f"Real inputs were mixed in pairs ({told}), which changed 30 of 60 decisions. Redrawn by "
        "the factors, 60 % of these change alike and 10 % do not change."
    )


def test_checks_that_fail_are_named_and_warnings_counted():
    said = how_sure(by_hand(), [])
    assert "It passes 2 of the 4 checks below, but not agreement and monotonicity." in said
    assert said[-1] == "One warning says what to doubt."
    assert warned(3) == "Three warnings say what to doubt."
    sure = by_hand(
        reencoded_outputs=by_hand().outputs, total_variation=by_hand().attributions.abs()
    )
    assert how_sure(sure, [])[-1] == "It passes all 4 checks below."


def test_what_no_factor_draws_is_said_in_shares_and_counts():
    said = not_seen(by_hand({"redrawn": {"drawn_variance": [0.73, None]}}))
    assert said == [
        "25 % of what moves the classifier comes from details that no factor draws, and is not "
        "explained.",
        "The factors draw 73 % of what differs between the inputs; of the rest this page says "
        "nothing.",
        "One input is decided otherwise when redrawn: what is said of it is said of the redrawn "
        "input.",
        "What always goes together in these inputs cannot be told apart.",
    ]
    added_back = by_hand({"redrawn": {"drawn_variance": [0.73, None]}, "residual": True})
    assert not any("73 %" in text for text in not_seen(added_back))
    whole = by_hand(reencoded_outputs=by_hand().outputs, latent_share=torch.ones(4))
    assert len(not_seen(whole)) == 1


def test_evidence_outside_of_the_latents_is_why_it_is_no_explanation():
    assert doubted(by_hand(latent_share=torch.full((4,), 0.2))) == (
        "The factors do not explain the classifier: 80 % of what moves it is in none of them."
    )


@pytest.mark.parametrize("outputs", [1, 3])
def test_of_a_predictor_that_says_the_same_everywhere_no_share_is_said(tmp_path, outputs):
    inputs, names = torch.randn(24, 3), [f"name {i}" for i in range(outputs)]
    explanation = explain(
        VAE.dense((3,), 2), lambda x: 0 * x[:, :outputs] + 1, inputs, class_names=names
    )
    assert explanation.doubt == "nothing changes what the predictor says"
    assert doubted(explanation) == f"There is nothing to explain: {explanation.doubt}."
    assert any(text.startswith("The predictor says the same") for text in explanation.warnings)
    assert not any("% of the evidence" in text for text in explanation.warnings)
    page = explanation.to_html(tmp_path / "page.html").read_text()
    shown = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|inf)\b|100 % of what moves", shown)
