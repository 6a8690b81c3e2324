import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from trimvae import VAE, evaluate, fit
from trimvae.data import FactorData
from trimvae.data.batches import EpochBatches, Repeatable, mix


def test_processes_share_exactly_the_batches_of_a_single_one():
    single = EpochBatches(50, 8, seed=5)
    pair = [EpochBatches(50, 4, seed=5, rank=rank, world=2) for rank in range(2)]
    for epoch in range(2):
        for batches in (single, *pair):
            batches.set_epoch(epoch)
        for whole, left, right in zip(single, *pair, strict=True):
            assert whole[0::2] == left
            assert whole[1::2] == right
    single.set_epoch(0)
    first = list(single)
    single.set_epoch(1)
    assert first != list(single)


def test_held_out_examples_all_come_in_order_and_evenly():
    batches = [EpochBatches(7, 2, shuffle=False, rank=rank, world=2) for rank in range(2)]
    left, right = (list(part) for part in batches)
    assert left == [[0, 2], [4, 6]]
    assert right == [[1, 3], [5, 0]]


def test_shuffled_batches_are_full_and_hold_every_example_once_at_most():
    batches = list(EpochBatches(10, 3, seed=1))
    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert len({index for batch in batches for index in batch}) == 9
    assert sorted(next(iter(EpochBatches(2, 3)))) == [0, 1]  # all of a data set that is too small


def test_a_loader_draws_the_same_in_the_same_epoch_whatever_was_drawn_before():
    loader = Repeatable(DataLoader(torch.arange(32), batch_size=8, shuffle=True), seed=3)

    def drawn(epoch):
        torch.randn(epoch + 1)
        loader.set_epoch(epoch)
        return torch.cat(list(loader)).tolist()

    first = drawn(0)
    assert drawn(1) != first
    assert drawn(0) == first
    assert len(loader) == 4


def test_seeds_are_mixed_by_order_and_value():
    seeds = {mix(*numbers) for numbers in ((0,), (1,), (0, 1), (1, 0), (0, 0), (0, -1), (0, 0, 1))}
    assert len(seeds) == 7
    assert all(0 <= seed < 2**62 for seed in seeds)


class Broken(Dataset):
    """Rows of six numbers, of which one cannot be read."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        if index == 20:
            raise KeyError("row 20")
        return torch.zeros(6)


@pytest.mark.parametrize("given", [Broken, lambda: DataLoader(Broken(), 8)], ids=["set", "loader"])
@pytest.mark.parametrize(
    "use", [evaluate, lambda *three: fit(*three, batch_size=8, max_epochs=1, progress=False)]
)
def test_an_error_of_the_caller_s_data_passes_unchanged_with_a_note_whose_it_is(use, given):
    with pytest.raises(KeyError) as raised:
        use(VAE.dense((6,), 2), nn.Linear(6, 3), given())
    assert raised.value.args == ("row 20",)
    assert raised.value.__notes__ == ["This error comes from your own code, `data` (Broken)."]


def test_a_refusal_of_ours_about_a_file_of_the_caller_s_has_no_such_note():
    def render(levels):
        raise ValueError("`path` must be a whole file. Got one that is damaged.")

    data = FactorData(render, {"a": range(2), "b": range(3)})
    for given in (data, DataLoader(data, 2)):
        with pytest.raises(ValueError, match="`path` must be a whole file") as raised:
            evaluate(VAE.dense((6,), 2), nn.Linear(6, 3), given)
        assert not hasattr(raised.value, "__notes__")
