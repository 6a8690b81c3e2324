"""Where latents recur: half of the codes, and at least two."""

import pytest

from trimvae.explanation.marks import Recurrence


@pytest.mark.parametrize(("codes", "least"), [(2, 2), (3, 2), (4, 2), (5, 3), (6, 3), (7, 4)])
def test_to_recur_takes_half_of_the_codes_and_two(codes, least):
    found = Recurrence(tuple(range(1, codes + 1)), codes)
    assert found.least == least
    assert found.recurring == tuple(range(least - 1, codes))


def test_each_latent_is_said_in_words():
    found = Recurrence((4, 1, 2), codes=5)
    assert found.in_words(0) == "found again in 4 of 5 codes"
    assert found.in_words(1) == "found in no other of 5 codes"
    assert found.in_words(2) == "found again in 2 of 5 codes"
