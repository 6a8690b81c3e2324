import torch
from torch.distributions import Normal

from trimvae.objectives import decomposition
from trimvae.training.posteriors import RecentPosteriors

PRIOR = Normal(torch.zeros(2), torch.ones(2))


def posterior(size: int) -> Normal:
    return Normal(torch.randn(size, 2), torch.rand(size, 2) + 0.1)


def test_what_an_epoch_saw_is_decomposed_as_a_whole_and_forgotten():
    recent, left, right = RecentPosteriors(), posterior(8), posterior(4)
    whole = Normal(torch.cat([left.mean, right.mean]), torch.cat([left.stddev, right.stddev]))
    seed = torch.Generator().manual_seed
    recent.add(left, PRIOR)
    recent.add(right, PRIOR)
    found = recent.decomposition(20, seed(0))
    expected = decomposition(whole, PRIOR, dataset_size=20, generator=seed(0))
    torch.testing.assert_close(torch.stack(found), torch.stack(expected))
    recent.add(left, PRIOR)
    again = recent.decomposition(20, seed(0))
    assert not torch.allclose(torch.stack(again), torch.stack(expected))


def test_only_the_latest_are_remembered():
    recent = RecentPosteriors(most=10)
    for size in (8, 8, 8):
        recent.add(posterior(size), PRIOR)
    assert recent._count == 16  # without the last batch it would be less than 10


def test_one_example_and_broken_ones_have_no_decomposition():
    generator = torch.Generator()
    for batch in (posterior(1), Normal(torch.full((3, 2), torch.nan), 1.0, validate_args=False)):
        recent = RecentPosteriors()
        recent.add(batch, PRIOR)
        assert recent.decomposition(None, generator) is None
