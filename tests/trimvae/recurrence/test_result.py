"""A consensus said in words and in plain values, from figures written by hand."""

import copy
import json

import pytest
import torch

from attributions.axes import Rotation
from attributions.transforms import Identity
from attributions.turned import AlongAxes, TurnedNormal
from trimvae import VAE
from trimvae.recurrence.result import Consensus, Found


def of_figures(found, shares, *, reference=0, likeness=None):
    """A consensus in which axes correlate 1 where they are found, and 0 where not."""
    correlation = torch.tensor(found, dtype=torch.float64)
    axes, codes = correlation.shape
    agreement = {
        name: torch.tensor([1.0, *[value] * (codes - 1)], dtype=torch.float64)
        for name, value in (
            ("same_strongest", 0.6),
            ("attribution_cosine", 0.5),
            ("within_class_correlation", 0.25),
        )
    }
    figures = Found(
        matched=torch.arange(axes).unsqueeze(1).expand(axes, codes),
        correlation=correlation,
        likeness=correlation.clone() if likeness is None else torch.tensor(likeness).double(),
        shares=torch.tensor(shares, dtype=torch.float64),
        agreement=agreement,
    )
    along = [AlongAxes(Identity((axes,)), Rotation(axes)) for _ in range(codes)]
    return Consensus(along, reference, figures, (0.7, 0.5))


@pytest.mark.parametrize(
    ("codes", "counts", "recurring"),
    [
        (2, [1, 2], (1,)),
        (3, [1, 2, 3], (1, 2)),
        (4, [1, 2, 3, 4], (1, 2, 3)),
        (5, [1, 2, 3, 4, 5], (2, 3, 4)),
    ],
)
def test_what_recurs_is_in_half_of_the_codes_and_not_in_its_own_alone(codes, counts, recurring):
    rows = [[1.0] * count + [0.0] * (codes - count) for count in counts]
    found = of_figures(rows, [1 / len(counts)] * len(counts))
    assert found.found_in.tolist() == counts
    assert found.recurring == recurring
    assert found.recurrence == (tuple(counts), codes)


def test_an_axis_is_found_where_both_figures_reach_their_bounds():
    found = of_figures([[1.0, 0.7, 0.69, 0.9, 0.9]], [1.0], likeness=[[1.0, 0.9, 0.9, 0.5, 0.49]])
    assert found.found.tolist() == [[True, True, False, True, False]]


def test_the_reference_s_own_axes_count_whatever_they_are():
    found = of_figures([[0.0, 1.0, 0.0]], [1.0], reference=0)
    assert found.found_in.tolist() == [2]


ALL, NONE = [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("rows", "shares", "said"),
    [
        (
            [ALL, ALL],
            [0.6, 0.4],
            "The three codes agree: all of 2 axes in use are found in at least two of them.",
        ),
        (
            [ALL, NONE],
            [0.6, 0.4],
            "The three codes agree in part: 1 of 2 axes in use is found in at least two of them.",
        ),
        (
            [ALL, NONE, NONE],
            [0.4, 0.3, 0.3],
            "The three codes disagree: only 1 of 3 axes in use is found in at least two of them.",
        ),
        (
            [NONE, NONE],
            [0.6, 0.4],
            "The three codes disagree: none of 2 axes in use are found in at least two of them.",
        ),
        (
            [ALL, NONE],
            [0.96, 0.04],
            "The three codes agree: the only axis in use is found in at least two of them.",
        ),
        (
            [NONE, ALL],
            [0.96, 0.04],
            "The three codes disagree: the only axis in use is not found in at least two of them.",
        ),
        (
            [[1.0, 1.0], [1.0, 1.0]],
            [0.5, 0.5],
            "The two codes agree: all of 2 axes in use are found in both.",
        ),
        ([ALL] * 2, [0.0, 0.0], "The three codes have nothing to agree on: the predictor uses no "),
        ([[1.0] * 12], [1.0], "The 12 codes agree: the only axis in use is found in at least six "),
        (
            [ALL] * 100,
            [0.01] * 100,
            "The three codes agree: all of 100 axes in use are found in at least two of them.",
        ),
    ],
)
def test_agreement_is_said_in_a_sentence(rows, shares, said):
    found = of_figures(rows, shares)
    assert found.in_words.startswith(said)
    assert found.summary().startswith(found.in_words)


def test_the_summary_tells_the_most_used_axes_first_with_means_over_the_others():
    found = of_figures(
        [[1.0, 0.9, 0.3], [1.0, 0.2, 0.4]],
        [0.25, 0.75],
        likeness=[[1.0, 0.8, 0.6], [1.0, 0.1, 0.2]],
    )
    lines = found.summary().splitlines()
    assert "the same strongest axis for 60% of the examples" in lines[1]
    assert "a cosine of 0.50, and beyond the class they correlate 0.25." in lines[1]
    assert lines[2] == (
        "  axis1 (75%): found in no other of 3 codes, correlation 0.30, likeness 0.15"
    )
    assert lines[3] == (
        "  axis0 (25%): found again in 2 of 3 codes, correlation 0.60, likeness 0.70"
    )
    assert len(of_figures([ALL] * 30, [1 / 30] * 30).summary().splitlines()) == 12


def test_plain_values_are_json_and_say_where_a_code_says_nothing():
    found = of_figures([ALL, NONE], [0.6, 0.4])
    found.agreement["within_class_correlation"][2] = torch.nan
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["found_in"] == [3, 1]
    assert (values["codes"], values["reference"], values["recurring"]) == (3, 0, [0])
    assert values["correlation"] == [ALL, NONE]
    assert values["within_class_correlation"] == [1.0, 0.25, None]
    assert values["in_words"] == found.in_words
    assert "beyond the class they correlate 0.12." in found.summary()  # nothing counts as 0


def test_it_is_the_reference_as_a_code():
    torch.manual_seed(0)
    axes = Rotation(2, matrix=torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    vaes = [VAE.dense((3,), latent_size=2, hidden=(4,)) for _ in range(2)]
    vaes[1] = vaes[1].with_axes(axes)
    figures = of_figures([[0.0, 1.0], [0.0, 1.0]], [0.6, 0.4])
    found = Consensus(
        vaes,
        1,
        Found(
            figures.matched,
            figures.correlation,
            figures.likeness,
            figures.shares,
            figures.agreement,
        ),
        (0.7, 0.5),
    )
    inputs = torch.randn(4, 3)
    assert found.code is found.codes[1]
    assert isinstance(found.encode(inputs), TurnedNormal)
    assert torch.equal(found.encode(inputs).mean, vaes[1].encode(inputs).mean)
    assert torch.equal(found.decode(inputs[:, :2]), vaes[1].decode(inputs[:, :2]))
    assert torch.equal(found.prior.mean, vaes[1].prior.mean)
    assert torch.equal(found.baseline(3), vaes[1].baseline(3))
    assert found.latent_names == ("axis0", "axis1")
    assert found.latent_size == 2
    assert found.blocks == ()
    assert not any(parameter.requires_grad for parameter in found.parameters())
    assert not found.code.training
    twin = copy.deepcopy(found)
    assert torch.equal(twin.encode(inputs).mean, found.encode(inputs).mean)


def test_a_code_without_prior_has_none_and_starts_where_it_starts():
    found = of_figures([ALL, ALL], [0.5, 0.5])
    assert found.prior is None
    assert found.baseline(2).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert found.trained_with is None
