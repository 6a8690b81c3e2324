import numpy as np
import pytest
import torch

from trimvae.metrics.checks import as_array, check_codes, check_pair, is_continuous, levels_of


def test_tensors_become_arrays_without_their_graph():
    codes = torch.ones(3, 2, requires_grad=True)
    assert isinstance(as_array(codes), np.ndarray)
    assert check_codes(codes).dtype == np.float64


def test_whole_numbers_are_levels_and_all_others_continuous():
    assert not is_continuous(np.array([0, 3]))
    assert not is_continuous(np.array([0.0, 3.0]))
    assert is_continuous(np.array([0.0, 3.5]))


def test_levels_are_numbered_from_nought_and_continuous_ones_filled_equally():
    assert levels_of(np.array([7, 3, 7, 9])).tolist() == [1, 0, 1, 2]
    values = np.random.default_rng(0).normal(size=1000)
    assert np.bincount(levels_of(values, bins=4)).tolist() == [250] * 4


@pytest.mark.parametrize(
    ("codes", "factors", "words"),
    [
        (np.zeros((0, 2)), np.zeros((0, 1)), r"`codes` must have shape \(n, latent_size\)"),
        (np.full((3, 2), np.inf), np.arange(3)[:, None], "`codes` must be finite"),
        (np.zeros((3, 2)), np.array([[0.0], [1.0], [np.nan]]), "`factors` must be finite"),
        (np.zeros((1, 2)), np.zeros((1, 1)), "at least 2 examples"),
        (np.zeros((3, 2)), np.zeros((3, 0)), "`factors` must vary in every column"),
    ],
)
def test_arrays_that_no_score_can_use_are_named(codes, factors, words):
    with pytest.raises(ValueError, match=words):
        check_pair(codes, factors)
