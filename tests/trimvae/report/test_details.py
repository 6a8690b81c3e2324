"""Every figure in a sentence, which says no more than the figure."""

import torch

from tests.trimvae.explanation.made import by_hand, table_explanation
from trimvae.report.details import findings


def test_they_are_made_from_the_figures():
    said = findings(by_hand())
    assert said[0] == "4 decisions were explained through 3 latents."
    assert "rests on 1.8 latents (effective number); 2.0 carry 90 % of its evidence." in said[1]
    assert said[1].endswith("All together they use 2.9 latents.")
    assert "z carries 42% of the evidence and takes part in 2 of 3 classes." in said
    assert "By parts of the code, the evidence is in: first 29%, rest 71%." in said
    assert said[-1].startswith("Encoded and decoded again, 75.0% of the inputs are decided alike")


def test_a_code_is_not_said_to_be_learned():
    """A renderer's latents are known, and learned from nothing."""
    assert "learned" not in " ".join(findings(by_hand()))


def test_a_latent_of_little_evidence_is_not_mentioned():
    attributions = torch.tensor([[5.0, 0.1, 1.0]]).expand(4, 3, 3).clone()
    said = " ".join(findings(by_hand(latents=torch.ones(4, 3), attributions=attributions)))
    assert "x carries 82%" in said
    assert "y carries" not in said


def test_a_regression_has_predictions_and_variance():
    said = findings(table_explanation(outputs=1, n_steps=8))
    assert said[0] == "12 predictions were explained through 3 latents."
    assert said[-1].endswith("of the variance of the outputs remains.")


def test_what_is_said_beyond_the_class_is_told_where_it_can_be_judged():
    assert not any("class alone tells" in text for text in findings(by_hand()))
    rows = [0, 1, 2, 3] * 20
    (said,) = [text for text in findings(by_hand().select(rows)) if "class alone tells" in text]
    # Strongest are x and z in a, y in b, z in c: 1 bit of 1.5 and 1.5. Within a lie 4.5 of 46.75.
    assert said.startswith("How far the class alone tells which latent is strongest: 0.67 (0 not")
    assert ". 10% of the variance of what is said lies within classes" in said
    block = {"blocks": [["latents", 0, 3, "real", None]]}
    (said,) = [text for text in findings(by_hand(block).select(rows)) if "class alone" in text]
    figure = by_hand(block).select(rows).metrics["class_dependence_of_class_directions"]
    assert f"1 fully, {figure:.2f} along the directions of the classes)" in said


def test_noise_is_no_part_of_the_evidence():
    blocks = [["cause", 0, 1, "real", None], ["noise", 1, 3, "noise", None]]
    (said,) = [text for text in findings(by_hand({"blocks": blocks})) if "By parts" in text]
    assert "cause" in said
    assert "noise" not in said


def test_where_latents_recur_is_told_of_each_and_of_all():
    said = findings(by_hand({"recurrence": {"found_in": [2, 1, 3], "codes": 3}}))
    assert any(text.endswith("It is found again in 3 of 3 codes.") for text in said)
    assert any(text.endswith("It is found in no other of 3 codes.") for text in said)
    assert (
        "3 codes were compared. The latents that recur in 2 of them or more carry 68% of the "
        "evidence: x, z." in said
    )
    assert not any("codes" in text for text in findings(by_hand()))


def test_codes_that_have_nothing_in_common_are_told():
    said = findings(by_hand({"recurrence": {"found_in": [1, 2, 1], "codes": 5}}))
    assert (
        "5 codes were compared. None of these latents is found in 3 of them or more: each code "
        "explains otherwise." in said
    )


def test_what_latents_draw_and_what_of_it_is_used_is_told_in_bands_and_where_it_is_little():
    bands, colours = ["coarse shape", "fine texture"], ["red", "green", "blue"]
    bundles = [
        [2, bands, [0.9, 0.1], [0.8, 0.2]],
        [2, colours, [0.4, 0.3, 0.3], [0.4, 0.3, 0.3]],
        [0, bands, [0.9, 0.1], [0.9, 0.1]],
        [0, colours, [0.5, 0.45, 0.05], [0.0, 0.0, 1.0]],
    ]
    said = findings(by_hand({"bundles": bundles}))
    parts = [text for text in said if " draws " in text]
    assert [text.partition(" draws ")[0] for text in parts] == ["z", "x", "x"]
    assert "responds to its coarse shape (80%) and fine texture (20%)." in parts[0]
    assert parts[2].endswith("responds to its blue (100%), which is 5% of what it draws.")
    assert not any(" draws " in text for text in findings(by_hand()))


def test_one_decision_is_counted_as_one():
    said = findings(by_hand().select([0]))
    assert said[0] == "1 decision was explained through 3 latents."
