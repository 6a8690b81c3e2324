"""Codes that draw the texture with the shape, and honest ones: are mixed inputs followed?"""

import pytest
import torch
from torch import nn

from attributions.measures.following import Following
from tests.trimvae.explanation.made import table_explanation
from tests.trimvae.explanation.textured import (
    Discs,
    position_reader,
    texture_reader,
    textured_explanation,
)
from trimvae import explain
from trimvae.explanation.cues import Cue, cues_in, mixed_cues, of_cues


def cue(share, stayed, changed=200, asked=256, mixed=True):
    return Cue("hybrid at 0.2", mixed, Following(share, stayed, 0.5, changed, asked))


def test_a_texture_that_goes_with_position_is_found_out_by_mixed_pictures():
    """The predictor follows the texture of the other picture, the code the position of its own."""
    explanation = textured_explanation(texture_reader(), batch=64)
    assert explanation.metrics["agreement"] > 0.95
    lost = [cue for cue in explanation.cues if cue.is_lost]
    assert lost
    assert all(cue.found.share < 0.2 and cue.found.stayed > 0.8 for cue in lost)
    assert any("The predictor reads what the code does not follow." in text
               for text in explanation.warnings)  # fmt: skip


def test_a_position_that_is_read_and_drawn_is_not():
    explanation = textured_explanation(position_reader(), batch=64)
    assert explanation.cues
    assert of_cues(explanation.cues) == ""


def test_a_predictor_that_reads_the_residual_only_is_never_followed():
    class FirstHalf(nn.Module):
        """Keeps three of six columns."""

        def encode(self, inputs):
            return inputs[:, :3]

        def decode(self, latents):
            return torch.cat([latents, torch.zeros_like(latents)], dim=1)

    inputs = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    reads_what_is_lost = lambda x: torch.stack([x[:, 3], 0 * x[:, 3] + 0.1], dim=1)  # noqa: E731
    cues = {cue.kind: cue for cue in explain(FirstHalf(), reads_what_is_lost, inputs).cues}
    residuals = cues["exchange of residuals"].found
    assert residuals.changed > 50
    assert residuals.share == pytest.approx(residuals.chance)
    reads_what_is_kept = lambda x: torch.stack([x[:, 0], 0 * x[:, 0] + 0.1], dim=1)  # noqa: E731
    cues = {cue.kind: cue for cue in explain(FirstHalf(), reads_what_is_kept, inputs).cues}
    assert cues["exchange of residuals"].found == Following(None, None, None, 0, 200)
    assert cues["exchange of 50% of the columns"].found.share == 1


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        (cue(0.12, 0.88), True),
        (cue(0.6, 0.2), False),
        (cue(0.45, 0.55), False),  # by chance
        (cue(0.2, 0.8, changed=15, asked=20), False),  # too few to tell
        (cue(0.2, 0.8, changed=40), False),  # the predictor reads something else
        (cue(0.2, 0.8, mixed=False), False),  # blurred, and not at odds
        (cue(0.0, 0.0), False),  # third classes
        (cue(None, None, changed=0), False),
    ],
)
def test_a_cue_is_lost_where_more_stay_than_follow_by_more_than_chance(found, lost):
    assert found.is_lost == lost
    assert bool(of_cues([found])) == lost


def test_the_worst_cue_is_said():
    said = of_cues([cue(0.3, 0.7), cue(0.1, 0.9), cue(0.9, 0.1)])
    assert "78% of the decisions change" in said
    assert "follows in 10% of these and stays in 90%" in said


def test_no_decision_that_changes_is_said_so():
    assert cue(None, None, changed=0).sentence == "Hybrid at 0.2: no decision changes."


def test_cues_survive_a_file(tmp_path):
    explanation = textured_explanation(texture_reader(), batch=32, n_steps=4)
    path = tmp_path / "explanation.safetensors"
    explanation.save(path)
    again = type(explanation).load(path)
    assert again.cues == explanation.cues
    assert cues_in([["blur", False, None, None, None, 0, 4]])[0].found.asked == 4


def test_a_regression_a_search_and_a_single_example_are_not_asked():
    assert table_explanation(outputs=1, n_steps=2).cues == ()
    assert table_explanation(batch=1, n_steps=2).cues == ()
    assert table_explanation(n_steps=2, check_parts=False).cues == ()
    explanation = textured_explanation(texture_reader(), batch=4, n_steps=2)
    seen = (explanation.inputs, explanation.reconstructions, explanation.outputs)
    searching = Discs()
    searching.inversion_steps = 100
    assert mixed_cues(searching, explanation.trim.predictor, *seen) == []
    searching.inversion_steps = 0
    assert len(mixed_cues(searching, explanation.trim.predictor, *seen)) == 4
