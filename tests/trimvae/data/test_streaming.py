"""Data in pieces: the same examples in the same order, whatever gives them."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from trimvae.data import FactorData
from trimvae.data.loading import inputs_of, loader
from trimvae.data.streaming import source_of

ROWS = torch.arange(22.0).view(11, 2)


class Named(Dataset):
    """Mappings, as Hugging Face's data sets give them; remembers what was asked."""

    def __init__(self):
        self.asked = []

    def __len__(self):
        return len(ROWS)

    def __getitem__(self, index):
        self.asked.append(index)
        return {"image": ROWS[index], "label": index}


class Passing(IterableDataset):
    """Examples, one after the other."""

    def __iter__(self):
        yield from ROWS


class Plain:
    """An indexed data set that is none of torch's."""

    def __len__(self):
        return len(ROWS)

    def __getitem__(self, index):
        return ROWS[index], index


KINDS = {
    "tensor": lambda: ROWS,
    "array": lambda: ROWS.numpy(),
    "TensorDataset": lambda: TensorDataset(ROWS, torch.arange(11)),
    "mappings": Named,
    "indexed": Plain,
    "DataLoader": lambda: DataLoader(TensorDataset(ROWS), batch_size=3),
    "IterableDataset": Passing,
    "loader of a stream": lambda: DataLoader(Passing(), batch_size=5),
    "generator of batches": lambda: (rows for rows in ROWS.split(6)),
}


def everything(number: int) -> bool:
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 4, 11, 50])
def test_pieces_are_the_examples_in_order_and_only_the_last_is_shorter(kind, size):
    pieces = list(source_of(KINDS[kind]()).pieces(size, everything))
    joined = torch.cat([torch.as_tensor(piece.rows) for piece in pieces])
    assert torch.equal(joined, ROWS)
    assert [piece.number for piece in pieces] == list(range(-(-11 // size)))
    assert [piece.start for piece in pieces] == list(range(0, 11, size))
    assert [piece.stop for piece in pieces] == [*range(size, 11, size), 11]


@pytest.mark.parametrize("kind", KINDS)
def test_looking_at_the_first_examples_loses_none(kind):
    source = source_of(KINDS[kind]())
    for _ in range(2):
        first = torch.as_tensor(source.first())
        assert 0 < len(first) <= 8
        assert torch.equal(first, ROWS[: len(first)])
    (piece,) = source.pieces(50, everything)
    assert torch.equal(torch.as_tensor(piece.rows), ROWS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_wanted_is_counted_and_not_kept(kind):
    pieces = list(source_of(KINDS[kind]()).pieces(4, lambda number: number == 1))
    assert [piece.rows is None for piece in pieces] == [True, False, True]
    assert torch.equal(torch.as_tensor(pieces[1].rows), ROWS[4:8])
    assert pieces[-1].stop == 11


def test_an_indexed_data_set_is_asked_for_the_wanted_examples_alone():
    data = Named()
    list(source_of(data).pieces(4, lambda number: number == 2))
    assert data.asked == [8, 9, 10]


def test_of_a_memory_map_only_the_rows_of_the_piece_are_read(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS.numpy())
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for piece in source_of(mapped).pieces(4, everything):
        assert type(piece.rows) is np.ndarray
        assert piece.rows.base is None  # no view of the map
        assert np.array_equal(piece.rows, mapped[piece.start : piece.stop])


def test_tables_stay_tables():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS.numpy(), columns=["a", "b"])
    pieces = list(source_of(frame).pieces(4, everything))
    assert all(list(piece.rows.columns) == ["a", "b"] for piece in pieces)
    assert [len(piece.rows) for piece in pieces] == [4, 4, 3]


def test_images_of_known_factors_are_rendered_a_piece_at_a_time():
    rendered = []

    def render(levels):
        rendered.append(len(levels))
        return levels.float()

    data = FactorData(render, {"x": range(3), "y": range(3)})
    rows = [piece.rows for piece in source_of(data).pieces(4, everything)]
    assert rendered == [4, 4, 1]
    assert torch.equal(torch.cat(rows), data.factors.float())


def test_an_iterable_says_itself_whether_it_gives_batches():
    batches = [ROWS[:6], ROWS[6:]]

    class Batches(IterableDataset):
        def __iter__(self):
            yield from batches

    (piece,) = source_of(Batches(), batched=True).pieces(20, everything)
    assert torch.equal(piece.rows, ROWS)
    (piece,) = source_of(iter(ROWS), batched=False).pieces(20, everything)
    assert torch.equal(piece.rows, ROWS)


@pytest.mark.parametrize("empty", [torch.empty(0, 2), [], iter([])])
def test_nothing_gives_no_piece(empty):
    source = source_of(empty)
    assert len(source.first()) == 0
    assert list(source.pieces(4, everything)) == []


def test_what_gives_no_examples_is_refused():
    with pytest.raises(TypeError, match=r"`data` must be a tensor, .* Got int\. Convert it"):
        source_of(3)


def test_data_sets_of_hugging_face_are_read_as_they_are_indexed_and_as_streams():
    datasets = pytest.importorskip("datasets")
    held = datasets.Dataset.from_dict({"image": ROWS.numpy(), "label": list(range(len(ROWS)))})
    tensors = held.with_format("torch")
    stream = held.to_iterable_dataset().with_format("torch")
    for data in (tensors, stream, DataLoader(tensors, batch_size=3)):
        found = [piece.rows for piece in source_of(data).pieces(4, lambda _: True)]
        assert torch.equal(torch.cat(found), ROWS)
    batches = [inputs_of(batch) for batch in loader(tensors, 4, shuffle=False)]
    assert torch.equal(torch.cat(batches), ROWS)
    with pytest.raises(TypeError, match=r"call with_format\('torch'\)"):
        source_of(held).first()


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # it leaves files open
def test_loaders_of_webdataset_give_batches_and_its_data_sets_examples(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    path = tmp_path / "rows-0.tar"
    with webdataset.TarWriter(str(path)) as writer:
        for number, row in enumerate(ROWS):
            writer.write({"__key__": f"{number:03d}", "row.pth": row, "cls": number})
    options = {"shardshuffle": False, "empty_check": False}
    data = webdataset.WebDataset(str(path), **options).decode().to_tuple("row.pth", "cls")
    for given in (data, webdataset.WebLoader(data, batch_size=3)):
        found = [piece.rows for piece in source_of(given).pieces(4, lambda _: True)]
        assert torch.equal(torch.cat(found), ROWS)
        batches = [inputs_of(batch) for batch in loader(given, 3)]
        assert torch.equal(torch.cat(batches), ROWS)
        assert [len(batch) for batch in batches] == [3, 3, 3, 2]


def test_a_mask_is_not_lost_on_the_way():
    source = source_of(np.ma.masked_greater(np.arange(6.0).reshape(3, 2), 3.0))
    assert np.ma.count_masked(source.first()) == 2
