"""Two explanations of the same inputs: which latents belong together, and what they share."""

import math

import pytest
import torch
from torch import nn

from tests.trimvae.explanation.made import by_hand
from trimvae import VAE, explain
from trimvae.explanation.comparison import compare


def test_latents_in_another_order_and_sign_are_matched():
    vae, inputs = VAE.dense((6,), latent_size=3, hidden=(16,)), torch.randn(12, 6)
    predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))

    class Turned(nn.Module):
        """The same code with its latents reversed, the first with another sign."""

        def encode(self, inputs):
            latents = vae.encode(inputs).mean[:, [2, 1, 0]]
            return latents * torch.tensor([-1.0, 1.0, 1.0])

        def decode(self, latents):
            return vae.decode((latents * torch.tensor([-1.0, 1.0, 1.0]))[:, [2, 1, 0]])

    one, other = explain(vae, predictor, inputs), explain(Turned(), predictor, inputs)
    found = one.compare(other)
    assert found.matched.tolist() == [2, 1, 0]
    torch.testing.assert_close(
        found.latent_correlation, torch.ones(3, dtype=torch.float64), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(found.share[0], found.share[1], atol=2e-3, rtol=0)
    assert found.same_decisions == 1
    assert found.rank_correlation == pytest.approx(1)


def test_a_permutation_is_undone_and_shares_go_with_their_latents():
    latents = torch.randn(20, 3)
    rows = [0, 1, 2, 3] * 5
    one = by_hand().select(rows)
    order = [1, 2, 0]
    one = by_hand_of(one, latents, one.attributions)
    other = by_hand_of(one, -latents[:, order], one.attributions[..., order])
    found = compare(one, other)
    assert found.matched.tolist() == [2, 0, 1]
    torch.testing.assert_close(found.share[0], one.shares.double())
    torch.testing.assert_close(found.share[1], one.shares.double())


def by_hand_of(weighed, latents, attributions):
    held = {**weighed.tensors(), "latents": latents, "attributions": attributions}
    return by_hand(**held)


def second_latent_of(weighed):
    """The same through a code that has this latent alone."""
    return by_hand(
        latents=weighed.latents[:, 1:2],
        attributions=weighed.attributions[..., 1:2],
        total_variation=None,
        latent_names=("only",),
    )


def test_a_code_with_fewer_latents_leaves_some_without_a_match():
    one = by_hand()
    found = compare(one, second_latent_of(one))
    assert found.matched.tolist() == [-1, 0, -1]
    assert found.latent_correlation.tolist() == [0, pytest.approx(1), 0]
    assert found.share[1].tolist() == [0, 1, 0]
    assert math.isnan(found.rank_correlation)
    assert "monotonicity" not in found.metrics
    assert "no match" in found.summary()


def test_the_correlation_of_matched_latents_is_pearsons():
    one = by_hand()
    noisy = one.latents + torch.tensor([[0.5], [-0.5], [0.2], [0.1]])
    found = compare(one, by_hand(latents=noisy))
    for latent in range(3):
        match = int(found.matched[latent])
        pair = torch.stack([one.latents[:, latent], noisy[:, match]])
        expected = abs(float(torch.corrcoef(pair)[0, 1]))
        assert float(found.latent_correlation[latent]) == pytest.approx(expected, abs=1e-5)


def test_figures_stand_side_by_side_and_decisions_are_compared_at_the_inputs():
    one = by_hand()
    other = by_hand(outputs=one.outputs[[0, 1, 3, 2]])  # two of four are decided otherwise
    found = compare(one, other)
    assert found.metrics["agreement"] == (one.metrics["agreement"], other.metrics["agreement"])
    assert found.same_decisions == 0.5
    assert "agreement                     0.75      0.25" in found.summary()
    assert math.isnan(compare(one, by_hand({"task": "regression"})).same_decisions)


def test_rank_correlation_is_of_shares_not_of_latents():
    one = by_hand()
    turned = by_hand(attributions=one.attributions[..., [2, 1, 0]])
    assert compare(one, turned).rank_correlation == pytest.approx(-1)


def test_other_inputs_and_a_single_one_are_refused():
    one = by_hand()
    with pytest.raises(ValueError, match="`other` must explain the same inputs.* other values"):
        compare(one, by_hand(inputs=one.inputs + 1))
    with pytest.raises(ValueError, match=r"Got \(3, 2\) beside \(4, 2\)\."):
        compare(one, one.select([0, 1, 2]))
    with pytest.raises(ValueError, match="at least two"):
        compare(one.select([0]), one.select([0]))


def explained_alike(n=600, beyond=0.0, seed=0):
    """Two explanations with the same class means; of the rest they share what is said."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(n) % 3
    means = torch.tensor([[3.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 3.0]])[rows]
    shared, own = torch.randn(2, n, 3, generator=generator)
    third = torch.randn(n, 3, generator=generator)
    whole = by_hand().select([0, 2, 3] * (n // 3))
    latents = torch.randn(n, 3, generator=generator)
    found = []
    for noise in (own, third):
        scores = means + 0.5 * (beyond**0.5 * shared + (1 - beyond) ** 0.5 * noise)
        found.append(by_hand_of(whole, latents, scores.unsqueeze(1).expand(-1, 3, -1).clone()))
    return compare(*found)


@pytest.mark.parametrize("beyond", [0.0, 0.5, 1.0])
def test_agreeing_on_classes_alone_is_told_from_agreeing_on_examples(beyond):
    found = explained_alike(beyond=beyond)
    # On ten seeds within .06 of the truth.
    assert found.within_class_correlation == pytest.approx(beyond, abs=0.15)
    assert found.attribution_cosine > 0.9
    assert found.same_strongest > 0.9
    assert f"correlation within classes {found.within_class_correlation:.3f}" in found.summary()


def test_explanations_that_are_the_same_agree_in_every_figure_whatever_the_order():
    one = by_hand().select([0, 1, 2, 3] * 5)
    latents, order = torch.randn(20, 3), [1, 2, 0]
    one = by_hand_of(one, latents, one.attributions)
    other = by_hand_of(one, -latents[:, order], one.attributions[..., order])
    found = compare(one, other)
    assert found.same_strongest == 1
    assert found.attribution_cosine == pytest.approx(1)
    assert found.within_class_correlation == pytest.approx(1)
    against = compare(one, by_hand_of(one, latents, -one.attributions))
    assert against.same_strongest == 1
    assert against.attribution_cosine == pytest.approx(-1)
    assert against.within_class_correlation == pytest.approx(-1)


def test_a_latent_without_match_agrees_with_nothing():
    one = by_hand()
    found = compare(one, second_latent_of(one))
    strongest = one.target_attributions.abs().argmax(dim=1)
    assert found.same_strongest == pytest.approx((strongest == 1).double().mean().item())
    cosines = one.target_attributions[:, 1].abs() / one.target_attributions.norm(dim=1)
    assert found.attribution_cosine == pytest.approx(cosines.mean().item())
