"""Codes of planted factors agree where they hold the same, however they are turned."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from attributions import explanatory_axes
from attributions.codes import Block, encode
from attributions.measures import beyond_class
from tests.trimvae.recurrence.made import (
    FirstFour,
    Mixed,
    OneOutput,
    draw,
    of_first_four,
    of_last_four,
)
from trimvae import VAE, Consensus, consensus, explain

N = 400


@pytest.fixture(scope="module")
def inputs():
    return draw(N, 8)


@pytest.fixture(scope="module")
def codes():
    return [of_first_four(2), of_last_four(3), of_first_four(4), of_first_four(5)]


@pytest.fixture(scope="module")
def found(codes, inputs):
    """Three codes of the same, each turned, and the second, which holds something else."""
    return consensus(codes, FirstFour(), inputs)


def test_the_same_code_turned_at_random_agrees_fully(found):
    assert found.found_in.tolist() == [3, 3, 3, 3]
    assert found.recurring == (0, 1, 2, 3)
    same = [0, 2, 3]
    torch.testing.assert_close(
        found.correlation[:, same], torch.ones(4, 3, dtype=torch.float64), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(
        found.likeness[:, same], torch.ones(4, 3, dtype=torch.float64), atol=1e-3, rtol=0
    )
    for figure in ("same_strongest", "attribution_cosine", "within_class_correlation"):
        assert found.agreement[figure][same].min() > 0.98


def test_an_unrelated_code_is_never_the_reference_and_finds_nothing(found):
    assert found.reference == 0
    assert not found.found[:, 1].any()
    assert found.likeness[:, 1].max() < 1e-6
    assert found.agreement["attribution_cosine"][1] == pytest.approx(0, abs=1e-6)


def test_axes_come_in_the_order_and_sign_of_the_reference(found, inputs):
    ours = found.encode(inputs)
    for place in (2, 3):
        torch.testing.assert_close(found.codes[place].encode(inputs), ours, atol=5e-3, rtol=0)
    assert torch.equal(found.matched, torch.arange(4).unsqueeze(1).expand(4, 4))


def test_the_other_code_is_turned_to_the_best_order_it_has(found, inputs):
    """Matched axes correlate, with the same sign, as far as they do at all."""
    held = inputs[N * 3 // 4 :]
    ours, theirs = (found.codes[place].encode(held).double() for place in (0, 1))
    pairs = torch.corrcoef(torch.cat([ours, theirs], dim=1).T)[:4, 4:]
    torch.testing.assert_close(pairs.diagonal(), found.correlation[:, 1], atol=1e-6, rtol=0)


def test_codes_draw_what_they_drew_and_the_caller_s_stay(codes, found, inputs):
    for code, seen in zip(codes, found.codes, strict=True):
        torch.testing.assert_close(
            seen.decode(seen.encode(inputs)), code.decode(code.encode(inputs)), atol=1e-5, rtol=0
        )
    for code, fresh in zip(codes, (2, 3, 4, 5), strict=True):
        made = of_last_four(fresh) if fresh == 3 else of_first_four(fresh)
        assert torch.equal(code.matrix, made.matrix)
        assert code.matrix.requires_grad
        assert code.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_agreement_is_of_held_out_attributions(found, inputs):
    """The figure as its words say it, of explanations of the last quarter."""
    held, predictor = inputs[N * 3 // 4 :], FirstFour()
    one, other = (
        explain(found.codes[place], predictor, held, n_steps=8) for place in (found.reference, 2)
    )
    left, right = (
        beyond_class(each.target_attributions.double(), each.predicted) for each in (one, other)
    )
    expected = (left * right).sum() / (left.norm() * right.norm())
    assert found.agreement["within_class_correlation"][2] == pytest.approx(
        float(expected), abs=1e-6
    )
    torch.testing.assert_close(found.shares, one.shares.double(), atol=1e-6, rtol=0)


def test_a_smaller_code_leaves_axes_unmatched(inputs):
    """What it has of the last axis of the others, it has first."""
    whole = torch.eye(8)[:4]
    found = consensus(
        [Mixed(whole), Mixed(whole), Mixed(-whole[[3, 1]])], OneOutput(), inputs, n_steps=4
    )
    order = found.code.encode(torch.eye(8)[:4]).abs().argmax(dim=1)  # axis of each input
    there = {int(order[1]), int(order[3])}
    assert {axis for axis in range(4) if found.matched[axis, 2] >= 0} == there
    counts = {axis: int(found.found_in[axis]) for axis in range(4)}
    assert counts == {axis: 3 if axis in there else 2 for axis in range(4)}
    for axis in there:
        theirs = found.codes[2].encode(inputs)[:, found.matched[axis, 2]]
        torch.testing.assert_close(theirs, found.encode(inputs)[:, axis])


class Blocked(Mixed):
    """A category of two, a factor each, before and after which stand real latents."""

    blocks = (Block("first", 0, 1), Block("kind", 1, 3, "categorical"), Block("rest", 3, 5))


def test_axes_are_ordered_within_their_blocks_alone(inputs):
    """The second code has the same with the last two swapped, and a sign turned in each block."""
    basis = torch.eye(8)[:5]
    turned = basis[[0, 1, 2, 4, 3]] * torch.tensor([[-1.0], [1.0], [-1.0], [1.0], [-1.0]])
    found = consensus([Blocked(basis), Blocked(turned)], OneOutput(), inputs, n_steps=4)
    assert found.blocks == Blocked.blocks
    assert found.found_in.tolist() == [2] * 5
    assert found.matched[:, 1].tolist() == [0, 1, 2, 3, 4]
    ours, theirs = found.encode(inputs), found.codes[1].encode(inputs)
    torch.testing.assert_close(theirs[:, [0, 1, 3, 4]], ours[:, [0, 1, 3, 4]])
    torch.testing.assert_close(theirs[:, 2], -ours[:, 2])  # a category has no other sign


def test_bounds_decide_what_is_found(inputs):
    """Correlation with a latent that is half noise is known: it is found below and not above."""

    class Noisy(Mixed):
        def encode(self, inputs):
            return (super().encode(inputs) + inputs[:, 4:6]) / 2**0.5

    basis = torch.eye(8)[:2]
    asked = {"n_steps": 4, "held_out": 0.0}
    codes = [Mixed(basis), Noisy(basis)]
    found = consensus(codes, OneOutput(), inputs, **asked)
    # On ten seeds within .06 of the truth.
    torch.testing.assert_close(
        found.correlation[:, 1], torch.full((2,), 0.5**0.5).double(), atol=0.12, rtol=0
    )
    torch.testing.assert_close(found.likeness[:, 1], torch.ones(2).double(), atol=1e-6, rtol=0)
    low, high = (found.correlation[:, 1].min().item(), found.correlation[:, 1].max().item())
    below = consensus(codes, OneOutput(), inputs, least_correlation=low - 1e-6, **asked)
    above = consensus(codes, OneOutput(), inputs, least_correlation=high + 1e-6, **asked)
    assert below.found_in.tolist() == [2, 2]
    assert above.found_in.tolist() == [1, 1]


def test_what_correlates_and_draws_elsewhere_is_not_found(inputs):
    class Elsewhere(Mixed):
        def decode(self, latents):
            return super().decode(latents).roll(1, dims=1)

    basis = torch.eye(8)[[0, 2]]
    found = consensus([Mixed(basis), Elsewhere(basis)], OneOutput(), inputs, n_steps=4)
    torch.testing.assert_close(found.correlation, torch.ones(2, 2).double())
    assert found.likeness[:, 1].tolist() == [0, 0]
    assert found.found_in.tolist() == [1, 1]
    assert found.recurring == ()


def vaes(count=2):
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(VAE.dense((8,), latent_size=3, hidden=(8,)))
    return made


def test_vaes_stay_vaes_apart_from_the_caller_s_and_the_same_call_gives_the_same(inputs):
    from trimvae import fit

    codes, predictor = vaes(), OneOutput()
    for code in codes:
        fit(code, predictor, inputs[:64], max_epochs=1, progress=False)
    state = torch.get_rng_state()
    before = [copy.deepcopy(code.state_dict()) for code in codes]
    found = consensus(codes, predictor, inputs, n_steps=4)
    assert torch.equal(torch.get_rng_state(), state)
    again = consensus(codes, predictor, inputs.numpy(), n_steps=4)
    assert torch.equal(found.encode(inputs).mean, again.encode(inputs).mean)
    assert found.to_dict() == again.to_dict()
    assert all(isinstance(code, VAE) for code in found.codes)
    assert found.found_in.shape == (3,)
    assert found.correlation.shape == found.likeness.shape == found.matched.shape == (3, 2)
    assert found.latent_names == ("axis0", "axis1", "axis2")
    assert found.trained_with == codes[found.reference].trained_with
    torch.testing.assert_close(found.prior.mean, torch.zeros(3))
    for code, held in zip(codes, before, strict=True):
        assert code.axes is None
        assert all(torch.equal(code.state_dict()[name], held[name]) for name in held)
    drawn = found.decode(torch.ones(1, 3))
    with torch.no_grad():
        for code in codes:
            for parameter in code.parameters():
                parameter.zero_()
    assert torch.equal(found.decode(torch.ones(1, 3)), drawn)


def test_no_later_training_of_a_code_reaches_the_consensus(inputs):
    codes = [of_first_four(1), of_first_four(2)]
    found = consensus(codes, OneOutput(), inputs, n_steps=4)
    drawn = found.decode(torch.ones(1, 4))
    with torch.no_grad():
        for code in codes:
            code.matrix.zero_()
    assert torch.equal(found.decode(torch.ones(1, 4)), drawn)
    assert drawn.any()


def test_a_code_that_is_seen_along_axes_already_is_turned_from_its_own_latents(inputs):
    from attributions import explanatory_axes

    predictor, (one, other) = OneOutput(), vaes()
    plain = consensus([one, other], predictor, inputs, n_steps=4)
    seen = [explanatory_axes(code, predictor, inputs) for code in (one, other)]
    found = consensus(seen, predictor, inputs, n_steps=4)
    assert torch.equal(found.encode(inputs).mean, plain.encode(inputs).mean)


def test_a_consensus_is_explained_like_its_reference_and_marked(found, inputs):
    predictor, few = FirstFour(), inputs[:20]
    ours, plain = (explain(code, predictor, few, n_steps=8) for code in (found, found.code))
    assert torch.equal(ours.attributions, plain.attributions)
    assert ours.recurrence == found.recurrence == ((3, 3, 3, 3), 4)
    assert plain.recurrence is None
    assert ours.top(1)[0].recurrence == "found again in 3 of 4 codes"
    assert plain.top(1)[0].recurrence is None
    assert "found again in 3 of 4 codes" in ours.summary()


@pytest.mark.parametrize(
    ("codes", "error", "message"),
    [
        ([], ValueError, "`codes` must be at least two. Got 0. Train the same code from another"),
        ([of_first_four(1)], ValueError, "`codes` must be at least two. Got 1."),
        (of_first_four(1), TypeError, "`codes` must be a list of codes. Got Mixed. Write "),
        (
            [of_first_four(1), nn.Linear(8, 2)],
            TypeError,
            "`codes` must all have the methods encode and decode. Got Linear at place 1. Pass VAEs",
        ),
        (
            [of_first_four(1), VAE.dense((6,), latent_size=2)],
            ValueError,
            r"`codes` must all be codes of `inputs`, of shape \(8,\). Got one of \(6,\) at place 1",
        ),
    ],
    ids=["none", "one", "no list", "no code", "other inputs"],
)
def test_what_is_no_several_codes_is_refused(inputs, codes, error, message):
    with pytest.raises(error, match=message):
        consensus(codes, FirstFour(), inputs)


def test_a_code_that_draws_something_else_is_refused(inputs):
    class Longer(Mixed):
        def decode(self, latents):
            return super().decode(latents).repeat(1, 2)

    with pytest.raises(ValueError, match=r"of shape \(8,\). Got one of \(16,\) at place 0. Leave"):
        consensus([Longer(torch.eye(8)), Mixed(torch.eye(8))], FirstFour(), inputs)


@pytest.mark.parametrize("name", ["least_correlation", "least_likeness"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_bounds_out_of_range_are_refused(inputs, name, value):
    codes = [of_first_four(1), of_first_four(2)]
    with pytest.raises(ValueError, match=f"`{name}` must be from 0 to 1. Got {value}. Use 0"):
        consensus(codes, FirstFour(), inputs, **{name: value})


def test_too_few_examples_to_hold_out_are_refused(inputs):
    codes = [of_first_four(1, 2), of_first_four(2, 2)]
    with pytest.raises(ValueError, match="at least 3 examples held out. Got 8, of which held_out="):
        consensus(codes, OneOutput(), inputs[:8])


def test_a_predictor_that_uses_nothing_leaves_nothing_to_agree_on(inputs):
    class Constant(FirstFour):
        def forward(self, inputs):
            return super().forward(0 * inputs)

    with pytest.warns(UserWarning, match="must vary over `inputs`"):
        found = consensus([of_first_four(1), of_first_four(2)], Constant(), inputs, n_steps=4)
    assert found.in_words.startswith("The two codes have nothing to agree on")
    assert found.agreement["within_class_correlation"].isnan().all()
    assert found.to_dict()["within_class_correlation"] == [None, None]
    assert np.isfinite(found.correlation.numpy()).all()


def test_the_posterior_of_the_reference_is_handed_on(inputs):
    found = consensus(vaes(), OneOutput(), inputs, n_steps=4)
    latents, deviations = encode(found, inputs[:3])
    torch.testing.assert_close(latents, found.code.encode(inputs[:3]).mean)
    assert deviations.min() > 0
    assert isinstance(found, Consensus)


def test_codes_may_be_seen_as_they_are(inputs):
    """The same latents in another order and sign, which no axes are fitted to."""
    whole = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(3)))[0][:4]
    found = consensus([Mixed(whole), Mixed(-whole[[2, 0, 3, 1]])], FirstFour(), inputs, layer=None)
    assert found.found_in.tolist() == [2, 2, 2, 2]
    torch.testing.assert_close(found.encode(inputs), inputs @ whole.T)
    torch.testing.assert_close(found.codes[1].encode(inputs), inputs @ whole.T)


def test_axes_that_a_code_was_trained_along_are_kept(inputs):
    turned = explanatory_axes(of_first_four(2), FirstFour(), inputs, held_out=0.25)
    found = consensus([turned, of_first_four(2)], FirstFour(), inputs, layer=None)
    kept = found.codes[0].encode(inputs)
    assert any(torch.allclose(kept, sign * turned.encode(inputs), atol=1e-5) for sign in (1, -1))
