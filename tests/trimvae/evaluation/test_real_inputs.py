"""Figures that ask real inputs, where what is read and what is drawn are known."""

import pytest
import torch

from tests.trimvae.evaluation.rules import Rule, Straight
from tests.trimvae.explanation.made import linear
from tests.trimvae.explanation.textured import Discs, position_reader, texture_reader
from trimvae import explain
from trimvae.evaluation.figure import sample_of
from trimvae.evaluation.real_inputs import (
    entanglement_figures,
    following_figures,
    pair_figures,
)
from trimvae.explanation.asking import as_frozen


def asked(code, predictor, inputs, **options):
    explanation = explain(code, predictor, inputs, n_steps=8, **options)
    return as_frozen(code), explanation.trim, sample_of([explanation], len(inputs))


def of_discs(predictor, count=64):
    code = Discs()
    latents = torch.randn(count, 3, generator=torch.Generator().manual_seed(1)).clamp(-2, 2)
    return asked(code, predictor, code.decode(latents))


def test_a_perfect_code_follows_every_change_and_one_that_draws_another_cue_few():
    right = following_figures(*asked(Straight(), Rule(), torch.randn(100, 6)), shifted=None, seed=0)
    assert right.figures["following"].value == 1
    assert right.figures["following_by_chance"].value < 0.7
    wrong = following_figures(*of_discs(texture_reader()), shifted=None, seed=0)
    assert wrong.figures["following"].interval.high < 0.4
    assert any(cue.is_lost for cue in wrong.cues)


def test_every_kind_has_its_row_and_what_changed_nothing_has_no_share():
    found = following_figures(*of_discs(position_reader()), shifted=None, seed=0)
    assert found.by_change["noise"]["asked"] == 64
    rows = found.by_change.values()
    assert any(row["changed"] == 0 for row in rows)
    assert all(("following" in row) == (row["changed"] > 0) for row in rows)


def test_the_overall_share_is_the_mean_over_kinds_with_twenty_changed_decisions():
    found = following_figures(*of_discs(texture_reader()), shifted=None, seed=0)
    rows = [row for row in found.by_change.values() if row["changed"] >= 20]
    assert 0 < len(rows) < len(found.by_change)
    mean = sum(row["following"] for row in rows) / len(rows)
    overall = found.figures["following"]
    assert overall.value == pytest.approx(mean)
    assert overall.interval.low <= mean <= overall.interval.high
    chance = sum(row["by_chance"] for row in rows) / len(rows)
    beyond = found.figures["following_beyond_chance"]
    assert found.figures["following_by_chance"].value == pytest.approx(chance)
    assert beyond.value == pytest.approx(mean - chance)
    assert beyond.interval.high < 0  # it goes where the texture is not


def test_inputs_that_the_caller_shifted_are_a_kind_of_their_own():
    code, trim, sample = asked(Straight(), Rule(), torch.randn(50, 6))
    found = following_figures(code, trim, sample, shifted=-sample.inputs[:30], seed=0)
    assert found.by_change["shifted"] == {
        "asked": 30,
        "changed": 30,
        "following": 1.0,
        "by_chance": pytest.approx(0.5, abs=0.15),
        "stayed": 0.0,
    }


def test_textures_that_the_caller_swapped_are_followed_by_no_code_that_infers_them():
    code, trim, sample = of_discs(texture_reader())
    board = Discs().amplitude * Discs().board
    on = (sample.latents[:, :1] > 0).float().view(-1, 1, 1, 1)
    swapped = sample.inputs + (1 - 2 * on) * board
    found = following_figures(code, trim, sample, shifted=swapped, seed=0)
    assert found.by_change["shifted"]["following"] < 0.2
    assert next(cue for cue in found.cues if cue.kind == "shifted").is_lost


def test_one_class_changes_nothing_and_has_no_overall_share():
    inputs = torch.randn(40, 6)
    inputs[:, 0] = inputs[:, 0].abs() + 5
    found = following_figures(*asked(Straight(), Rule(), inputs), shifted=None, seed=0)
    assert found.figures == {}
    assert all(row == {"asked": 40, "changed": 0} for row in found.by_change.values())


def test_a_single_input_is_not_changed():
    found = following_figures(*asked(Straight(), Rule(), torch.randn(1, 6)), shifted=None, seed=0)
    assert found == ({}, {}, [])


def test_pairs_of_a_linear_rule_say_what_its_attributions_say():
    _, trim, sample = asked(
        Straight(), linear([1.0, 1.0, 0, 0, 0, 0], [0.0] * 6), torch.randn(200, 6)
    )
    found = pair_figures(trim, sample, 0)
    correlation = found.figures["real_pairs_correlation"]
    assert correlation.value > 0.6  # each latent is a half or more of what differs
    assert correlation.interval.low < correlation.value < correlation.interval.high
    assert set(found.by_latent) == {"z0", "z1"}  # of latents that are used
    assert found.by_latent["z0"]["real_pairs"] >= 8


def test_pairs_tell_where_the_predictor_reads_what_is_not_drawn():
    class Blind(Straight):
        """Draws every column with its sign turned."""

        def encode(self, inputs):
            return -inputs

    _, trim, sample = asked(Blind(), linear([1.0] + [0.0] * 5, [0.0] * 6), torch.randn(150, 6))
    found = pair_figures(trim, sample, 0).figures["real_pairs_correlation"]
    assert found.value < -0.6


def test_few_examples_have_few_pairs_and_no_correlation():
    _, trim, sample = asked(Straight(), Rule(), torch.randn(3, 6))
    found = pair_figures(trim, sample, 0)
    assert set(found.figures) == {"real_pairs"}
    assert found.figures["real_pairs"].value < 8
    assert found.by_latent == {}


def test_latents_that_go_together_are_measured_and_too_few_examples_are_not():
    inputs = torch.randn(100, 6, generator=torch.Generator().manual_seed(0))
    inputs[:, 1] = inputs[:, 0] + 0.5 * inputs[:, 1]
    predictor = linear([1.0, 1.0, 0.0, 0, 0, 0], [0.0] * 6)
    _, _, sample = asked(Straight(), predictor, inputs)
    rho = torch.corrcoef(inputs[:, :2].T)[0, 1]
    found = entanglement_figures(sample, 0)
    assert found["latent_correlation"].value == pytest.approx(float(rho), abs=1e-4)
    expected = -0.5 * torch.log(1 - rho**2)
    assert found["total_correlation"].value == pytest.approx(float(expected), abs=1e-4)
    assert (
        found["total_correlation"].interval.low
        < expected
        < found["total_correlation"].interval.high
    )
    assert entanglement_figures(asked(Straight(), predictor, inputs[:3])[2], 0) == {}
