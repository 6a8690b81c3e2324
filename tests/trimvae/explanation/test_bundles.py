"""What a latent draws and what is used of it, in words; and when that is little."""

import math

import pytest

from trimvae.explanation.bundles import (
    LEAST_COMMON,
    MOST_DRAWN,
    MOST_EXCESS,
    Bundle,
    of_bundles,
)

NAMES = ("brightness", "shape", "texture")


def bundle(drawn, caused):
    return Bundle(2, NAMES, drawn, caused)


def test_a_small_part_is_named_with_its_share_of_the_picture():
    found = bundle((0.0, 0.96, 0.04), (0.0, 0.03, 0.97))
    assert found.is_small
    assert found.common == pytest.approx(0.07)
    assert found.sentence("z2") == (
        "z2 draws shape (96%) and texture (4%); the predictor responds to its texture (97%), "
        "which is 4% of what it draws."
    )


def test_several_small_parts_are_added_up_and_the_large_one_is_not_among_them():
    found = bundle((0.02, 0.93, 0.05), (0.5, 0.15, 0.35))
    assert found.favoured == (0, 2)
    assert found.sentence("z2") == (
        "z2 draws shape (93%), texture (5%) and brightness (2%); the predictor responds to its "
        "brightness (50%) and texture (35%), which together are 7% of what it draws."
    )


def test_what_is_used_as_it_is_drawn_is_said_and_is_no_small_part():
    found = bundle((0.0, 0.9, 0.1), (0.0, 0.95, 0.05))
    assert not found.is_small
    assert found.sentence("z2") == (
        "z2 draws shape (90%) and texture (10%); the predictor responds to its shape (95%)."
    )


def test_little_in_common_is_not_enough_where_the_part_is_large():
    def at(drawn):
        return bundle((1 - drawn, 0.0, drawn), (0.0, 0.0, 1.0)).is_small

    assert at(MOST_DRAWN - 0.01)
    assert not at(MOST_DRAWN + 0.01)
    assert MOST_DRAWN < LEAST_COMMON


def test_a_small_part_that_is_not_used_enough_is_no_small_part():
    def used(share):
        return bundle((0.0, 1.0, 0.0), (0.0, 1 - share, share)).is_small

    assert used(1 - LEAST_COMMON + 0.01)
    assert not used(1 - LEAST_COMMON - 0.01)


def test_what_works_against_the_whole_does_not_count():
    found = bundle((0.0, 0.9, 0.1), (0.0, -1.0, 2.0))
    assert found.responses == (0.0, 0.0, 1.0)
    assert "responds to its texture (100%), which is 10%" in found.sentence("z2")


def test_less_than_half_a_percent_is_not_rounded_to_none():
    assert "texture (under 1%)" in bundle((0.0, 0.999, 0.001), (0.0, 0.0, 1.0)).sentence("z2")


def test_many_parts_of_which_none_is_large_are_told_by_the_largest():
    drawn = tuple([0.05] * 19 + [0.05])
    names = tuple(f"x{index}" for index in range(20))
    caused = (0.06, 0.04, *[0.05] * 18)
    said = Bundle(0, names, drawn, caused).sentence("z0")
    assert said == "z0 draws x0 (5%) and 19 others; the predictor responds to its x0 (6%)."
    assert math.isclose(sum(caused), 1)


def column(drawn, caused, leak=7, count=20):
    """One column with these shares; all others alike."""
    shares = []
    for share in (drawn, caused):
        row = [(1 - share) / (count - 1)] * count
        row[leak] = share
        shares.append(tuple(row))
    return Bundle(0, tuple(f"x{index}" for index in range(count)), *shares)


def test_of_many_parts_those_that_stand_out_are_asked_for():
    leaked = column(0.05, 0.6)
    assert leaked.favoured == (7,)
    assert leaked.excess == pytest.approx(0.55)
    assert leaked.is_small
    assert leaked.sentence("z0") == (
        "z0 draws x7 (5%) and 19 others; the predictor responds to its x7 (60%), which is 5% of "
        "what it draws."
    )
    assert not column(0.05, 0.05 + MOST_EXCESS - 0.01).is_small
    assert not column(MOST_DRAWN + 0.01, 0.9).is_small


def test_three_of_many_parts_stand_out_at_most():
    drawn = (0.05,) * 20
    caused = (0.3, 0.25, 0.2, 0.15, *[0.1 / 16] * 16)
    found = Bundle(0, tuple(map(str, range(20))), drawn, caused)
    assert found.favoured == (0, 1, 2)
    assert found.excess == pytest.approx(0.6)


def test_of_few_parts_the_excess_is_what_is_not_in_common():
    found = bundle((0.2, 0.5, 0.3), (0.5, 0.1, 0.4))
    assert found.excess == pytest.approx(1 - found.common)


def test_small_parts_alone_are_warned_of_by_name():
    (text,) = of_bundles([column(0.05, 0.6), column(0.05, 0.05)], ["age"])
    assert text.startswith("age draws x7 (5%) and 19 others; ")
    assert text.endswith(
        "Read the evidence of age as evidence of that part alone, whatever else it draws."
    )


def test_latents_with_the_same_kind_of_parts_are_told_of_once():
    other = Bundle(1, *column(0.05, 0.6)[1:])
    texture = bundle((0.0, 0.96, 0.04), (0.0, 0.03, 0.97))
    found = of_bundles([column(0.05, 0.6), texture, other], ["z0", "z1", "z2"])
    assert [text.split()[0] for text in found] == ["z0", "z2"]
    assert found[0].endswith(" Likewise of z1, a small part of what is drawn is used.")
