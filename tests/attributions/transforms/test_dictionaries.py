"""Sparse dictionaries find the directions that rows were made of."""

import pytest
import torch
from torch.nn import functional as F

from attributions.transforms import SparseDictionary
from attributions.transforms.dictionaries import geometric_median


def made_of_few(seed=0, size=12, features=16, n=4000, k=2):
    generator = torch.Generator().manual_seed(seed)
    directions = F.normalize(torch.randn(size, features, generator=generator), dim=1)
    taken = torch.rand(n, size, generator=generator).argsort(dim=1) < k
    amounts = taken * (0.5 + torch.rand(n, size, generator=generator))
    return amounts @ directions + 0.3, directions


def test_it_finds_the_directions_that_rows_are_made_of():
    rows, directions = made_of_few()
    dictionary = SparseDictionary(rows, 24, k=2, n_steps=1500)
    nearest = (directions @ dictionary.decoder.T).max(dim=1).values
    assert float(nearest.min()) > 0.95  # .998 or more on ten seeds
    left = rows - dictionary.decode(dictionary.encode(rows))
    assert float(left.square().sum() / (rows - rows.mean(dim=0)).square().sum()) < 0.1


def test_codes_hold_at_most_k_and_nothing_below_zero():
    rows, _ = made_of_few(n=200)
    dictionary = SparseDictionary(rows, 24, k=3, n_steps=20)
    latents = dictionary.encode(rows)
    assert latents.shape == (200, 24)
    assert bool((latents >= 0).all())
    assert int((latents > 0).sum(dim=1).max()) <= 3
    responses = (rows / dictionary.scale - dictionary.origin) @ dictionary.encoder.T
    responses = responses + dictionary.threshold
    largest = responses.topk(3, dim=1).values[:, -1:]
    expected = torch.where(responses >= largest, responses, 0).relu() * dictionary.scale
    torch.testing.assert_close(latents, expected)


def test_directions_have_length_one_and_decoding_adds_them_to_the_origin():
    rows, _ = made_of_few(n=200)
    dictionary = SparseDictionary(rows, 5, k=2, n_steps=20)
    torch.testing.assert_close(dictionary.decoder.norm(dim=1), torch.ones(5))
    unit = torch.eye(5)[[3]]
    expected = dictionary.origin * dictionary.scale + dictionary.decoder[[3]]
    torch.testing.assert_close(dictionary.decode(unit), expected)


def test_the_same_generator_gives_the_same_dictionary_and_torchs_own_is_left_alone():
    rows, _ = made_of_few(n=200)
    before = torch.get_rng_state()
    first, second, third = (
        SparseDictionary(
            rows, 6, k=2, n_steps=5, generator=torch.Generator().manual_seed(seed)
        ).decoder
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(torch.get_rng_state(), before)
    assert not first.requires_grad


def test_more_directions_kept_than_there_are_is_refused():
    for k in (0, 7):
        with pytest.raises(ValueError, match=f"`k` must be from 1 to .* directions, 6. Got {k}"):
            SparseDictionary(torch.randn(20, 4), 6, k=k)


def test_the_geometric_median_has_the_least_mean_distance():
    rows = torch.randn(60, 3).double() ** 3
    median = geometric_median(rows, n_iterations=500)
    away = F.normalize(rows - median, dim=1).mean(dim=0)  # the gradient of the mean distance
    torch.testing.assert_close(away, torch.zeros(3).double(), rtol=0, atol=1e-4)
