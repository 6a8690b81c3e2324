import numpy as np
import pandas as pd
import pytest
import torch

from trimvae.data import split


def test_splitting_parts_every_example_once_and_leaves_the_generator():
    state = torch.get_rng_state()
    inputs = torch.arange(10.0)[:, None]
    parts = split(inputs, torch.arange(10), test_share=0.3, seed=4)
    together = torch.cat([parts.train_inputs, parts.test_inputs])
    assert sorted(together[:, 0].tolist()) == list(range(10))
    assert (parts.train_inputs[:, 0] == parts.train_labels).all()
    assert len(parts.test_inputs) == 3
    assert torch.equal(state, torch.get_rng_state())
    again, other = (split(inputs, test_share=0.3, seed=seed) for seed in (4, 5))
    assert torch.equal(again.test_inputs, parts.test_inputs)
    assert not torch.equal(other.test_inputs, parts.test_inputs)
    assert len(split(inputs[:2], test_share=0.5).test_inputs) == 1
    for share in (0, 1, 0.001):
        with pytest.raises(ValueError, match="`test_share` must leave examples"):
            split(inputs, test_share=share)


def test_arrays_and_tables_are_split_as_tensors_are():
    values = np.arange(20.0).reshape(10, 2)
    labels = np.arange(10)
    expected = split(torch.tensor(values).float(), torch.tensor(labels))
    for inputs in (values, pd.DataFrame(values)):
        found = split(inputs, pd.Series(labels))
        assert torch.equal(found.train_inputs, expected.train_inputs)
        assert torch.equal(found.test_labels, expected.test_labels)
    with pytest.raises(TypeError, match="`labels` must"):
        split(values, ["a"] * 10)
