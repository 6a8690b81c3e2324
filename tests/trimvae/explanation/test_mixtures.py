"""Latents that are used and are mixtures of independent directions."""

import torch

from attributions.codes import Block
from attributions.measures.intervals import Estimate, Interval
from attributions.measures.unmixing import Unmixing
from tests.trimvae.explanation.made import Identity, linear
from trimvae import evaluate, explain
from trimvae.explanation.mixtures import of_mixtures, unmixed

TURN = torch.tensor([[0.8, 0.6, 0.0], [-0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
# Of all three, in every latent.
THREE = torch.tensor([[2.0, -1.0, 2.0], [2.0, 2.0, -1.0], [-1.0, 2.0, 2.0]]) / 3
NAMES = ["a", "b", "c"]


def factors(count=300, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.rand(count, 3, generator=generator) - 1.5


def warned(rows, *weights):
    predictor = linear(list(weights), [-weight for weight in weights])
    return [text for text in explain(Identity(), predictor, rows).warnings if "mixture" in text]


def found(gain=0.4, low=0.3, purity=(0.8, 0.8, 1.0), correlation=0.1):
    return Unmixing(Estimate(gain, Interval(low, 0.5)), torch.tensor(purity), correlation)


def test_mixtures_that_are_used_are_named_and_factors_are_not():
    (said,) = warned(factors(500) @ TURN, 1.0, 0.5, 1.0)
    assert said.startswith("z0 and z1 are mixtures of directions that are independent")
    assert "independent_axes" in said
    assert warned(factors(), 1.0, 0.5, 1.0) == []


def test_a_mixture_that_is_not_used_is_no_matter():
    assert warned(factors(500) @ TURN, 0.02, 0.02, 1.0) == []


def test_few_examples_say_nothing():
    assert warned(factors(199) @ TURN, 1.0, 0.5, 1.0) == []


def test_an_evaluation_has_the_gain_and_says_the_same():
    predictor = linear([1.0, 0.5, 1.0], [-1.0, -0.5, -1.0])
    turned = evaluate(Identity(), predictor, factors() @ THREE, n_alpha=5, n_beta=5)
    assert any("are mixtures" in text for text in turned.warnings)
    low, high = turned.intervals["unmixing_gain"]
    assert 0.15 < low < turned.metrics["unmixing_gain"] < high
    straight = evaluate(Identity(), predictor, factors(), n_alpha=5, n_beta=5)
    assert not any("mixture" in text for text in straight.warnings)
    assert straight.metrics["unmixing_gain"] < 0.1


def test_only_a_gain_beyond_chance_of_latents_that_do_not_correlate_is_told():
    shares = torch.tensor([0.5, 0.3, 0.2])
    assert of_mixtures(found(), shares, NAMES).startswith("a and b are mixtures")
    one = of_mixtures(found(), torch.tensor([0.5, 0.02, 0.48]), NAMES)
    assert one.startswith("a is a mixture of directions")
    assert of_mixtures(found(low=0.1), shares, NAMES) == ""
    assert of_mixtures(found(correlation=0.4), shares, NAMES) == ""
    assert of_mixtures(found(purity=(0.95, 0.99, 1.0)), shares, NAMES) == ""
    assert of_mixtures(found(purity=(torch.nan,) * 3), shares, NAMES) == ""
    assert of_mixtures(None, shares, NAMES) == ""


def test_categories_are_left_out():
    rows = torch.cat([factors() @ TURN, torch.eye(3)[torch.arange(300) % 3]], dim=1)
    blocks = (Block("real", 0, 3), Block("kind", 3, 6, "category"))
    apart = unmixed(rows, torch.zeros_like(rows), blocks)
    assert apart.purity.isnan().tolist() == [False] * 3 + [True] * 3
    assert unmixed(rows, torch.zeros_like(rows), (Block("kind", 0, 6, "category"),)) is None
