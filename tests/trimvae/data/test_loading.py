import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
)

from trimvae.data.loading import (
    as_data,
    as_tensor,
    check_order,
    contexts_of,
    first_inputs,
    inputs_of,
    loader,
    size_of,
)
from trimvae.data.streaming import source_of


def test_a_tensor_is_returned_as_it_is():
    tensor = torch.randn(3, 2, requires_grad=True)
    assert as_tensor(tensor) is tensor


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", ">f4"])
def test_floating_point_arrays_get_torchs_default_precision(kind):
    array = np.array([[0.5, -2.0], [1.0, 4.0]], dtype=kind)
    expected = torch.tensor([[0.5, -2.0], [1.0, 4.0]])
    assert torch.equal(as_tensor(array), expected)
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(as_tensor(array), expected.double())
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "bool"])
def test_whole_numbers_and_booleans_keep_their_kind(kind):
    tensor = as_tensor(np.array([0, 1, 1], dtype=kind))
    assert tensor.dtype == getattr(torch, kind)
    assert tensor.tolist() == [0, 1, 1]


def test_views_and_arrays_that_cannot_be_written_to_are_read():
    array = np.arange(6.0).reshape(3, 2)
    array.flags.writeable = False
    assert as_tensor(array[::-1]).tolist() == [[4, 5], [2, 3], [0, 1]]
    assert as_tensor(array.T).tolist() == [[0, 2, 4], [1, 3, 5]]


def test_tables_become_tensors_column_by_column():
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    assert as_tensor(frame).tolist() == [[1, 0.5, 1], [2, 1.5, 0]]
    assert as_tensor(frame).dtype == torch.float32
    assert as_tensor(frame["a"]).dtype == torch.int64
    missing = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [1.0, 2.0]})
    assert torch.isnan(as_tensor(missing)).tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, 2.0], "`table` must be a tensor, NumPy array or pandas DataFrame. Got list"),
        ("words", "Got str. Convert it, e.g. with torch.tensor"),
        (None, "Got NoneType"),
        (np.array(["a", "b"]), "`table` must hold numbers. Got an array of <U1. Encode text"),
        (np.array([1 + 2j]), "Got an array of complex128"),
        (np.array([object()]), "Got an array of object"),
        (
            pd.DataFrame({"size": [1.0], "town": ["Jena"], "day": [pd.Timestamp(0)]}),
            "`table` must hold numbers. Got other values in town, day. Encode or drop these",
        ),
        (pd.Series(["a"], name="town"), "Got other values in town"),
    ],
)
def test_anything_else_is_refused_with_its_remedy(values, message):
    with pytest.raises(TypeError, match=message):
        as_tensor(values, "table")


def test_data_sets_and_loaders_pass_and_lists_do_not():
    for data in (TensorDataset(torch.ones(2, 3)), DataLoader(torch.ones(2, 3))):
        assert as_data(data) is data
    message = "`held` must be a tensor, NumPy array, pandas DataFrame, Dataset or DataLoader. Got"
    for data in ([1], {"a": 1}):
        with pytest.raises(TypeError, match=message):
            as_data(data, "held")


def test_arrays_and_tables_come_in_the_batches_of_their_tensor():
    rows = torch.randn(10, 3)
    expected = list(loader(rows, 4, seed=7))
    for data in (rows.numpy(), pd.DataFrame(rows.numpy())):
        for batch, wanted in zip(loader(data, 4, seed=7), expected, strict=True):
            assert torch.equal(batch, wanted)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(torch.ones(5, 2))


def test_data_without_a_length_come_in_their_own_order():
    assert [len(batch) for batch in loader(Stream(), 2)] == [2, 2, 1]
    assert first_inputs(loader(Stream(), 2)).shape == (2, 2)


def test_what_holds_no_batch_is_refused_by_its_name():
    for data in (torch.empty(0, 3), DataLoader(torch.ones(2, 3), batch_size=4, drop_last=True)):
        with pytest.raises(ValueError, match="`validation` must hold at least one batch"):
            loader(data, 4, argument="validation")
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        loader(torch.ones(2, 3), 0)


def test_the_first_batch_is_drawn_without_touching_torchs_generator():
    state = torch.get_rng_state()
    first_inputs(DataLoader(torch.randn(8, 2), batch_size=4, shuffle=True))
    torch.set_rng_state(state)
    before = torch.get_rng_state()
    first_inputs(DataLoader(torch.ones(8, 2), batch_size=4, shuffle=True))
    assert torch.equal(before, torch.get_rng_state())


def test_inputs_and_contexts_of_a_batch_are_found():
    inputs, contexts = torch.ones(2, 3), torch.tensor([0, 1])
    for batch in (inputs, (inputs, contexts), [inputs], {"inputs": inputs}, {"image": inputs}):
        assert inputs_of(batch) is inputs
    assert contexts_of((inputs, contexts)) is contexts
    assert contexts_of({"inputs": inputs, "contexts": contexts}) is contexts
    with pytest.raises(
        TypeError, match="must give batches that are a tensor.*Got a mapping with 'label'"
    ):
        inputs_of({"label": contexts})
    with pytest.raises(TypeError, match="pairs of inputs and contexts"):
        contexts_of(inputs)


def test_what_is_indexed_by_number_is_a_data_set_and_a_list_is_none():
    class Rows:
        """No Dataset of torch's, such as those of Hugging Face."""

        def __len__(self):
            return 5

        def __getitem__(self, index):
            return {"image": torch.full((2,), float(index))}

    batches = [inputs_of(batch)[:, 0].tolist() for batch in loader(Rows(), 2, shuffle=False)]
    assert batches == [[0.0, 1.0], [2.0, 3.0], [4.0]]
    for wrong in ([torch.ones(2)], {"x": torch.ones(2)}, "rows"):
        with pytest.raises(TypeError, match="`data` must be a tensor, NumPy array"):
            loader(wrong, 2)


@pytest.mark.parametrize(
    ("examples", "error", "told"),
    [
        ([torch.ones(1, 4), torch.ones(1, 5)], ValueError, r"one shape. Got \[1, 4\] and \[1, 5\]"),
        ([Image.new("L", (4, 4))] * 2, TypeError, "numbers. Got Image. Turn them into"),
    ],
)
def test_examples_that_make_no_batch_are_refused_with_a_remedy(examples, error, told):
    class Examples(Dataset):
        def __len__(self):
            return len(examples)

        def __getitem__(self, index):
            return examples[index]

    class Passing(IterableDataset):
        def __iter__(self):
            return iter(examples)

    for data in (Examples(), Passing()):
        with pytest.raises(error, match="`data` must give examples of " + told):
            next(iter(loader(data, 2, shuffle=False)))
    with pytest.raises(error, match="`data` must give examples of " + told):
        source_of(Examples()).first()


def test_a_trainers_data_tell_their_size():
    class Trainer:
        train_dataloader = loader(torch.ones(7, 2), 2)

    assert size_of(Trainer()) == 7
    Trainer.train_dataloader = loader(Stream(), 2)
    assert size_of(Trainer()) is None


SHUFFLED = {
    "shuffle": lambda rows: DataLoader(rows, 4, shuffle=True),
    "sampler": lambda rows: DataLoader(rows, 4, sampler=SubsetRandomSampler([0, 2])),
    "batches": lambda rows: DataLoader(
        rows, batch_sampler=BatchSampler(RandomSampler(rows), 4, drop_last=False)
    ),
    "processes": lambda rows: DataLoader(
        rows, 4, sampler=DistributedSampler(rows, num_replicas=1, rank=0)
    ),
}


@pytest.mark.parametrize("kind", SHUFFLED)
def test_nothing_goes_row_by_row_with_a_loader_that_shuffles(kind):
    shuffled = SHUFFLED[kind](TensorDataset(torch.arange(10.0)))
    check_order(shuffled, labels=None)
    with pytest.raises(ValueError, match="`data` must come in the order of `labels`. Got a Data"):
        check_order(shuffled, labels=torch.zeros(10))


def test_what_keeps_its_order_goes_with_labels():
    rows = TensorDataset(torch.arange(10.0))
    ordered = DistributedSampler(rows, num_replicas=1, rank=0, shuffle=False)
    loaders = [DataLoader(rows, 4), DataLoader(rows, 4, sampler=ordered)]
    loaders += [DataLoader(rows, batch_sampler=BatchSampler(ordered, 4, drop_last=False))]
    for data in [*loaders, loader(rows, 4, shuffle=False), DataLoader(Stream()), rows]:
        check_order(data, labels=torch.zeros(10))


def test_masked_numbers_are_refused_and_a_mask_of_nothing_is_none():
    numbers = np.arange(6.0).reshape(3, 2)
    with pytest.raises(TypeError, match="`data` must hold numbers everywhere. Got .* masks 2 of"):
        as_data(np.ma.masked_greater(numbers, 3.0))
    unmasked = as_tensor(np.ma.masked_greater(numbers, 9.0))
    assert torch.equal(unmasked, torch.arange(6.0).reshape(3, 2))


def test_the_longest_numbers_of_numpy_are_read():
    assert torch.equal(as_tensor(np.array([0.5, -2.0], np.longdouble)), torch.tensor([0.5, -2.0]))


def test_sparse_tensors_are_refused():
    sparse = torch.eye(3).to_sparse()
    with pytest.raises(
        TypeError, match="`data` must be a dense tensor. Got the layout torch.sparse"
    ):
        as_data(sparse)
