import numpy as np
import pandas as pd
import pytest

from trimvae.tables.columns import column_of, is_column


def made(values, **options):
    options = {"as_category": False, **options}
    return column_of("it", pd.Series(values), **options)


def test_a_number_is_in_standard_deviations_of_training():
    column = made([1.0, 2.0, 6.0])
    encoded = column.encode(pd.Series([1.0, 2.0, 6.0]))[:, 0]
    np.testing.assert_allclose(encoded, np.array([-2, -1, 3]) / np.sqrt(14 / 3))
    assert (column.low, column.high, column.kind) == (1.0, 6.0, "number")


def test_numbers_come_back_with_as_many_decimals_as_they_had():
    assert made([0.25, 1.5, 2.0]).decimals == 2
    assert made([0.25, 1.5, 2.0]).decode(np.array([[0.123]])) == [
        round(1.25 + 0.123 * np.std([0.25, 1.5, 2.0]), 2)
    ]
    assert made([np.pi, 1.5]).decimals is None
    assert made([20.0, np.nan, 1e7]).decimals == 0


def test_a_missing_number_is_at_the_mean_and_says_so():
    column = made([1.0, np.nan, 3.0])
    assert column.names == ["it", "it is missing"]
    np.testing.assert_allclose(column.encode(pd.Series([np.nan, 3.0])), [[0, 1], [1, 0]])
    again = column.decode(np.array([[0.4, 0.6], [1.0, 0.4]]))
    assert np.isnan(again[0])
    assert again[1] == 3.0


def test_whole_numbers_come_back_whole_and_within_their_range():
    column = made([1, 2, 6])
    assert column.kind == "integer"
    assert column.decode(np.array([[0.1], [9.0]])) == [3.0, 6.0]
    assert column.decode(np.array([[9.0]]), within_range=False) == [round(9 * column.scale + 3)]


def test_a_category_is_one_of_each_and_comes_back_as_the_likeliest():
    column = made(["b", "a", None, "b"])
    assert column.names == ["it = a", "it = b", "it = missing"]
    np.testing.assert_array_equal(column.encode(pd.Series(["b", None])), [[0, 1, 0], [0, 0, 1]])
    assert column.decode(np.array([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]])) == ["b", None]


def test_numbers_may_stand_for_categories_and_truth_values_are_some():
    assert made([3, 1, 3], as_category=True).categories == (1, 3)
    assert made([True, False]).categories == (False, True)
    assert made(pd.Categorical(["x", "a"], ["x", "a", "never"])).categories == ("x", "a")


def test_a_constant_column_is_no_division_by_zero():
    assert made([4.0, 4.0]).encode(pd.Series([4.0])).tolist() == [[0.0]]


def test_what_no_column_can_hold_is_refused():
    with pytest.raises(ValueError, match="every column. Got 'it', which is all missing. Drop it"):
        made([None, None])
    with pytest.raises(
        ValueError, match="Got 'it', where 40 of 40 texts differ, as of an identifier"
    ):
        made([f"id {number}" for number in range(40)])
    with pytest.raises(TypeError, match="Got datetime64.* in 'it'. Make numbers of it first"):
        made(pd.to_datetime(["2020-01-01", "2021-01-01"]))
    with pytest.raises(TypeError, match="Got others in 'it'. Make text or numbers of them"):
        made([(1, 2), (3, 4)])
    with pytest.raises(ValueError, match="finite numbers. Got infinity in 'it'"):
        made([1.0, np.inf])


def test_ten_different_texts_are_no_identifier():
    assert made([f"place {number}" for number in range(10)]).width == 10


def test_what_was_not_seen_in_training_is_refused():
    text, numbers = made(["a", "b", "a"]), made([1.0, 2.0])
    with pytest.raises(ValueError, match="seen in training in 'it': a, b. Got 'c'. Replace"):
        text.encode(pd.Series(["a", "c"]))
    with pytest.raises(ValueError, match="in 'it': a, b. Got a missing one"):
        text.encode(pd.Series(["a", None]))
    with pytest.raises(TypeError, match="numbers in 'it', as in training. Got .* such as 'x'"):
        numbers.encode(pd.Series(["x", "y"]))
    with pytest.raises(ValueError, match="every row of 'it', as in training. Got 1 missing"):
        numbers.encode(pd.Series([1.0, np.nan]))
    with pytest.raises(ValueError, match="finite numbers. Got infinity in 'it'"):
        numbers.encode(pd.Series([1.0, -np.inf]))


def test_what_a_file_says_of_a_column_is_checked():
    good = {**made(["a", "b"])._asdict(), "categories": ["a", "b"]}
    assert is_column(good)
    for name, wrong in (
        ("kind", "picture"),
        ("decimals", 99),
        ("scale", 0.0),
        ("mean", float("nan")),
        ("categories", []),
        ("categories", [["a"]]),
        ("missing", 1),
        ("name", 3),
    ):
        assert not is_column({**good, name: wrong}), name
    assert not is_column({"name": "it"})
    assert not is_column("it")


@pytest.mark.parametrize("cell", [[1, 2], {"a": 1}, {1}])
def test_cells_that_hold_several_things_are_refused(cell):
    values = pd.Series([cell, cell])
    with pytest.raises(TypeError, match="`frame` must hold numbers, .* Got others in 'tags'"):
        column_of("tags", values, as_category=False)
