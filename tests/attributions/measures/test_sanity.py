import pytest
import torch
from torch import nn

from attributions.measures.sanity import rank_correlation, reinitialised, sanity_check
from tests.cases import (
    convolutional_predictor,
)


def test_rank_correlation_is_scipys_also_with_ties():
    from scipy.stats import spearmanr

    left = torch.randn(8, dtype=torch.float64)
    right = torch.tensor([0.0, 0, 0, 1, 1, 2, 0, 3], dtype=torch.float64)
    expected = spearmanr(left.numpy(), right.numpy()).statistic
    assert rank_correlation(left, right).item() == pytest.approx(expected)
    assert rank_correlation(left, torch.ones(8)).isnan()


def test_a_reinitialised_predictor_forgets_and_leaves_the_original_alone():
    predictor = convolutional_predictor().eval()
    state = {name: value.clone() for name, value in predictor.state_dict().items()}
    rng = torch.get_rng_state()

    def seeded():
        return torch.Generator().manual_seed(1)

    twin = reinitialised(predictor, generator=seeded())
    assert torch.equal(rng, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in predictor.state_dict().items())
    assert not torch.equal(twin[0].weight, predictor[0].weight)
    assert not twin.training
    torch.testing.assert_close(
        twin[0].weight, reinitialised(predictor, generator=seeded())[0].weight
    )

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with pytest.raises(ValueError, match=r"none resets: \['scale'\]"):
        reinitialised(Own())


def test_rank_correlation_sees_order_alone_and_every_row_for_itself():
    left = torch.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    right = torch.tensor([[1.0, 10.0, 100.0, 1000.0]] * 2)
    assert rank_correlation(left, right).tolist() == [1.0, -1.0]


def test_statistics_of_normalisation_start_anew_and_modes_are_kept():
    predictor = convolutional_predictor().train()
    predictor(torch.rand(4, 1, 28, 28))
    twin = reinitialised(predictor)
    assert not twin[1].running_mean.any()
    assert predictor[1].running_mean.any()
    assert twin.training
    assert all(parameter.requires_grad for parameter in twin.parameters())


def test_new_weights_follow_the_generator():
    predictor = nn.Linear(6, 3)

    def weight(seed):
        return reinitialised(predictor, generator=torch.Generator().manual_seed(seed)).weight

    assert torch.equal(weight(1), weight(1))
    assert not torch.equal(weight(1), weight(2))
    assert torch.equal(reinitialised(predictor).weight, reinitialised(predictor).weight)


def drawn(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_random_predictors_match_nobody_and_correlate_with_nothing():
    found = sanity_check(drawn((60, 8), 0), drawn((30, 60, 8), 1))
    assert abs(found.correlation) < 0.1
    assert found.interval.low < 0 < found.interval.high
    assert found.matching == pytest.approx(0.5, abs=0.05)


def test_a_figure_that_shows_the_latents_matches_whatever_the_predictor():
    """Each example's own profile, and a little noise by each predictor."""
    own = drawn((40, 8), 2)
    found = sanity_check(own, own + 0.3 * drawn((20, 40, 8), 3))
    assert found.correlation > 0.8
    assert found.matching > 0.95
    assert found.matching_interval.low > 0.9


def test_signs_count_and_ties_count_half():
    own = drawn((10, 6), 4)
    assert sanity_check(own, -own.expand(5, 10, 6)).correlation == pytest.approx(-1)
    same = own[:1].expand(10, 6)
    assert sanity_check(same, same.expand(3, 10, 6)).matching == 0.5


def test_a_single_draw_has_no_interval():
    found = sanity_check(drawn((10, 6), 5), drawn((1, 10, 6), 6))
    assert (found.deviation, found.interval, found.matching_interval) == (None, None, None)


def test_draws_of_other_examples_are_refused():
    with pytest.raises(ValueError, match="`randomised` must have shape"):
        sanity_check(drawn((10, 6), 0), drawn((3, 9, 6), 1))
    with pytest.raises(ValueError, match="`randomised` must have shape"):
        sanity_check(drawn((10, 6), 0), drawn((10, 6), 1))


def test_twenty_random_explanations_are_unlike_and_tell_no_example():
    """One draw of five latents lies .1 from the next; the mean of 20 over ten seeds at most .06."""
    generator = torch.Generator().manual_seed(0)
    attributions = torch.randn(30, 5, generator=generator)
    # Each draw is one direction for all examples, as a random predictor is.
    draws = torch.randn(20, 1, 5, generator=generator) * attributions.abs()
    found = sanity_check(attributions, draws, generator=generator)
    assert abs(found.correlation) < 0.25
    assert found.interval.low < found.correlation < found.interval.high
    assert 0.02 < found.deviation < 0.5
    assert found.matching == pytest.approx(0.5, abs=0.15)


def test_what_shows_the_example_whatever_the_predictor_matches():
    attributions = torch.randn(12, 6)
    found = sanity_check(attributions, attributions + 0.01 * torch.randn(20, 12, 6))
    assert found.correlation > 0.9
    assert found.matching > 0.9


def test_matching_is_the_share_of_pairs_counted_one_by_one():
    attributions, draw = torch.randn(7, 5), torch.randn(7, 5)
    wins = []
    for n in range(7):
        own = rank_correlation(attributions[n], draw[n])
        for m in range(7):
            if m != n:
                other = rank_correlation(attributions[n], draw[m])
                wins.append(float(own > other) + 0.5 * float(own == other))
    assert sanity_check(attributions, draw.unsqueeze(0)).matching == pytest.approx(
        sum(wins) / len(wins)
    )


def test_a_single_draw_has_no_interval_and_a_constant_row_says_nothing():
    attributions = torch.randn(4, 5)
    attributions[0] = 1.0
    found = sanity_check(attributions, torch.randn(1, 4, 5))
    assert found.interval is None
    assert found.deviation is None
    assert abs(found.correlation) <= 1
    nothing = sanity_check(torch.ones(4, 5), torch.randn(3, 4, 5))
    assert nothing.correlation != nothing.correlation
