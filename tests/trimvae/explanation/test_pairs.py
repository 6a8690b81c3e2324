"""Pairs of examples without and with an attribute."""

import pytest
import torch

from attributions.measures.attfind import Attribute, attribute_effects
from tests.trimvae.explanation.made import image_explanation, table_explanation
from trimvae.explanation.pairs import pairs_with

ATTRIBUTE = Attribute(latent=1, direction=1, effect=1.0, flipped=0.5)


@pytest.fixture(scope="module")
def table():
    return table_explanation(n_steps=2)


def pairs_of(explanation, target, count, effects=None):
    return pairs_with(explanation, *explanation._context, ATTRIBUTE, target, count, effects)


def test_only_the_attribute_s_latent_is_at_the_end_of_its_range(table):
    pair = pairs_of(table, 0, 3)
    with torch.no_grad():
        for before, after in zip(pair.before, pair.after, strict=True):
            (example,) = [
                place
                for place, row in enumerate(table.reconstructions)
                if torch.allclose(row, before)
            ]
            latents = table.latents[example].clone()
            latents[1] = table.ranges[1][1]
            torch.testing.assert_close(table.trim.decode(latents.unsqueeze(0))[0], after)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("explained", ["output", "centred_logit"])
def test_known_effects_choose_the_same_pairs_and_decode_no_others(outputs, explained):
    explanation = table_explanation(outputs, n_steps=2, task="classification", explained=explained)
    trim, decoded = explanation.trim, []
    effects = attribute_effects(trim, explanation.latents, *explanation.ranges)
    expected = pairs_of(explanation, 0, 2)
    code = explanation._context.code
    decode = code.decode
    code.decode = lambda latents: decoded.append(len(latents)) or decode(latents)
    try:
        pair = pairs_of(explanation, 0, 2, effects)
    finally:
        del code.decode
    assert decoded == [2]
    for one, other in zip(pair, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_none_is_shown_where_all_are_of_the_class():
    explanation = image_explanation(classes=2, batch=4)
    explanation.reencoded_outputs[:] = torch.tensor([9.0, 0.0])
    pair = pairs_of(explanation, 0, 3)
    assert [len(part) for part in pair] == [0, 0, 0, 0]


def test_effects_of_others_are_refused(table):
    effects = attribute_effects(table.trim, table.latents[:5], *table.ranges)
    with pytest.raises(ValueError, match=r"`effects` must have shape \(12, 2, 3, 4\). Got \(5, 2"):
        pairs_of(table, 0, 3, effects)
    with pytest.raises(ValueError, match="`effects` must have shape"):
        table.attribute_pairs(ATTRIBUTE, 0, effects=effects)
