"""Shares with their intervals, and the first examples of all batches."""

import pytest
import torch

from attributions.measures.intervals import share_interval
from tests.trimvae.evaluation.rules import Rule, Straight
from trimvae import explain
from trimvae.evaluation.figure import measured_share, sample_of


def test_a_share_of_all_is_not_certain():
    assert measured_share(torch.ones(20)) == (1.0, share_interval(1.0, 20))
    assert measured_share(torch.tensor([True, False])).value == 0.5
    assert measured_share(torch.ones(0)) == (0.0, (0.0, 1.0))


def test_a_sample_is_the_first_examples_of_all_batches():
    inputs = torch.randn(15, 6)
    kept = [explain(Straight(), Rule(), part, n_steps=4) for part in inputs.split(6)]
    sample = sample_of(kept, 14)
    assert torch.equal(sample.inputs, inputs[:14])
    assert torch.equal(sample.outputs, Rule.forward(kept[0].trim.predictor.function, inputs[:14]))
    assert sample.latents.shape == sample.deviations.shape == (14, 6)
    assert float(sample.shares[0]) == pytest.approx(1)
    assert sample.latent_names == tuple(f"z{index}" for index in range(6))


def test_parts_are_those_of_a_first_batch_that_is_large_enough():
    inputs = torch.randn(40, 6)
    for size, told in ((19, False), (20, True)):
        kept = [explain(Straight(), Rule(), part, n_steps=4) for part in inputs.split(size)]
        assert kept[0].bundles
        assert sample_of(kept, 40).bundles == (kept[0].bundles if told else ())
