"""Asking anew: traversals, counterfactuals, attributes and pixels of an explanation."""

import pytest
import torch
from torch import nn

from attributions import Contrast, Predictor
from attributions.measures.attfind import Attribute
from tests.trimvae.explanation.made import Identity, linear, table_explanation
from trimvae import VAE, explain


@pytest.fixture(scope="module")
def table():
    return table_explanation()


@pytest.fixture(scope="module")
def rule():
    """Latents are inputs; high values of the first speak for class 0, of the second for 1."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inputs = torch.randn(20, 3)
    predictor = linear([3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0])
    return explain(Identity(), predictor, inputs, n_steps=2)


def test_code_and_trim_are_those_that_were_explained(rule):
    assert isinstance(rule.code, Identity)
    torch.testing.assert_close(rule.trim(rule.latents), rule.explained_at)
    assert rule.trim.predictor is rule.select([0]).trim.predictor


def test_a_traversal_goes_from_end_to_end_of_the_range(rule):
    low, high = rule.ranges
    traversal = rule.traverse(4, 1, n_steps=5)
    torch.testing.assert_close(traversal.values, torch.linspace(low[1].item(), high[1].item(), 5))
    torch.testing.assert_close(traversal.inputs[:, 1], traversal.values)
    assert torch.equal(traversal.inputs[:, 0], rule.latents[4, 0].expand(5))
    assert rule.traverse(0, 0).values.shape == (9,)
    own = rule.traverse(4, 1, values=rule.latents[4, 1:2])
    torch.testing.assert_close(own.outputs, rule.outputs[4:5])


def test_traversals_of_what_is_not_there_are_refused(rule):
    with pytest.raises(ValueError, match="`example` must be from 0 to 19. Got 20"):
        rule.traverse(20, 0)
    for latent in (3, -1):
        with pytest.raises(ValueError, match=f"`latent` must be from 0 to 2. Got {latent}"):
            rule.traverse(0, latent)
    with pytest.raises(ValueError, match="`n_steps` must be at least 1"):
        rule.traverse(0, 0, n_steps=0)


def test_counterfactuals_stay_within_the_range_of_the_examples(rule):
    found = rule.counterfactuals([3, 1])
    low, high = rule.ranges
    assert found.latents.shape == (2, 3)
    own = found.latents == rule.latents[[3, 1]]
    within = (found.latents >= low - 1e-6) & (found.latents <= high + 1e-6)
    assert bool((within | own).all())
    far = rule.counterfactuals(target=2, low=torch.full((3,), -9.0), high=torch.full((3,), 9.0))
    assert bool(far.figures.valid.all())
    assert far.outputs.argmax(dim=1).tolist() == [2] * 20


def test_attributes_name_the_latent_and_direction_that_speak_for_a_class(rule):
    (first, *_) = rule.attributes(0, k=1)
    assert (first.latent, first.direction) == (0, 1)
    assert first.flipped > 0.9
    by_name = rule.rename(classes=["a", "b", "c"]).attributes("a", k=1)
    assert by_name == [first]
    against, *_ = rule.attributes(2)
    assert against.direction == 0
    with pytest.raises(ValueError, match="`target` must be a class: 0, 1, 2, or its number"):
        rule.attributes(3)


def test_pairs_show_the_examples_of_other_classes_that_move_most_first(rule):
    pair = rule.attribute_pairs(Attribute(0, 1, 1.0, 1.0), 0, 5)
    assert pair.before.shape == pair.after.shape == (5, 3)
    assert bool((pair.outputs_before.argmax(dim=1) != 0).all())
    high = rule.ranges[1][0]
    torch.testing.assert_close(pair.after[:, 0], high.expand(5))
    assert torch.equal(pair.after[:, 1:], pair.before[:, 1:])
    rise = (
        pair.outputs_after.softmax(dim=1)[:, 0] - pair.outputs_before.softmax(dim=1)[:, 0]
    ).tolist()
    assert rise == sorted(rise, reverse=True)
    everyone = rule.attribute_pairs(Attribute(0, 1, 1.0, 1.0), 0, 100)
    assert len(everyone.before) == int((rule.reencoded_outputs.argmax(dim=1) != 0).sum())
    least = (
        everyone.outputs_after.softmax(dim=1)[-1, 0] - everyone.outputs_before.softmax(dim=1)[-1, 0]
    )
    assert float(least) <= rise[-1]
    low = rule.attribute_pairs(Attribute(0, 0, 1.0, 1.0), 1, 2)
    torch.testing.assert_close(low.after[:, 0], rule.ranges[0][0].expand(2))


@pytest.mark.parametrize("residual", [False, True])
def test_maps_over_the_columns_add_up_to_each_attribution(residual):
    explanation = table_explanation(batch=6, n_steps=32, residual=residual)
    for example in (0, 5):
        maps = explanation.pixels(example)
        torch.testing.assert_close(
            maps.sum(dim=1), explanation.target_attributions[example], atol=1e-4, rtol=1e-3
        )
    one = explanation.pixels(5, [2])
    torch.testing.assert_close(one[0], maps[2])
    for wrong in ("a", 1.5, True, None):
        with pytest.raises(TypeError, match=f"`latents` must be a whole number. Got {wrong!r}"):
            explanation.pixels(0, [wrong])
    with pytest.raises(ValueError, match="`latents` must be from 0 to 2. Got "):
        explanation.pixels(0, [3])
    with pytest.raises(ValueError, match="`example` must be from 0 to 5"):
        explanation.pixels(6)


def test_maps_start_at_the_examples_own_baseline():
    explanation = table_explanation(batch=6, n_steps=32, baselines=torch.randn(6, 3))
    torch.testing.assert_close(
        explanation.pixels(2).sum(dim=1),
        explanation.target_attributions[2],
        atol=1e-4,
        rtol=1e-3,
    )


def test_what_is_moved_is_asked_in_logits_where_the_predictor_gives_probabilities():
    vae, inputs = VAE.dense((6,), latent_size=3, hidden=(16,)), torch.randn(5, 6)
    predictor = nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1))
    with pytest.warns(UserWarning, match="ends in a softmax"):
        explanation = explain(vae, predictor, inputs)
    traversal = explanation.traverse(0, 1)
    torch.testing.assert_close(
        traversal.outputs.softmax(dim=1), predictor(traversal.inputs).detach()
    )
    assert bool((traversal.outputs <= 0).all())
    assert explanation.counterfactuals([0]).outputs.softmax(dim=1).sum() == pytest.approx(1)
    torch.testing.assert_close(
        explanation.explained_at_inputs,
        explanation.trim.predictor.select(predictor(inputs).log()).detach(),
    )


def test_what_is_moved_is_asked_behind_the_preprocessing():
    network = linear([1.0, 2.0])
    made = Predictor(network, preprocess=lambda rows: rows + 10)
    inputs = torch.randn(4, 2)
    one = explain(Identity(), network, inputs, preprocess=lambda rows: rows + 10)
    other = explain(Identity(), made, inputs)
    assert torch.equal(one.traverse(0, 0).outputs, other.traverse(0, 0).outputs)
    torch.testing.assert_close(
        one.traverse(0, 0).outputs, network(one.traverse(0, 0).inputs + 10).detach()
    )


def test_a_regression_has_no_decision_to_flip_and_a_contrast_no_attributes(table):
    regression = table_explanation(outputs=1, n_steps=2)
    with pytest.raises(ValueError, match="`task` must be 'classification' for counterfactuals"):
        regression.counterfactuals()
    with pytest.raises(ValueError, match="`task` must be 'classification' of all classes"):
        regression.attributes(0)
    contrast = table_explanation(explained=Contrast(0, 1), n_steps=2)
    with pytest.raises(ValueError, match="Got a regression or a contrast"):
        contrast.attributes(0)
    assert contrast.counterfactuals([0]).latents.shape == (1, 3)


def test_the_class_of_a_counterfactual_is_named_or_numbered(rule):
    named, numbered = (rule.counterfactuals([0, 1], target=t) for t in (rule.class_names[2], 2))
    assert torch.equal(named.latents, numbered.latents)
    with pytest.raises(ValueError, match="`target` must be a class: .* Got 'nobody'"):
        rule.counterfactuals([0], target="nobody")


def test_counterfactuals_of_examples_that_are_not_there_are_refused(rule):
    for example in (len(rule.inputs), -1):
        with pytest.raises(ValueError, match=f"`example` must be from 0 .* Got {example}"):
            rule.counterfactuals([example])
