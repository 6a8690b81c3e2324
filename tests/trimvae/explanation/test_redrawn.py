"""Decoders that draw something else, classes for pictures, interactions; and honest codes."""

import pytest
import torch
from torch import nn

from attributions.measures.intervals import Estimate, Interval
from tests.trimvae.explanation.made import Identity, table_explanation
from tests.trimvae.explanation.textured import Discs, position_reader, textured_explanation
from trimvae import Explanation, explain
from trimvae.explanation.redrawn import (
    LEAST_DIRECTION,
    LEAST_DRAWN_VARIANCE,
    LEAST_REREAD,
    LEAST_STRENGTH,
    LEAST_WEAKEST_STRENGTH,
    of_redrawn,
)

NAMES = ["drawn_variance", "strength_correlation", "weakest_strength", "direction", "reread"]
INPUTS = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))


class Code(nn.Module):
    """Two functions."""

    def __init__(self, read, paint):
        super().__init__()
        self.read, self.paint = read, paint

    def encode(self, inputs):
        return self.read(inputs)

    def decode(self, latents):
        return self.paint(latents)


def total(inputs):
    """Two classes by a sum of three columns; the fourth is not read."""
    said = inputs[:, :3].sum(dim=1)
    return torch.stack([said, -said], dim=1)


def said_of(code, predictor=total, inputs=INPUTS, **options):
    return explain(code, predictor, inputs, **options)


def test_a_code_that_loses_nothing_has_full_marks():
    explanation = said_of(Identity())
    assert list(explanation.redrawn) == NAMES
    assert all(figure.value == pytest.approx(1) for figure in explanation.redrawn.values())
    assert [explanation.metrics[name] for name in NAMES] == pytest.approx([1] * 5)
    assert explanation.warnings == ()


def test_an_honest_code_of_discs_is_not_warned_of():
    explanation = textured_explanation(position_reader(), batch=64)
    assert of_redrawn(explanation.redrawn) == []
    assert explanation.redrawn["reread"].value > 0.95


def test_a_decoder_that_saturates_is_not_read_again():
    code = Code(lambda given: given, lambda latents: 1.2 * torch.tanh(8 * latents))
    explanation = said_of(code)
    share = explanation.metrics["reread"]
    assert share < 0.75
    (text,) = [text for text in explanation.warnings if "does not read what the decoder" in text]
    assert f"{max(share, 0):.0%} of the variance is left" in text


def test_means_of_classes_draw_little_and_keep_no_strength():
    noise = 2 * torch.randn(200, 20, generator=torch.Generator().manual_seed(1))
    wide = torch.cat([INPUTS, noise], dim=1)
    means = torch.stack([wide[wide[:, :3].sum(dim=1) * sign > 0].mean(dim=0) for sign in (1, -1)])
    code = Code(lambda given: 9 * total(given).sign(), lambda z: (z / 3).softmax(dim=1) @ means)
    explanation = said_of(code, inputs=wide)
    assert explanation.metrics["agreement"] == 1
    assert explanation.metrics["drawn_variance"] < LEAST_DRAWN_VARIANCE / 2
    assert abs(explanation.metrics["strength_correlation"]) < 0.4
    found = " ".join(explanation.warnings)
    assert "of what differs between inputs" in found
    assert "How strong the evidence is does not" in found


def test_one_class_that_is_always_drawn_alike_is_seen_among_others():
    def quarters(inputs):
        x, y = inputs[:, 0], inputs[:, 1]
        return torch.stack([x + y, x - y, y - x, -x - y], dim=1)

    def read(inputs):
        one = (inputs[:, :2] > 0).all(dim=1, keepdim=True)
        return torch.where(one, torch.tensor([0.9, 0.9, 0.0, 0.0]), inputs)

    explanation = said_of(Code(read, lambda latents: latents), quarters)
    figures = explanation.metrics
    assert (figures["agreement"], figures["weakest_strength"]) == (1, 0)
    assert figures["strength_correlation"] > LEAST_STRENGTH
    assert any("Of one class, how strong the" in text for text in explanation.warnings)
    whole = said_of(Identity(), quarters)
    assert whole.metrics["weakest_strength"] == pytest.approx(1)
    assert not any("Of one class" in text for text in whole.warnings)


def test_strength_that_is_lost_is_told_of_once_and_of_decisions_that_do_not_survive_too():
    below = Estimate(0.1, Interval(0.0, 0.2))
    (told,) = of_redrawn({"strength_correlation": below, "weakest_strength": below})
    assert "does not survive re-encoding (correlation 0.10)" in told
    assert "class survives" not in told


def test_inputs_that_are_all_the_same_have_no_strength_to_keep():
    torch.manual_seed(0)
    for count in (60, 64):
        network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
        code = Code(nn.Linear(6, 3).requires_grad_(False), nn.Linear(3, 6).requires_grad_(False))
        same = torch.randn(1, 6).repeat(count, 1)
        found = explain(code, network, same, n_steps=2).redrawn
        assert not found.keys() & {"strength_correlation", "weakest_strength"}


def test_an_exclusive_or_is_named_an_interaction():
    def either(inputs):
        said = inputs[:, 0] * inputs[:, 1]
        return torch.stack([said, -said], dim=1)

    explanation = said_of(Identity(), either)
    assert explanation.metrics["direction"] < 0.25
    assert any("act together (interaction)" in text for text in explanation.warnings)


def test_warnings_begin_where_the_whole_interval_is_below_the_bound():
    bounds = {
        "reread": LEAST_REREAD,
        "drawn_variance": LEAST_DRAWN_VARIANCE,
        "strength_correlation": LEAST_STRENGTH,
        "weakest_strength": LEAST_WEAKEST_STRENGTH,
        "direction": LEAST_DIRECTION,
    }
    for name, bound in bounds.items():
        below = Estimate(bound - 0.1, Interval(bound - 0.2, bound - 0.01))
        perhaps = Estimate(bound - 0.1, Interval(bound - 0.2, bound + 0.01))
        assert len(of_redrawn({name: below})) == 1
        assert of_redrawn({name: perhaps}) == []
        assert of_redrawn({name: Estimate(bound + 0.1, None)}) == []
    assert "nothing of what differs" in of_redrawn({"drawn_variance": Estimate(-2.0, None)})[0]


def test_what_is_not_drawn_does_no_harm_where_the_residual_is_added_back():
    first = Code(lambda given: given[:, :3], lambda z: torch.cat([z, 0 * z[:, :1]], dim=1))
    wide = INPUTS * torch.tensor([1.0, 1.0, 1.0, 9.0])
    told = [said_of(first, inputs=wide, residual=residual).warnings for residual in (False, True)]
    assert any("of what differs between inputs" in text for text in told[0])
    assert told[1] == ()


def test_few_examples_a_search_and_silent_evidence_are_left_out():
    assert said_of(Identity(), inputs=INPUTS[:19]).redrawn == {}
    assert table_explanation(check_parts=False, batch=30).redrawn == {}
    searching = Identity()
    searching.inversion_steps = 10
    assert list(said_of(searching).redrawn) == NAMES[:4]
    silent = said_of(Identity(), lambda inputs: inputs[:, :2] * 0 + torch.tensor([2.0, 0.0]))
    assert list(silent.redrawn) == NAMES[:1]


def test_a_quantity_is_asked_as_well():
    explanation = said_of(Identity(), lambda inputs: inputs[:, :2].sum(dim=1, keepdim=True))
    assert explanation.task == "regression"
    assert explanation.metrics["strength_correlation"] == pytest.approx(1)


def test_figures_survive_a_file_and_a_choice_of_examples(tmp_path):
    explanation = said_of(Identity())
    explanation.save(tmp_path / "saved")
    assert Explanation.load(tmp_path / "saved").redrawn == explanation.redrawn
    assert explanation.select([0, 1]).redrawn == explanation.redrawn


def test_neither_code_nor_inputs_nor_randomness_change():
    code, inputs = Discs(), Discs().decode(torch.randn(30, 3))
    before = inputs.clone()
    state = torch.random.get_rng_state()
    explain(code, position_reader(), inputs, n_steps=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(inputs, before)
