import pytest

from benchmarks.tables import interval


def test_an_interval_is_students():
    # t(.975, 2) = 4.3027, deviation 1, three values
    assert interval([1.0, 2.0, 3.0]) == "2.000 ± 2.484"


@pytest.mark.parametrize(
    ("values", "text"), [([0.25], "+0.250"), ([-0.25], "-0.250"), ([0.5, 0.5], "+0.500 ± 0.000")]
)
def test_a_difference_has_its_sign(values, text):
    assert interval(values, sign=True) == text
