import pytest
import torch

from attributions.measures.stability import seed_stability


def test_stability_matches_permuted_and_flipped_latents():
    latents, scores = torch.randn(100, 4), torch.randn(100, 4) * torch.tensor([1.0, 2, 3, 4])
    order = torch.tensor([2, 0, 3, 1])
    found = seed_stability([latents, -latents[:, order]], [scores, scores[:, order]])
    assert torch.equal(order[found.matching], torch.arange(4))
    assert found.correlation.item() == pytest.approx(1)
    assert found.rank_correlation.item() == pytest.approx(1)
    with pytest.raises(ValueError, match="two tensors each, of one shape"):
        seed_stability([latents, latents[:, :3]], [scores, scores])


def test_codes_that_have_nothing_in_common_do_not_match():
    torch.manual_seed(0)
    latents = [torch.randn(2000, 4), torch.randn(2000, 4)]
    scores = [torch.randn(2000, 4) * torch.tensor([1.0, 2, 3, 4]) for _ in range(2)]
    found = seed_stability(latents, scores)
    assert found.correlation < 0.1
    assert sorted(found.matching.tolist()) == [0, 1, 2, 3]


def test_matched_latents_that_matter_in_another_order_are_told():
    latents = torch.randn(200, 4)
    strengths = torch.tensor([1.0, 2, 3, 4])
    scores = torch.randn(200, 4).sign() * strengths
    found = seed_stability([latents, latents], [scores, scores.flip(1)])
    assert found.correlation.item() == pytest.approx(1)
    assert found.rank_correlation.item() == pytest.approx(-1)


def test_a_dead_latent_is_matched_last():
    latents = torch.randn(200, 3)
    dead = latents.clone()
    dead[:, 1] = 0.5
    found = seed_stability([latents, dead], [latents, dead])
    assert found.matching.tolist() == [0, 1, 2]
    assert found.correlation.item() == pytest.approx(2 / 3)
