"""What is added up over batches is what the measures say of all examples at once."""

import math

import pytest
import torch
from torch import nn

from attributions import Contrast
from attributions.measures import (
    class_dependence,
    class_dependence_of_class_directions,
    class_directions,
    class_told,
    classes_per_latent,
    participation_ratio,
    within_class_share,
)
from attributions.transforms import Fourier
from tests.trimvae.explanation.made import Identity, by_hand, table_explanation
from trimvae import VAE, explain
from trimvae.explanation import tautology
from trimvae.explanation.tautology import ClassTotals

NAMES = [
    "effective_latents_over_data",
    "class_dependence",
    "class_told",
    "class_dependence_of_class_directions",
    "within_class_share",
    "classes_per_latent",
]


def figures_of(*explanations):
    totals = ClassTotals()
    for explanation in explanations:
        totals.add(explanation)
    return totals.figures()


def whole_table(**options):
    return table_explanation(batch=60, n_steps=8, **options)


def test_figures_are_those_of_the_measures():
    explanation = whole_table()
    scores, predicted = explanation.target_attributions.double(), explanation.predicted
    moved = explanation.latents.double()  # from the prior mean, 0
    gradients = explanation.attributions.double() / moved.unsqueeze(1)
    along = class_dependence_of_class_directions(
        moved, gradients[range(60), predicted], gradients.mean(dim=0), predicted
    )
    shares = scores.abs().sum(dim=0) / scores.abs().sum()
    strongest = torch.nn.functional.one_hot(scores.abs().argmax(dim=1), scores.shape[1])
    members = torch.nn.functional.one_hot(predicted).double()
    expected = [
        participation_ratio(scores.abs().sum(dim=0)),
        class_dependence(scores, predicted),
        class_told(strongest.T.double() @ members),
        along,
        within_class_share(scores, predicted),
        (classes_per_latent(scores, predicted) * shares).sum(),
    ]
    found = figures_of(explanation)
    assert list(found) == NAMES
    assert list(found.values()) == pytest.approx([float(value) for value in expected], rel=1e-5)


@pytest.mark.parametrize("sizes", [[60], [1] * 60, [7, 53], [30, 1, 29]])
def test_figures_do_not_depend_on_the_batches(sizes):
    explanation = whole_table()
    parts = [explanation.select(part.tolist()) for part in torch.arange(60).split(sizes)]
    assert figures_of(*parts) == pytest.approx(figures_of(explanation), rel=1e-6)


def test_a_mean_far_from_0_cancels_nothing():
    """Squares about means that are merged; sums of squares would leave no digit here."""
    predicted = [0, 0, 1, 1]
    scores = torch.tensor([[1.0], [2.0], [4.0], [7.0]], dtype=torch.float64) + 1e9
    attributions = scores.unsqueeze(1).expand(4, 3, 1)
    made = by_hand(
        {"blocks": [["latents", 0, 1, "real", None]]},
        attributions=attributions,
        total_variation=None,
        outputs=torch.eye(3)[predicted],
        latents=torch.ones(4, 1),
        latent_names=("only",),
    )
    found = figures_of(*[made.select([index]) for index in range(4)])
    assert found["within_class_share"] == pytest.approx(5 / 21)


def test_the_first_examples_are_kept_to_turn_and_no_more(monkeypatch):
    explanation = whole_table()
    name = "class_dependence_of_class_directions"
    first = figures_of(explanation.select(range(35)))[name]
    assert first != pytest.approx(figures_of(explanation)[name], abs=1e-3)
    monkeypatch.setattr(tautology, "_MOST_KEPT", 35)
    parts = [explanation.select(part.tolist()) for part in torch.arange(60).split(20)]
    found = figures_of(*parts)
    assert found[name] == pytest.approx(first)
    monkeypatch.undo()
    rest = figures_of(explanation)
    assert {**found, name: rest[name]} == pytest.approx(rest)


def test_what_has_no_classes_has_only_the_latents_over_the_data():
    for options in (
        {"explained": Contrast(0, 1)},
        {"outputs": 1},
        {"outputs": 2, "task": "regression"},
    ):
        assert list(figures_of(whole_table(**options))) == NAMES[:1]
    one_class = whole_table()
    one_class = one_class.for_class(int(one_class.predicted[0]))
    assert list(figures_of(one_class)) == NAMES[:1]


def test_two_classes_have_one_direction_and_so_no_trivial_axes():
    for options in ({"outputs": 2}, {"outputs": 1, "task": "classification"}):
        found = figures_of(whole_table(**options))
        assert set(NAMES) - set(found) == {"class_dependence_of_class_directions"}


def test_only_one_block_of_real_latents_is_turned_and_only_along_a_path():
    left_out = {"class_dependence_of_class_directions"}
    assert set(NAMES) - set(figures_of(by_hand())) == left_out  # of two blocks
    for kind in ("categorical", "noise", "real"):
        block = {"blocks": [["latents", 0, 3, kind, None]]}
        assert (set(figures_of(by_hand(block))) == set(NAMES)) == (kind == "real")
        assert set(NAMES) - set(figures_of(by_hand(block, total_variation=None))) == left_out
    flat = nn.Sequential(nn.Flatten(), nn.Linear(140, 3))
    many = explain(Fourier((1, 140)), flat, torch.randn(12, 1, 140), n_steps=4)
    assert many.attributions.shape[2] > 128
    assert left_out.isdisjoint(figures_of(many))


class Turned(nn.Module):
    """A code seen along other axes."""

    def __init__(self, code, axes):
        super().__init__()
        self.code, self.axes = code, axes

    def encode(self, inputs):
        return self.code.encode(inputs).mean @ self.axes.T

    def decode(self, latents):
        return self.code.decode(latents @ self.axes)


def test_the_trivial_axes_are_what_explaining_along_them_finds():
    """The code is turned, and integrated gradients are taken anew through decoder and predictor."""
    vae = VAE.dense((6,), latent_size=4, hidden=(16,)).double()
    predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5)).double()
    with torch.no_grad():
        predictor[-1].weight.mul_(5)
    inputs = torch.randn(200, 6, dtype=torch.float64)
    plain = explain(vae, predictor, inputs, n_steps=8)
    gradients = plain.mean_gradients
    axes = class_directions(
        plain.latents, plain.of_target(gradients), gradients.mean(dim=0), plain.predicted
    )
    turned = explain(Turned(vae, axes), predictor, inputs, n_steps=8)
    torch.testing.assert_close(turned.attributions.sum(dim=2), plain.attributions.sum(dim=2))
    name = "class_dependence_of_class_directions"
    assert turned.metrics["class_dependence"] == pytest.approx(plain.metrics[name])
    assert turned.metrics[name] == pytest.approx(plain.metrics[name])
    assert plain.metrics["class_dependence"] != pytest.approx(plain.metrics[name], abs=1e-3)


def test_no_attribution_at_all_says_nothing():
    dead = by_hand(attributions=torch.zeros(4, 3, 3), total_variation=torch.zeros(4, 3, 3))
    found = figures_of(dead)
    assert math.isnan(found.pop("effective_latents_over_data"))
    assert found == {"class_dependence": 0, "class_told": 0}


def test_a_code_whose_latents_are_the_classes_is_as_trivial_as_can_be():
    predictor = nn.Linear(4, 4)
    nn.init.eye_(predictor.weight)
    nn.init.zeros_(predictor.bias)
    inputs = 3 * torch.eye(4).repeat(10, 1) + 0.1 * torch.randn(40, 4)
    found = explain(Identity(), predictor, inputs, n_steps=4).metrics
    assert found["class_dependence"] == pytest.approx(1)
    assert found["class_dependence_of_class_directions"] == pytest.approx(1)
    assert found["classes_per_latent"] == pytest.approx(1)
    assert found["within_class_share"] < 0.2
