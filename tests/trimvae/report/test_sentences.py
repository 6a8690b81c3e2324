"""Sentences are made from the figures, and say no more than these."""

import torch

from attributions import Contrast
from tests.trimvae.explanation.made import by_hand, table_explanation
from trimvae.report.sentences import findings


def test_they_are_made_from_the_figures():
    said = findings(by_hand())
    assert said[0].startswith("Do not rely on this page: agreement is 0.75")
    assert said[1].startswith("4 decisions were explained through 3 latents")
    assert "rests on 1.8 latents (effective number); 2.0 carry 90 % of its evidence." in said[2]
    assert "z carries 42% of the evidence" in said[3]
    assert "By parts of the code, the evidence is in: first 29%, rest 71%." in said
    assert said[-1].startswith("Encoded and decoded again, 75.0% of the inputs are decided alike")


def test_a_faithful_code_is_not_warned_of():
    said = findings(by_hand(reencoded_outputs=by_hand().outputs))
    assert said[0].startswith("4 decisions were explained")
    assert "100.0% of the inputs are decided alike" in said[-1]


def test_directions_are_named_where_high_values_speak_for_one_class_and_against_another():
    latents = torch.ones(4, 3)
    slopes = torch.tensor([[5.0, 0.1, 1.0], [-5.0, 0.2, -1.0], [0.0, 0.3, 0.0]])
    usage = by_hand(latents=latents, attributions=slopes.expand(4, 3, 3).clone())
    text = " ".join(findings(usage))
    assert "x carries 80% of the evidence: high values speak for a, low values for b." in text
    # y speaks for every class, and for too little.
    assert "y carries" not in text


def test_a_contrast_and_a_regression_rise_or_fall():
    contrast = findings(table_explanation(explained=Contrast(0, 1), n_steps=8))
    assert any("the 0 rather than 1." in text for text in contrast)
    regression = table_explanation(outputs=1, n_steps=8)
    said = findings(regression)
    assert any(text.startswith("12 predictions were explained") for text in said)
    assert said[-1].endswith("of the variance of the outputs remains.")
    use = regression.top(1)[0]
    verb = "raise" if use.speaks_for[1] > 0 else "lower"
    assert any(f"{use.name} carries" in text and f"high values {verb}" in text for text in said)


def test_noise_is_no_part_of_the_evidence():
    blocks = [["cause", 0, 1, "real", None], ["noise", 1, 3, "noise", None]]
    (said,) = [text for text in findings(by_hand({"blocks": blocks})) if "By parts" in text]
    assert "cause" in said
    assert "noise" not in said
