"""Trust figures by hand, and the warnings exactly where their bounds are passed."""

import pytest
import torch

from attributions.measures import class_dependence, classes_per_latent, within_class_share
from tests.trimvae.explanation.made import by_hand
from trimvae.explanation.trust import LEAST_AGREEMENT, LEAST_LATENT_SHARE, MOST_CLASS_DEPENDENCE


def test_metrics_have_their_documented_names_in_order():
    assert list(by_hand().metrics) == [
        "agreement",
        "prediction_kl",
        "reconstruction_error",
        "completeness_error",
        "worst_completeness_error",
        "effective_latents",
        "effective_latents_over_data",
        "latents_for_90_percent",
        "latent_share",
        "monotonicity",
        "class_dependence",
        "class_told",
        "within_class_share",
        "classes_per_latent",
    ]
    assert "class_dependence_of_class_directions" in one_block().metrics
    assert "monotonicity" not in by_hand(total_variation=None).metrics


def test_metrics_are_those_that_one_computes_by_hand():
    weighed = by_hand()
    metrics = weighed.metrics
    assert metrics["agreement"] == 0.75
    assert metrics["reconstruction_error"] == 2.0
    assert metrics["completeness_error"] == pytest.approx(0, abs=1e-6)
    assert metrics["effective_latents_over_data"] == pytest.approx(19**2 / (25 + 36 + 64))
    assert metrics["effective_latents"] == pytest.approx((9 / 5 + 16 / 6 + 1 + 64 / 40) / 4)
    assert metrics["latents_for_90_percent"] == (2 + 3 + 1 + 2) / 4
    assert metrics["latent_share"] == pytest.approx(0.75)
    assert metrics["monotonicity"] == pytest.approx(0.5)
    chances, again = weighed.outputs.softmax(dim=1), weighed.reencoded_outputs.softmax(dim=1)
    kl = (chances * (chances / again).log()).sum(dim=1).mean()
    assert metrics["prediction_kl"] == pytest.approx(float(kl), rel=1e-5)


def one_block(**changes):
    """By hand, of a code that can be turned."""
    return by_hand({"blocks": [["latents", 0, 3, "real", None]]}, **changes)


def test_what_is_said_beyond_the_class_is_what_the_measures_say():
    weighed = one_block().select([0, 1, 2, 3, 3])
    scores, predicted = weighed.target_attributions, weighed.predicted
    metrics = weighed.metrics
    assert metrics["class_dependence"] == pytest.approx(float(class_dependence(scores, predicted)))
    share = within_class_share(scores, predicted)
    assert metrics["within_class_share"] == pytest.approx(float(share))
    # x takes part in a and c, y in a and b, z in a and c.
    assert classes_per_latent(scores, predicted).tolist() == [2, 2, 2]
    assert metrics["classes_per_latent"] == pytest.approx(2)


def test_a_regression_is_measured_by_r_squared_and_squared_error():
    outputs = torch.tensor([[0.0], [1.0], [2.0], [5.0]])
    again = outputs + torch.tensor([[1.0], [0.0], [0.0], [-1.0]])
    weighed = by_hand(
        {"task": "regression"},
        outputs=outputs,
        reencoded_outputs=again,
        attributions=torch.ones(4, 1, 3),
        total_variation=None,
        explained_at=torch.full((4, 1), 3.0),
        explained_at_baseline=torch.zeros(4, 1),
    )
    assert weighed.metrics["prediction_kl"] == pytest.approx(0.5)
    assert weighed.metrics["agreement"] == pytest.approx(1 - 2 / 14)


def test_completeness_compares_with_the_change_from_baseline_to_latents():
    """Of a change of 2 an attribution of 3 misses one half; the signs tell start from end."""
    attributions = torch.tensor([1.0, 2.0, 0.0]).expand(4, 3, 3).clone()
    start, end = torch.full((4, 3), 5.0), torch.full((4, 3), 7.0)
    forth = by_hand(attributions=attributions, explained_at=end, explained_at_baseline=start)
    assert forth.metrics["completeness_error"] == pytest.approx(0.5)
    back = by_hand(attributions=attributions, explained_at=start, explained_at_baseline=end)
    assert back.metrics["completeness_error"] == pytest.approx(2.5)


def faithful(**changes):
    """Evidence that nothing has to be said about."""
    held = {"reencoded_outputs": by_hand().outputs, "latent_share": torch.full((4,), 0.9)}
    return by_hand(changes.pop("settings", None), **{**held, **changes})


def test_nothing_is_said_where_nothing_has_to_be():
    assert faithful().warnings == ()


def test_disagreement_is_said_below_its_bound_and_not_above_it():
    (said,) = faithful(reencoded_outputs=by_hand().reencoded_outputs).warnings
    assert said.startswith("The re-encoded prediction disagrees for 25% of the examples")
    rows = [0] * 4 + [1] + [2] * 3 + [3] * 12  # the second row disagrees
    almost = by_hand(latent_share=torch.full((4,), 0.9)).select(rows)
    assert LEAST_AGREEMENT < almost.metrics["agreement"] == pytest.approx(0.95)
    assert almost.warnings == ()


def test_evidence_in_the_residual_is_said_below_its_bound():
    (said,) = faithful(latent_share=torch.full((4,), 0.4)).warnings
    assert said.startswith("60% of the evidence is in the residual")
    assert faithful(latent_share=torch.full((4,), LEAST_LATENT_SHARE)).warnings == ()


def test_an_example_without_attribution_is_said():
    dead = by_hand().attributions.clone()
    dead[2] = 0
    end = by_hand().explained_at_baseline + dead.sum(dim=2)
    (said,) = faithful(attributions=dead, explained_at=end).warnings
    assert said.startswith("Some examples have no attribution at all")


def test_incomplete_attributions_are_said_with_the_remedy_of_their_method():
    end = by_hand().explained_at_baseline + 1.1 * by_hand().attributions.sum(dim=2)
    (said,) = faithful(explained_at=end).warnings
    assert said == "Attributions miss the change of output by 9.1%: raise n_steps."
    (said,) = faithful(explained_at=end, settings={"method": "Saliency"}).warnings
    assert said.endswith("Saliency ranks latents here, its sizes are no shares.")
    (said,) = faithful(explained_at=by_hand().explained_at_baseline).warnings
    assert said.startswith("Something is attributed where the output does not change: raise n_st")
    slightly = by_hand().explained_at_baseline + 1.005 * by_hand().attributions.sum(dim=2)
    assert faithful(explained_at=slightly).warnings == ()


def test_a_transform_that_leaves_something_out_is_told_of_the_residual():
    transform = {"deviations": torch.zeros(4, 3)}
    (said,) = faithful(**transform).warnings
    # Squared error 2 beside a variance of 2 x 5.
    assert said.startswith("The code leaves out 20.0% of the inputs' variance")
    assert faithful(**transform, settings={"residual": True}).warnings == ()
    assert faithful(**transform, reconstructions=by_hand().inputs).warnings == ()


def of_classes(strongest, predicted, classes=3, latents=3, **changes):
    """Explanations in which one latent does it all, as many as there are numbers."""
    rows = torch.arange(len(predicted))
    outputs = 5 * torch.nn.functional.one_hot(predicted, classes).float()
    attributions = torch.zeros(len(rows), classes, latents)
    attributions[rows, predicted, strongest] = 2.0
    return faithful(
        inputs=torch.zeros(len(rows), 2),
        reconstructions=torch.zeros(len(rows), 2),
        latents=torch.ones(len(rows), latents),
        baselines=torch.zeros(1, latents),
        deviations=torch.ones(len(rows), latents),
        outputs=outputs,
        reencoded_outputs=outputs,
        attributions=attributions,
        total_variation=attributions,
        explained_at=attributions.sum(dim=2),
        explained_at_baseline=torch.zeros(len(rows), classes),
        latent_share=torch.ones(len(rows)),
        class_names=tuple(f"c{index}" for index in range(classes)),
        latent_names=tuple(f"z{index}" for index in range(latents)),
        **changes,
    )


def test_axes_that_stand_for_classes_are_said_with_what_it_means():
    predicted = torch.arange(60) % 3
    (said,) = of_classes(predicted, predicted).warnings
    assert said.startswith("The class all but tells the strongest latent (class dependence 1.00): ")
    assert "each class has an axis of its own, so that the explanation says little more" in said


@pytest.mark.parametrize(("unlike", "warned"), [(4, True), (8, False)])
def test_it_is_said_above_its_bound_and_not_below(unlike, warned):
    """The strongest latent is another one than that of its class for some examples."""
    predicted = torch.arange(60) % 3
    strongest = predicted.clone()
    strongest[:unlike] = (strongest[:unlike] + 1) % 3
    weighed = of_classes(strongest, predicted)
    assert (weighed.metrics["class_dependence"] > MOST_CLASS_DEPENDENCE) == warned
    assert weighed.judges_classes
    assert bool(weighed.warnings) == warned


def test_axes_with_a_class_at_each_end_are_no_tautology():
    predicted = torch.arange(160) % 4
    weighed = of_classes(predicted // 2, predicted, 4, 4)
    assert weighed.judges_classes
    assert weighed.metrics["class_dependence"] > MOST_CLASS_DEPENDENCE
    assert weighed.metrics["class_told"] == pytest.approx(0.5)
    assert weighed.warnings == ()


def test_few_classes_few_examples_and_one_latent_for_all_are_not_judged():
    for count, classes in ((49, 3), (60, 2), (79, 4)):
        predicted = torch.arange(count) % classes
        few = of_classes(predicted, predicted, max(classes, 3), 4)
        assert few.metrics["class_dependence"] == pytest.approx(1)
        assert not few.judges_classes
        assert few.warnings == ()
    predicted = torch.arange(60) % 3
    one = of_classes(torch.zeros_like(predicted), predicted)
    assert (one.judges_classes, one.metrics["effective_latents_over_data"]) == (False, 1)
    regression = faithful(settings={"contrast": [0, 1]}, attributions=torch.ones(4, 1, 3))
    assert not regression.judges_classes


def test_a_regression_speaks_of_variance():
    outputs = torch.tensor([[0.0], [1.0], [2.0], [5.0]])
    said = faithful(
        settings={"task": "regression"},
        outputs=outputs,
        reencoded_outputs=outputs.flip(0),
        attributions=torch.ones(4, 1, 3),
        total_variation=None,
        explained_at=torch.full((4, 1), 3.0),
        explained_at_baseline=torch.zeros(4, 1),
    ).warnings
    assert any("of the variance of the outputs survives" in text for text in said)


def test_the_summary_holds_every_figure_the_most_used_latents_and_the_warnings():
    weighed = by_hand()
    text = weighed.summary()
    assert text.startswith("4 examples, 3 latents\n  agreement                    0.75\n")
    assert all(name in text for name in weighed.metrics)
    where = "in 2 of 3 classes"
    assert f"most used latents: z (42%, {where}), y (32%, {where}), x (26%, {where})" in text
    assert f"warning: {weighed.warnings[0]}" in text


@pytest.mark.parametrize(("found_in", "share"), [([2, 1, 1], 26), ([1, 1, 2], 42)])
def test_codes_that_disagree_are_warned_of_with_what_they_have_in_common(found_in, share):
    """Shares are 5, 6 and 8 of 19."""
    weighed = faithful(settings={"recurrence": {"found_in": found_in, "codes": 3}})
    (said,) = weighed.warnings
    assert said.startswith("The codes disagree: the latents that recur in at least 2 of 3 codes ")
    assert f"carry {share}% of the evidence, so that another training would explain " in said


def test_codes_that_agree_on_half_of_the_evidence_are_not_warned_of():
    for found_in in ([2, 2, 1], [1, 2, 2]):
        marked = {"recurrence": {"found_in": found_in, "codes": 3}}
        assert faithful(settings=marked).warnings == ()
    nothing = faithful(
        settings={"recurrence": {"found_in": [1, 1, 1], "codes": 3}},
        attributions=torch.zeros(4, 3, 3),
    )
    assert not any("codes disagree" in text for text in nothing.warnings)


def test_the_summary_says_where_the_most_used_latents_are_found():
    text = by_hand({"recurrence": {"found_in": [1, 2, 3], "codes": 3}}).summary()
    assert "z (42%, in 2 of 3 classes, found again in 3 of 3 codes), y (32%, in 2 of 3 " in text
    assert "x (26%, in 2 of 3 classes, found in no other of 3 codes)" in text


def test_a_small_part_that_is_used_is_said_by_the_latents_own_name():
    names, drawn = ["coarse shape", "fine texture"], [0.96, 0.04]
    small, large = [2, names, drawn, [0.02, 0.98]], [0, names, drawn, [0.9, 0.1]]
    (said,) = faithful(settings={"bundles": [small, large]}).warnings
    assert said.startswith("z draws coarse shape (96%) and fine texture (4%); the predictor")
    assert "responds to its fine texture (98%), which is 4% of what it draws." in said
    assert faithful(settings={"bundles": [large]}).warnings == ()


@pytest.mark.parametrize("sign", [-1e-3, -2.0])
def test_a_variance_that_does_not_survive_is_no_negative_share(sign):
    outputs = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    lost = outputs.mean() + sign * (outputs - outputs.mean())
    regression = by_hand(
        {"task": "regression"},
        outputs=outputs,
        reencoded_outputs=lost,
        attributions=torch.ones(4, 1, 3),
        class_names=("price",),
    )
    assert regression.metrics["agreement"] < 0
    assert any(text.startswith("Only 0% of the variance") for text in regression.warnings)
    assert regression.doubt == "0% of the output's variance survive re-encoding"
