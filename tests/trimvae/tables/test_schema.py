import json

import pandas as pd
import pytest
import torch

from tests.trimvae.tables.mixed import mixed_frame
from trimvae.tables.schema import TableSchema, is_description


@pytest.fixture(scope="module")
def frame():
    return mixed_frame()


@pytest.fixture(scope="module")
def schema(frame):
    return TableSchema.of(frame)


def test_rows_come_back_as_they_were(frame, schema):
    again = schema.to_frame(schema.encode(frame))
    pd.testing.assert_frame_equal(again, frame, rtol=1e-5)


def test_columns_of_the_tensor_are_named_and_placed(schema):
    assert schema.feature_names == [
        "age",
        "income",
        "income is missing",
        "job = clerk",
        "job = nurse",
        "job = teacher",
        "job = missing",
        "owner = False",
        "owner = True",
        "town = south",
        "town = north",
    ]
    assert schema.layout == ((0, 1), ((1, 2),), ((3, 7), (7, 9), (9, 11)))
    assert schema.slices["owner"] == slice(7, 9)
    assert schema.missing_categories == [6]
    assert schema.kinds == ["integer", "number", *["share"] * 9]


def test_units_lead_back_to_the_numbers_of_the_table(frame, schema):
    factors, summands = map(torch.tensor, schema.units)
    rows = schema.encode(frame) * factors + summands
    torch.testing.assert_close(rows[:, 0], torch.tensor(frame["age"].to_numpy()).float())
    torch.testing.assert_close(rows[:, 3:], schema.encode(frame)[:, 3:])


def test_the_order_of_columns_does_not_matter(frame, schema):
    assert torch.equal(schema.encode(frame[frame.columns[::-1]]), schema.encode(frame))


def test_hard_rows_are_those_that_a_table_holds(schema):
    soft = torch.randn(50, schema.width, generator=torch.Generator().manual_seed(0))
    hard = schema.hard(soft)
    expected = schema.encode(schema.to_frame(soft))
    torch.testing.assert_close(hard, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(schema.hard(hard), hard, atol=1e-5, rtol=1e-5)


def test_its_description_is_plain_and_makes_it_again(schema):
    described = json.loads(json.dumps(schema.description))
    assert TableSchema.of_description(described).columns == schema.columns
    assert is_description(described, schema.width)
    assert not is_description(described, schema.width + 1)
    assert not is_description([*described, described[0]], schema.width + 1)
    assert not is_description([], 0)
    assert not is_description("table", 3)


def test_another_table_than_in_training_is_refused(frame, schema):
    with pytest.raises(ValueError, match="the 5 columns.*Got one without 'age'. Pass frame"):
        schema.encode(frame.drop(columns="age"))
    with pytest.raises(ValueError, match="Got one with 'label' besides"):
        schema.encode(frame.assign(label=1))
    with pytest.raises(ValueError, match="Got one without 'age' and with 'Age' besides"):
        schema.encode(frame.rename(columns={"age": "Age"}))
    with pytest.raises(ValueError, match="`frame` must have rows. Got none"):
        schema.encode(frame[:0])
    with pytest.raises(TypeError, match="must be a pandas DataFrame. Got Tensor. Use VAE.dense"):
        schema.encode(torch.zeros(2, 5))


def test_what_is_no_training_table_is_refused(frame):
    with pytest.raises(ValueError, match="different names. Got 'age' twice"):
        TableSchema.of(pd.concat([frame, frame[["age"]]], axis=1))
    with pytest.raises(ValueError, match="different names. Got none"):
        TableSchema([])
    with pytest.raises(ValueError, match="`categories` must name columns.*Got 'agee'"):
        TableSchema.of(frame, categories=["agee"])


def test_a_tensor_of_another_width_is_no_table(schema):
    with pytest.raises(ValueError, match=r"`rows` must have shape \(n, 11\). Got \(2, 3\)"):
        schema.to_frame(torch.zeros(2, 3))
