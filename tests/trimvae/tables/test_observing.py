import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal

from trimvae.tables.observing import Layout, Rows

LAYOUT = Layout(numbers=(0, 1), indicators=((1, 2),), categories=((3, 6),))


@pytest.fixture
def decoded():
    return torch.randn(4, 6, dtype=torch.float64, requires_grad=True)


def test_the_likelihood_is_that_of_torchs_own_distributions(decoded):
    rows = torch.tensor([[0.5, 0.0, 1.0, 0, 1, 0], [-1.0, 0.3, 0.0, 1, 0, 0]], dtype=torch.float64)
    found = Rows(decoded[:2], LAYOUT, scale=0.7).log_prob(rows).sum(dim=1)
    for row, mean, value in zip(rows, decoded, found, strict=False):
        expected = Normal(mean[0], 0.7).log_prob(row[0])
        expected = expected + Bernoulli(logits=mean[2]).log_prob(row[2])
        expected = expected + Categorical(logits=mean[3:]).log_prob(row[3:].argmax())
        if not row[2]:
            expected = expected + Normal(mean[1], 0.7).log_prob(row[1])
        torch.testing.assert_close(value, expected)


def test_a_missing_number_is_neither_asked_nor_drawn(decoded):
    rows = torch.tensor([[0.5, 0.0, 1.0, 0, 1, 0]], dtype=torch.float64)
    other = rows + torch.tensor([0, 9.0, 0, 0, 0, 0])
    some = Rows(decoded[:1], LAYOUT, scale=1.0)
    torch.testing.assert_close(some.log_prob(rows), some.log_prob(other))
    sure = decoded.detach().clone()
    sure[:, 2] = 50.0
    torch.testing.assert_close(LAYOUT.soft(sure)[:, 1], torch.zeros(4, dtype=torch.float64))


def test_expected_rows_are_probabilities_with_a_gradient(decoded):
    soft = Rows(decoded, LAYOUT, scale=1.0).mean
    torch.testing.assert_close(soft[:, 3:].sum(dim=1), torch.ones(4, dtype=torch.float64))
    assert bool(((soft[:, 2] > 0) & (soft[:, 2] < 1)).all())
    assert torch.autograd.gradcheck(LAYOUT.soft, decoded)
    assert torch.autograd.gradgradcheck(LAYOUT.soft, decoded)


def test_drawn_rows_are_whole_and_as_often_as_expected(decoded):
    torch.manual_seed(0)
    drawn = Rows(decoded, LAYOUT, scale=1.0).sample((4000,))
    assert drawn.shape == (4000, 4, 6)
    assert torch.equal(drawn[..., 3:].sum(dim=-1), torch.ones(4000, 4, dtype=torch.float64))
    assert set(drawn[..., 2:].unique().tolist()) == {0.0, 1.0}
    assert not bool((drawn[..., 1] * drawn[..., 2]).any())
    torch.testing.assert_close(
        drawn.mean(dim=0)[:, 2:], LAYOUT.soft(decoded.detach())[:, 2:], atol=0.05, rtol=0
    )
