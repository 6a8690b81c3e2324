import pandas as pd
import pytest
import torch

from tests.trimvae.tables.mixed import labels_of, mixed_frame
from trimvae.data import csv_table


@pytest.fixture
def path(tmp_path):
    frame = mixed_frame(100)
    names = pd.Series(labels_of(frame)).map({0: "no", 1: "yes"})
    frame.assign(loan=names).to_csv(tmp_path / "people.csv", index=False)
    return tmp_path / "people.csv"


def test_rows_and_classes_are_those_of_the_file(path):
    parts = csv_table(path, label="loan")
    assert parts.train_inputs.shape == (80, 11)
    assert parts.class_names == ("no", "yes")
    rows = torch.cat([parts.train_inputs, parts.test_inputs])
    labels = torch.cat([parts.train_labels, parts.test_labels])
    frame = parts.schema.to_frame(rows)
    assert torch.equal(labels, torch.from_numpy(labels_of(frame)))
    assert parts.feature_names == tuple(parts.schema.feature_names)


def test_the_split_is_that_of_its_seed(path):
    assert torch.equal(csv_table(path, seed=1).test_inputs, csv_table(path, seed=1).test_inputs)
    assert not torch.equal(csv_table(path, seed=1).test_inputs, csv_table(path).test_inputs)


def test_another_file_is_read_as_the_code_knows_it(path, tmp_path):
    parts = csv_table(path, label="loan")
    frame = pd.read_csv(path)
    frame[frame["job"].eq("nurse")].to_csv(tmp_path / "nurses.csv", index=False)
    nurses = csv_table(tmp_path / "nurses.csv", label="loan", schema=parts.schema)
    assert nurses.train_inputs.shape[1] == 11
    frame.assign(job="pilot").to_csv(tmp_path / "pilots.csv", index=False)
    with pytest.raises(ValueError, match="categories that were seen in training in 'job'.*'pilot'"):
        csv_table(tmp_path / "pilots.csv", label="loan", schema=parts.schema)


def test_a_quantity_is_taken_off_and_no_label(path):
    pd.read_csv(path).assign(price=[1.5 * place for place in range(100)]).to_csv(path, index=False)
    parts = csv_table(path, label="price")
    assert parts.train_labels is None
    assert parts.class_names is None
    assert "price" not in parts.schema.names


def test_numbers_of_few_values_are_classes_in_order(tmp_path):
    frame = pd.DataFrame({"x": [0.1, 0.2, 0.3, 0.4] * 5, "y": [10, 2, 2, 10] * 5})
    frame.to_csv(tmp_path / "it.csv", index=False)
    parts = csv_table(tmp_path / "it.csv", label="y")
    assert parts.class_names == ("2", "10")
    assert set(parts.train_labels.tolist()) == {0, 1}


def test_what_is_no_such_table_is_refused(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="`path` must be a .csv file. Got .*none.csv"):
        csv_table(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="`path` must be a table in CSV. Got .*empty.csv"):
        csv_table(tmp_path / "empty.csv")
    (tmp_path / "torn.csv").write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(ValueError, match="`path` must be a table in CSV. Got .*torn.csv"):
        csv_table(tmp_path / "torn.csv")
    (tmp_path / "bytes.csv").write_bytes(b"a,b\n\xff\xfe,2\n")
    with pytest.raises(ValueError, match="`path` must be a table in CSV. Got .*bytes.csv"):
        csv_table(tmp_path / "bytes.csv")
    with pytest.raises(ValueError, match="`label` must be a column of .*Got 'laon'; it has age"):
        csv_table(path, label="laon")
    with pytest.raises(ValueError, match="`label` must be known in every row. Got .* in 'job'"):
        csv_table(path, label="job")
    pd.read_csv(path).assign(loan="no").to_csv(path, index=False)
    with pytest.raises(ValueError, match="tell 2 to 100 classes. Got 1 values in 'loan'"):
        csv_table(path, label="loan")


def test_rows_of_another_length_and_columns_without_a_name_of_their_own_are_refused(tmp_path):
    """Pandas takes them, each in its way: as names of rows, as missing cells, as `a.1`."""
    for content, rule in {
        "a,b\n0,1,2\n1,3,4\n": "as many cells in every row as the header has, 2. Got .*where row 1",
        "a,b\n1,2\n\n3\n": "as many cells in every row as the header has, 2. Got .*where row 3",
        "a,a\n1,2\n": r"name every column, and each another way. Got .*header is \['a', 'a'\]",
        "a,\n1,2\n": r"name every column, and each another way. Got .*header is \['a', ''\]",
    }.items():
        (tmp_path / "it.csv").write_text(content)
        with pytest.raises(ValueError, match=rule):
            csv_table(tmp_path / "it.csv")


def test_every_refusal_names_the_file(path):
    frame = pd.read_csv(path)
    with pytest.raises(ValueError, match=r"known in every row.* in 'job'.*\(In .*people.csv.\)"):
        csv_table(path, label="job")
    schema = csv_table(path, label="loan").schema
    frame.assign(age="old").to_csv(path, index=False)
    with pytest.raises(TypeError, match=r"'age'.*\(In .*people.csv.\)"):
        csv_table(path, label="loan", schema=schema)


def test_the_mark_that_excel_writes_first_belongs_to_no_name(path, tmp_path):
    marked = tmp_path / "marked.csv"
    marked.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    expected, found = csv_table(path, label="loan"), csv_table(marked, label="loan")
    assert found.feature_names == expected.feature_names
    assert torch.equal(found.train_inputs, expected.train_inputs)


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_cells_that_are_parted_otherwise_are_said_to_be(path, tmp_path, mark, name):
    pd.read_csv(path).to_csv(tmp_path / "other.csv", sep=mark, decimal=",", index=False)
    with pytest.raises(ValueError, match=f"`path` must part cells by commas. Got .* holds {name}"):
        csv_table(tmp_path / "other.csv", label="loan")
