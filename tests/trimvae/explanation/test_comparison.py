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
    assert "agreement                          0.75      0.25" in found.summary()
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


def test_latents_that_are_used_weigh_in_the_correlation_of_the_used():
    """x and z are the same latents in both, y is noise; shares decide what is seen of it."""
    generator = torch.Generator().manual_seed(0)
    latents, noise = torch.randn(2, 400, 3, generator=generator)
    one = by_hand().select([0, 1, 2, 3] * 100)
    theirs = torch.stack([latents[:, 0], noise[:, 1], -latents[:, 2]], dim=1)
    for shares in ([0.5, 0.1, 0.4], [0.1, 0.9, 0.0]):
        scores = torch.tensor(shares).expand(400, 3, 3).clone()
        found = compare(by_hand_of(one, latents, scores), by_hand_of(one, theirs, scores))
        assert found.matched.tolist() == [0, 1, 2]
        left = found.latent_correlation[1].item()
        assert found.used_correlation == pytest.approx(1 - shares[1] * (1 - left), abs=1e-5)


def test_each_side_counts_by_its_own_shares_and_the_order_does_not_matter():
    one = by_hand()
    other = by_hand(attributions=one.attributions[..., [2, 1, 0]])
    noisy = one.latents + torch.tensor([[0.5], [-0.5], [0.2], [0.1]])
    other = by_hand_of(other, noisy, other.attributions)
    forth, back = compare(one, other), compare(other, one)
    assert forth.used_correlation == pytest.approx(back.used_correlation)
    weights = (one.shares + other.shares[forth.matched]).double() / 2
    expected = (weights * forth.latent_correlation).sum().item()
    assert forth.used_correlation == pytest.approx(expected, rel=1e-6)
    alone = compare(one, second_latent_of(one))
    # The one that is left has all of the evidence there, and its own share here.
    assert alone.used_correlation == pytest.approx((1 + one.shares[1].item()) / 2, rel=1e-5)


class Drawing(nn.Module):
    """A code that draws each latent as a row of a matrix, and reads it off again."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def encode(self, inputs):
        return inputs @ torch.linalg.pinv(self.rows)

    def decode(self, latents):
        return latents @ self.rows


def drawings(rows, other, predictor=None):
    inputs = torch.randn(60, 3) @ rows
    predictor = predictor or nn.Linear(rows.shape[1], 3)
    return [explain(Drawing(each), predictor, inputs, n_steps=4) for each in (rows, other)]


def test_matched_latents_of_one_code_draw_alike_whatever_order_sign_and_scale():
    rows = torch.randn(3, 6)
    one, other = drawings(rows, torch.tensor([[2.0], [-1.0], [0.5]]) * rows[[2, 0, 1]])
    found = one.compare(other)
    assert found.matched.tolist() == [1, 2, 0]
    assert found.drawn_likeness == pytest.approx(1, abs=1e-5)
    assert found.used_correlation == pytest.approx(1, abs=1e-5)


def test_likeness_of_what_is_drawn_is_the_cosine_of_the_changes():
    """The second code finds the same latents, and draws two of them elsewhere, too."""
    inputs = torch.randn(60, 3) @ torch.eye(6)[:3]
    drawn = torch.eye(6)[:3] + torch.diag(torch.tensor([0.0, 1.0, 3.0]), 3)[:3]

    class Elsewhere(Drawing):
        def decode(self, latents):
            return latents @ drawn

    predictor = nn.Linear(6, 3)
    one = explain(Drawing(torch.eye(6)[:3]), predictor, inputs, n_steps=4)
    other = explain(Elsewhere(torch.eye(6)[:3]), predictor, inputs, n_steps=4)
    found = one.compare(other)
    cosines = torch.tensor([1.0, 1 / 2**0.5, 1 / 10**0.5])
    weights = (one.shares + other.shares) / 2
    assert found.used_correlation == pytest.approx(1, abs=1e-5)
    assert found.drawn_likeness == pytest.approx((weights * cosines).sum().item(), abs=1e-5)
    back = other.compare(one)
    assert back.drawn_likeness == pytest.approx(found.drawn_likeness, abs=1e-6)


def test_a_latent_without_match_draws_like_nothing():
    rows = torch.eye(6)[:3]
    one, other = drawings(rows, rows[:1])
    found = one.compare(other)
    assert found.matched.tolist() == [0, -1, -1]
    expected = (1 + one.shares[0].item()) / 2
    assert found.drawn_likeness == pytest.approx(expected, abs=1e-5)


def test_the_most_used_pairs_stand_for_a_code_of_many_latents():
    inputs, predictor = torch.randn(40, 20), nn.Linear(20, 3)
    asked = []

    class Counted(Drawing):
        def decode(self, latents):
            if not torch.is_grad_enabled() and len(latents) == 16:
                asked.append(len(latents))
            return super().decode(latents)

    one, other = (
        explain(code(torch.eye(20)), predictor, inputs, n_steps=4) for code in (Counted, Drawing)
    )
    asked.clear()
    assert one.compare(other).drawn_likeness == pytest.approx(1, abs=1e-5)
    assert asked == [16] * 32  # above and below, of 16 of the 20 latents


def test_without_the_code_nothing_can_be_drawn(tmp_path):
    one, other = drawings(torch.eye(6)[:3], torch.eye(6)[[2, 0, 1]])
    assert one.compare(other).drawn_likeness == pytest.approx(1, abs=1e-5)
    other.save(tmp_path / "explanation.safetensors")
    loaded = type(one).load(tmp_path / "explanation.safetensors")
    for found in (one.compare(loaded), loaded.compare(one)):
        assert math.isnan(found.drawn_likeness)
        assert found.used_correlation == pytest.approx(1, abs=1e-5)
        assert found.in_words.endswith("The latents that they use correlate 1.00.")


def test_explanations_of_nothing_have_nothing_in_common():
    dead = nn.Linear(6, 3)
    nn.init.zeros_(dead.weight)
    one, other = drawings(torch.eye(6)[:3], torch.eye(6)[:3], dead)
    found = one.compare(other)
    assert math.isnan(found.drawn_likeness)
    assert found.used_correlation == 0
    assert "beyond the class at least one says nothing." in found.in_words


@pytest.mark.parametrize(
    ("strongest", "within", "verdict"),
    [
        (0.70, 0.60, "The two explanations agree: "),
        (0.69, 0.60, "The two explanations agree in part: "),
        (0.70, 0.59, "The two explanations agree in part: "),
        (0.69, 0.59, "The two explanations do not agree: "),
        (0.90, math.nan, "The two explanations agree in part: "),
    ],
)
def test_agreement_is_said_in_words(strongest, within, verdict):
    one = by_hand()
    found = compare(one, one)._replace(same_strongest=strongest, within_class_correlation=within)
    assert found.in_words.startswith(verdict)
    assert f"the same strongest latent for {strongest:.0%} of the examples" in found.in_words
    assert found.summary().startswith(found.in_words)


def test_what_is_said_of_a_regression_is_beyond_the_mean():
    inputs, predictor = torch.randn(20, 6), nn.Linear(6, 1)
    one = explain(Drawing(torch.eye(6)), predictor, inputs, n_steps=4)
    assert "beyond the mean they correlate 1.00. " in one.compare(one).in_words


def test_what_is_no_explanation_is_not_compared():
    with pytest.raises(TypeError, match="`other` must be an explanation. Got int. Pass what"):
        compare(by_hand(), 3)
