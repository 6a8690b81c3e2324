import pytest
import torch
from torch import nn

from attributions.measures.sanity import rank_correlation, reinitialised
from tests.cases import (
    convolutional_predictor,
)


def test_rank_correlation_is_scipys_also_with_ties():
    from scipy.stats import spearmanr

    left = torch.randn(8, dtype=torch.float64)
    right = torch.tensor([0.0, 0, 0, 1, 1, 2, 0, 3], dtype=torch.float64)
    expected = spearmanr(left.numpy(), right.numpy()).statistic
    assert rank_correlation(left, right).item() == pytest.approx(expected)
    assert rank_correlation(left, torch.ones(8)).isnan()


def test_a_reinitialised_predictor_forgets_and_leaves_the_original_alone():
    predictor = convolutional_predictor().eval()
    state = {name: value.clone() for name, value in predictor.state_dict().items()}
    rng = torch.get_rng_state()

    def seeded():
        return torch.Generator().manual_seed(1)

    twin = reinitialised(predictor, generator=seeded())
    assert torch.equal(rng, torch.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in predictor.state_dict().items())
    assert not torch.equal(twin[0].weight, predictor[0].weight)
    assert not twin.training
    torch.testing.assert_close(
        twin[0].weight, reinitialised(predictor, generator=seeded())[0].weight
    )

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with pytest.raises(ValueError, match=r"none resets: \['scale'\]"):
        reinitialised(Own())


def test_rank_correlation_sees_order_alone_and_every_row_for_itself():
    left = torch.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    right = torch.tensor([[1.0, 10.0, 100.0, 1000.0]] * 2)
    assert rank_correlation(left, right).tolist() == [1.0, -1.0]


def test_statistics_of_normalisation_start_anew_and_modes_are_kept():
    predictor = convolutional_predictor().train()
    predictor(torch.rand(4, 1, 28, 28))
    twin = reinitialised(predictor)
    assert not twin[1].running_mean.any()
    assert predictor[1].running_mean.any()
    assert twin.training
    assert all(parameter.requires_grad for parameter in twin.parameters())


def test_new_weights_follow_the_generator():
    predictor = nn.Linear(6, 3)

    def weight(seed):
        return reinitialised(predictor, generator=torch.Generator().manual_seed(seed)).weight

    assert torch.equal(weight(1), weight(1))
    assert not torch.equal(weight(1), weight(2))
    assert torch.equal(reinitialised(predictor).weight, reinitialised(predictor).weight)
