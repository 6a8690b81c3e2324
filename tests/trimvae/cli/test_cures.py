import pytest
import torch

from tests.trimvae.cli.test_preparing import ASKED
from tests.trimvae.explanation.made import by_hand
from trimvae.cli.cures import cure

KL = {"mutual_information": 4.0, "total_correlation": 1.0, "dimension_wise_kl": 2.0}


@pytest.fixture
def doubted():
    """80 examples of which a quarter keep no decision."""
    return by_hand().select([0, 1, 2, 3] * 20)


def test_what_can_be_trusted_needs_no_cure():
    trusted = by_hand(reencoded_outputs=by_hand().outputs)
    assert cure(trusted, KL, ASKED) == ""


def test_a_code_that_has_learned_little_needs_steps(doubted):
    little = dict.fromkeys(KL, 0.1)
    said = cure(doubted, little, ASKED._replace(epochs=5))
    assert said.startswith("train longer, --resume --epochs 20: ")
    assert "KL 0.30 nats" in said


def test_a_code_that_loses_the_decision_needs_a_larger_prediction_loss_or_latents(doubted):
    asked = ASKED._replace(prediction_weight=20.0)
    assert "--prediction-weight 100 " in cure(doubted, KL, asked)
    assert "75% of the decisions survive re-encoding" in cure(doubted, KL, asked)
    assert "--prediction-weight 20 " in cure(doubted, {}, ASKED._replace(prediction_weight=0.0))
    said = cure(doubted, KL, asked._replace(prediction_weight=100.0))
    assert f"--latent-size {2 * len(doubted.latent_names)} " in said


def test_evidence_in_the_residual_is_a_loss_too():
    residual = by_hand(latent_share=torch.full((4,), 0.25), reencoded_outputs=by_hand().outputs)
    assert "75% of the evidence is in no latent" in cure(
        residual, KL, ASKED._replace(prediction_weight=20.0)
    )
