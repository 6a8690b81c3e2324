"""Real inputs, changed: what is kept, what is taken, and what is refused."""

import pytest
import torch

from attributions.measures.changes import (
    changed_inputs,
    exchange_columns,
    exchange_residuals,
    hybrids,
)
from attributions.transforms import Bands


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def waves(frequency, size=32, height=0.5):
    """One cosine of a picture's own transform, so that its frequency is exactly known."""
    place = (torch.arange(size).double() + 0.5) / size
    wave = torch.cos(torch.pi * frequency * place)
    return height * wave.expand(1, 1, size, size)


@pytest.mark.parametrize("cutoff", [0.2, 0.5])
def test_a_hybrid_passes_half_of_an_amplitude_at_its_cutoff(cutoff):
    size, nothing = 40, torch.zeros(1, 1, 40, 40).double()
    for share in (0.5, 1.0, 2.0):
        frequency = share * cutoff * size
        kept = 0.5 ** (share**2)
        wave = waves(frequency, size)
        torch.testing.assert_close(hybrids(wave, nothing, cutoff), kept * wave)
        torch.testing.assert_close(hybrids(nothing, wave, cutoff), (1 - kept) * wave)


def test_a_hybrid_takes_shape_from_one_and_texture_from_the_other():
    coarse, fine = 0.5 + waves(1), 0.5 + waves(30, height=0.1)
    mixed = hybrids(coarse, fine, 0.3)
    bands = Bands((1, 32, 32)).double()
    energies = [bands.by_group(bands.encode(side).square())[0] for side in (coarse, fine, mixed)]
    assert energies[2][1] == pytest.approx(float(energies[0][1]), rel=0.2)
    assert energies[2][3] == pytest.approx(float(energies[1][3]), rel=0.2)


def test_no_value_leaves_the_range_of_the_inputs():
    inputs = torch.rand(20, 3, 16, 16)
    for change in changed_inputs(inputs, generator=seeded()):
        assert change.inputs.shape == inputs.shape
        assert change.inputs.min() >= inputs.min() - 1e-6, change.kind
        assert change.inputs.max() <= inputs.max() + 1e-6, change.kind


def test_every_kind_that_fits_is_made_once_and_says_what_it_mixes():
    def kinds(*shape):
        found = changed_inputs(torch.rand(6, *shape), generator=seeded())
        return {change.kind: change.mixed for change in found}

    hybrid = {f"hybrid at {cut}": True for cut in (0.2, 0.3, 0.4)}
    others = dict.fromkeys(("blur", "noise", "contrast", "occlusion", "shift"), False)
    assert kinds(1, 16, 16) == hybrid | others
    assert kinds(3, 16, 16) == hybrid | {"exchange of colour": True} | others
    assert kinds(1, 40) == hybrid | others
    columns = {f"exchange of {share}% of the columns": True for share in (75, 50, 25)}
    assert kinds(9) == columns | {"noise": False}


def test_everyone_is_mixed_with_another():
    """Pictures of one grey each: what is fine is taken from no one, a residual from another."""
    inputs = torch.arange(12.0).view(12, 1).expand(12, 5)
    mixed = exchange_residuals(inputs, torch.zeros(12, 5), generator=seeded()).inputs[:, 0]
    assert sorted(mixed.tolist()) == list(range(12))
    assert not (mixed == inputs[:, 0]).any()


def test_residuals_are_added_to_what_the_code_draws():
    inputs, drawn = torch.randn(2, 4), torch.randn(2, 4)
    mixed = exchange_residuals(inputs, drawn, generator=seeded()).inputs
    torch.testing.assert_close(mixed, drawn + (inputs - drawn).flip(0))


def test_columns_stay_in_their_share_and_others_are_drawn_for_every_row():
    mixed = exchange_columns(torch.zeros(40, 8), torch.ones(40, 8), 0.25, generator=seeded())
    assert (mixed.sum(dim=1) == 6).all()
    assert len(mixed.unique(dim=0)) > 10
    one = exchange_columns(torch.zeros(5, 1), torch.ones(5, 1), 0.75)
    assert (one == 1).all()  # a table of one column has nothing else to give


def test_colours_are_exchanged_and_what_is_grey_stays():
    inputs = torch.rand(8, 3, 6, 6) / 4 + 0.4
    changes = {change.kind: change.inputs for change in changed_inputs(inputs, generator=seeded())}
    mixed = changes["exchange of colour"]
    kept = (mixed.mean(dim=1) - inputs.mean(dim=1)).abs()
    tints = (mixed - mixed.mean(dim=1, keepdim=True)).flatten(1)
    own = (inputs - inputs.mean(dim=1, keepdim=True)).flatten(1)
    distance = torch.cdist(tints, own)
    assert kept.median() < 1e-6  # but for what would leave the range
    assert (distance.argmin(dim=1) != torch.arange(8)).all()


def test_a_shift_moves_and_repeats_the_edge():
    ramp = torch.arange(20.0).expand(50, 1, 20, 20).clone()
    changes = {change.kind: change.inputs for change in changed_inputs(ramp, generator=seeded())}
    moved = changes["shift"][:, 0, 10] - torch.arange(20.0)
    assert moved.abs().max() <= 3
    assert len(moved[:, 10].unique()) > 3
    assert (moved[:, 5:15] == moved[:, 10:11]).all()


def test_a_covered_square_shows_the_mean_and_the_rest_stays():
    inputs = torch.rand(30, 2, 10, 10)
    changes = {change.kind: change.inputs for change in changed_inputs(inputs, generator=seeded())}
    covered = changes["occlusion"]
    hidden = covered == inputs.mean(dim=0)
    assert (hidden.sum(dim=(1, 2, 3)) == 2 * 16).all()
    assert torch.equal(covered[~hidden], inputs[~hidden])


def test_the_generator_decides_and_nothing_else_is_drawn_from_or_changed():
    inputs = torch.rand(6, 1, 12, 12)
    before, state = inputs.clone(), torch.get_rng_state()
    one, same, other = (changed_inputs(inputs, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(inputs, before)
    assert torch.equal(state, torch.get_rng_state())
    for left, right in zip(one, same, strict=True):
        assert torch.equal(left.inputs, right.inputs)
    assert not torch.equal(one[0].inputs, other[0].inputs)


def test_constant_inputs_change_nothing_but_are_no_error():
    for change in changed_inputs(torch.full((4, 5), 2.0)):
        assert (change.inputs == 2).all()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: changed_inputs(torch.rand(1, 4)), "`inputs` must be at least two"),
        (lambda: changed_inputs(torch.rand(3, 1, 2, 2, 2)), "`inputs` must be tables"),
        (lambda: hybrids(torch.rand(2, 4), torch.rand(2, 4), 0.2), "pictures or series of one sh"),
        (
            lambda: hybrids(torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 5), 0.2),
            "pictures or series of one shape",
        ),
        (
            lambda: hybrids(torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4), 1.0),
            "`cutoff` must be above 0 and below 1. Got 1.0",
        ),
        (
            lambda: exchange_columns(torch.rand(2, 1, 4), torch.rand(2, 1, 4), 0.5),
            "must be tables",
        ),
        (
            lambda: exchange_columns(torch.rand(2, 4), torch.rand(2, 4), 0.0),
            "`kept` must be above 0 and below 1. Got 0.0",
        ),
        (lambda: exchange_residuals(torch.rand(2, 4), torch.rand(2, 5)), "two or more of one sh"),
        (lambda: exchange_residuals(torch.rand(1, 4), torch.rand(1, 4)), "two or more of one sh"),
    ],
)
def test_what_does_not_fit_is_refused(act, words):
    with pytest.raises(ValueError, match=words):
        act()
