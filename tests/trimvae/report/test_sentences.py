"""The overview and the headline: plain sentences that say no more than the figures."""

import pytest
import torch

from attributions import Contrast
from tests.trimvae.explanation.made import Identity, by_hand, linear, table_explanation
from trimvae import explain
from trimvae.report.sentences import answers, headline


def faithful(settings=None, **changes):
    """The same whose decisions all survive."""
    return by_hand(settings, reencoded_outputs=by_hand().outputs, **changes)


def of_two_classes(weight=3.0, batch=60, **options):
    """The first latent decides between up and down; all that is decided is drawn."""
    inputs = torch.randn(batch, 3, generator=torch.Generator().manual_seed(0))
    predictor = linear([weight, 0.0, 0.1], [-weight, 0.0, 0.0])
    names = ["up", "down"]
    return explain(Identity(), predictor, inputs, class_names=names, n_steps=2, **options)


def test_the_headline_says_what_decides_in_which_direction_and_how_sure():
    said = headline(of_two_classes())
    assert said[:2] == [
        "The classifier tells up from down by one factor (z0), which carries 98 % of the evidence.",
        "More of z0 speaks for up, less of it for down.",
    ]
    assert said[2].startswith(
        "Shown only what the factors draw, the classifier decides 100 % of the inputs as before "
        "(60 of 60)."
    )
    assert len(said) == 3


def test_the_direction_turns_with_the_predictor():
    assert headline(of_two_classes(-3.0))[1] == "More of z0 speaks for down, less of it for up."


def test_two_factors_that_carry_two_thirds_together_are_both_named():
    said = headline(faithful())
    assert said[0] == (
        "The classifier tells three classes apart by two factors (z and y), which carry 74 % of "
        "the evidence."
    )
    assert said[1] == "More of z speaks most for a, less of it for c."


def all_alike(size):
    """Every latent is used as much as every other."""
    spread = torch.ones(4, 3, size)
    return faithful(
        {"blocks": [["latents", 0, size, "real", None]]},
        attributions=spread,
        total_variation=2 * spread,
        latents=torch.ones(4, size),
        deviations=torch.full((4, size), 0.5),
        baselines=torch.zeros(1, size),
        latent_names=tuple(f"z{index}" for index in range(size)),
    )


def test_where_no_few_factors_decide_none_is_named():
    assert headline(all_alike(8))[0] == (
        "The classifier tells three classes apart by no few factors: it takes six of 8 to carry "
        "two thirds of the evidence."
    )
    said = answers(all_alike(40))[0].sentences
    assert said[1] == "No factor carries 5 % of it."
    assert "carries 3 %" not in " ".join(said)


def test_where_nothing_is_used_nothing_more_is_said():
    (said,) = headline(faithful(attributions=torch.zeros(4, 3, 3)))
    assert said == "None of the 3 factors changes what the classifier says."
    questions = [answer.question for answer in answers(faithful(attributions=torch.zeros(4, 3, 3)))]
    assert questions == ["What decides", "How sure it is", "What it does not see"]


def test_an_explanation_out_of_its_bounds_is_called_none():
    lost = by_hand().outputs.roll(1, dims=1)
    (said,) = headline(by_hand(reencoded_outputs=lost))
    assert said == (
        "The factors do not explain the classifier: shown only what they draw, it decides 100 % of "
        "the inputs otherwise."
    )
    first = answers(by_hand(reencoded_outputs=lost))[0]
    assert first == ("Do not rely on this page", [said])
    assert answers(faithful())[0].question == "What decides"


def test_a_second_explanation_says_whether_the_factor_is_found_again():
    one = of_two_classes()
    assert (
        headline(one, one.compare(of_two_classes(-3.0)))[2]
        .split(". ", 1)[1]
        .startswith("A second explanation finds the same factor again (correlation 1.00).")
    )
    found = one.compare(one)
    lost = found._replace(latent_correlation=torch.tensor([0.4, 1.0, 1.0]))
    assert (
        "does not find z0 again: another training may explain otherwise."
        in (headline(one, lost)[2])
    )


def test_a_comparison_of_another_explanation_is_refused():
    one = of_two_classes()
    other = of_two_classes(latent_names=["a", "b", "c"])
    with pytest.raises(ValueError, match="`comparison` must be of this explanation"):
        headline(one, other.compare(one))


def test_what_a_consensus_found_is_told_of_the_factors_that_decide():
    found = headline(faithful({"recurrence": {"found_in": [1, 2, 2], "codes": 2}}))[2]
    assert "A second code, trained apart, finds both factors again." in found
    lost = headline(faithful({"recurrence": {"found_in": [2, 1, 2], "codes": 2}}))[2]
    assert "A second code, trained apart, does not find y again" in lost
    several = headline(faithful({"recurrence": {"found_in": [1, 4, 3], "codes": 5}}))[2]
    assert "A search in 5 codes, trained apart, finds both factors again in at least 3." in several


def test_factors_that_act_together_have_no_direction_of_their_own():
    together = faithful({"redrawn": {"direction": [0.1, None]}})
    assert headline(together)[1] == (
        "More of z speaks for a class in some examples and against it in others: it acts together "
        "with other factors."
    )
    alone = {
        answer.question: answer.sentences
        for answer in answers(faithful({"redrawn": {"direction": [0.9, None]}}))
    }
    assert alone["In which direction"][-1].endswith("0.90, where 1 is always.")


def test_the_overview_answers_four_questions_in_order():
    found = answers(faithful())
    assert [answer.question for answer in found] == [
        "What decides",
        "In which direction",
        "How sure it is",
        "What it does not see",
    ]
    assert found[0].sentences[1:] == [
        "z carries 42 %, y carries 32 % and x carries 26 %.",
        "A single decision rests on about two factors.",
    ]
    assert found[1].sentences[1] == "More of y speaks more for b than for c."


def test_a_contrast_a_regression_and_a_binary_logit_have_directions():
    contrast = of_two_classes(explained=Contrast(1, 0))
    assert headline(contrast)[0].startswith("The classifier says down rather than up by one factor")
    assert headline(contrast)[1] == "Less of z0 speaks for down rather than up."
    inputs = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    price = explain(Identity(), linear([-2.0, 0.0, 0.1]), inputs, class_names=["price"], n_steps=2)
    assert headline(price)[:2] == [
        "The model predicts the price by one factor (z0), which carries 94 % of the evidence.",
        "More of z0 lowers the price.",
    ]
    binary = explain(
        Identity(),
        linear([2.0, 0.0, 0.1]),
        inputs,
        task="classification",
        class_names=["no", "yes"],
        n_steps=2,
    )
    assert headline(binary)[1] == "More of z0 speaks for yes, less of it for no."


def test_a_table_of_learned_latents_has_sentences():
    for answer in answers(table_explanation(n_steps=4)):
        assert answer.sentences
        assert all(sentence.endswith(".") for sentence in answer.sentences)
