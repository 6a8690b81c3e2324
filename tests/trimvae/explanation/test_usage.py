"""Which latents are used, by which class, and in which direction."""

import pytest
import torch

from tests.trimvae.explanation.made import by_hand


def test_shares_are_those_of_the_absolute_attributions_to_predicted_classes():
    torch.testing.assert_close(by_hand().shares, torch.tensor([1.25, 1.5, 2.0]) / 4.75)


def test_effective_latents_are_the_participation_ratio_of_the_target():
    expected = torch.tensor([9 / 5, 16 / 6, 1.0, 64 / 40])
    torch.testing.assert_close(by_hand().effective_latents, expected)


def test_latents_that_serve_all_examples_are_counted_by_their_shares():
    expected = 4.75**2 / (1.25**2 + 1.5**2 + 2**2)
    assert by_hand().effective_latents_over_data.item() == pytest.approx(expected)
    own = torch.eye(3).unsqueeze(1).expand(3, 3, 3).clone()
    one_each = by_hand().select([0, 2, 3])
    one_each = by_hand(**{**one_each.tensors(), "attributions": own})
    assert one_each.effective_latents.tolist() == [1, 1, 1]
    assert one_each.effective_latents_over_data.item() == pytest.approx(3)


def test_a_latent_takes_part_in_the_classes_of_whose_evidence_it_has_a_tenth():
    usage = by_hand()
    assert usage.classes_predicted == 3
    assert usage.classes_per_latent.tolist() == [2, 2, 2]
    assert [use.classes for use in usage.top()] == [2, 2, 2]
    assert usage.select([2, 3]).classes_per_latent.tolist() == [1, 1, 1]
    assert usage.select([0, 1]).classes_per_latent is None
    assert usage.select([0, 1]).top(1)[0].classes is None


def test_a_regression_and_a_contrast_tell_no_classes():
    for settings in ({"task": "regression"}, {"contrast": [0, 1]}):
        usage = by_hand(settings, attributions=torch.ones(4, 1, 3))
        assert usage.classes_predicted == 0
        assert usage.classes_per_latent is None


@pytest.mark.parametrize("per_example", [False, True])
def test_mean_gradients_times_the_way_are_the_attributions(per_example):
    latents = torch.randn(30, 3) + 5
    latents[4, 1] = 0
    baselines = torch.randn(30, 3) if per_example else torch.zeros(1, 3)
    baselines[:, 1] = 0
    gradients = torch.randn(30, 4, 3)
    moved = (latents - baselines).unsqueeze(1)
    held = {"latents": latents, "baselines": baselines, "attributions": gradients * moved}
    found = by_hand({"baselines_per_example": per_example}, **held).mean_gradients
    gradients[4, :, 1] = 0  # unknown where nothing moves
    torch.testing.assert_close(found, gradients)
    assert by_hand(total_variation=None).mean_gradients is None


def test_rows_of_the_heatmap_are_means_over_each_predicted_class():
    attributions, effective = by_hand().by_predicted_class
    assert attributions.tolist() == [[1.5, 0.0, 1.0], [0.0, 4.0, 0.0], [-2.0, 0.0, 6.0]]
    torch.testing.assert_close(effective, torch.tensor([(9 / 5 + 16 / 6) / 2, 1.0, 1.6]))
    assert by_hand().agreement_by_class.tolist() == [0.5, 1.0, 1.0]


def test_a_class_that_is_never_predicted_has_a_row_of_nan():
    few = by_hand().select([2, 3])
    attributions, effective = few.by_predicted_class
    assert attributions[0].isnan().all()
    assert effective[0].isnan()
    assert few.agreement_by_class[0].isnan()
    assert attributions[1].tolist() == [0.0, 4.0, 0.0]


def test_a_regression_has_one_row_and_no_agreement_of_classes():
    regression = by_hand({"task": "regression"}, attributions=torch.ones(4, 1, 3))
    attributions, effective = regression.by_predicted_class
    assert attributions.shape == (1, 3)
    assert effective.shape == (1,)
    assert regression.agreement_by_class is None


@pytest.mark.parametrize("per_example", [False, True])
def test_slopes_are_per_unit_above_the_baseline(per_example):
    """Attributions that are slopes times the way from the baseline give these slopes back."""
    latents = torch.randn(30, 3) + 5
    baselines = torch.randn(30, 3) if per_example else torch.tensor([[3.0, -1.0, 0.5]])
    slopes = torch.randn(4, 3)
    found = by_hand(
        {"baselines_per_example": per_example},
        latents=latents,
        baselines=baselines,
        attributions=slopes * (latents - baselines).unsqueeze(1),
    ).slopes
    torch.testing.assert_close(found, slopes)


def test_slopes_of_a_distribution_of_baselines_are_from_its_mean():
    latents, baselines = torch.randn(30, 3) + 2, torch.randn(7, 3)
    slopes = torch.randn(4, 3)
    moved = (latents - baselines.mean(dim=0)).unsqueeze(1)
    found = by_hand(latents=latents, baselines=baselines, attributions=slopes * moved).slopes
    torch.testing.assert_close(found, slopes)


def test_a_latent_that_stays_at_its_baseline_has_slope_0():
    latents = torch.zeros(4, 3)
    assert (
        by_hand(latents=latents, attributions=torch.zeros(4, 3, 3)).slopes.tolist()
        == [[0.0] * 3] * 3
    )


def test_blocks_add_up_their_latents():
    usage = by_hand()
    assert usage.by_block.shape == (4, 3, 2)
    assert usage.of_target(usage.by_block).tolist() == [[2, 1], [1, 1], [0, 4], [-2, 6]]
    torch.testing.assert_close(usage.block_shares, torch.tensor([5 / 17, 12 / 17]))
    assert [block.name for block in usage.blocks] == ["first", "rest"]


def test_the_most_used_latents_come_first_and_say_for_whom_they_speak():
    latents = torch.tensor([[1.0, 1.0, 1.0]] * 4)
    slopes = torch.tensor([[0.0, 5.0, 1.0], [0.0, -5.0, -1.0], [0.0, 2.0, 0.5]])
    usage = by_hand(latents=latents, attributions=slopes.expand(4, 3, 3).clone())
    first, second = usage.top(2)
    assert (first.latent, first.name, second.latent) == (1, "y", 2)
    assert first.share > second.share > 0
    assert first.speaks_for == ("a", pytest.approx(5.0))
    assert first.speaks_against == ("b", pytest.approx(-5.0))
    assert len(usage.top(10)) == 3
    with pytest.raises(ValueError, match="`k` must be at least 1. Got 0"):
        usage.top(0)


def test_the_strongest_latents_of_an_example_go_by_absolute_attribution():
    usage = by_hand()
    assert usage.strongest(0, 3) == [0, 1, 2]
    assert usage.strongest(3, 2) == [2, 0]


def test_each_latent_says_in_how_many_codes_it_is_found():
    marked = by_hand({"recurrence": {"found_in": [3, 1, 2], "codes": 3}})
    said = {use.name: use.recurrence for use in marked.top(3)}
    assert said == {
        "x": "found again in 3 of 3 codes",
        "y": "found in no other of 3 codes",
        "z": "found again in 2 of 3 codes",
    }
    assert [use.recurrence for use in by_hand().top(3)] == [None] * 3
