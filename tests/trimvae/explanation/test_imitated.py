import pytest
import torch

from attributions.methods import exact_shapley
from tests.trimvae.tables.mixed import mixed_frame, pipeline
from trimvae import VAE, evaluate, explain
from trimvae.explanation.imitated import imitation_agreement, of_imitation


def settings(agreed, task="classification"):
    return {"training": {"imitation_agreement": agreed}, "task": task}


def test_only_a_code_that_was_trained_through_an_imitation_has_its_figure():
    assert imitation_agreement(settings(0.97)) == 0.97
    for training in (None, {}, "through the predictor", {"imitation_agreement": None}):
        assert imitation_agreement({"training": training}) is None
        assert of_imitation({"training": training, "task": "classification"}) == ""


def test_a_low_fidelity_is_warned_of_with_the_figure():
    assert of_imitation(settings(0.9)) == ""
    assert "shares 84% of the decisions: it keeps" in of_imitation(settings(0.84))
    assert "shares 50% of the outputs' variance" in of_imitation(settings(0.5, "regression"))


@pytest.mark.parametrize("agreed", [0.97, 0.7])
def test_explanation_and_evaluation_show_it_and_warn_below_the_bound(agreed):
    torch.manual_seed(0)
    frame = mixed_frame(60)
    vae, model = VAE.table(frame, latent_size=2, hidden=(8,)), pipeline(frame)
    vae.trained_with = {"imitation_agreement": agreed}
    explanation = explain(vae, model, frame[:20], method=exact_shapley)
    options = {"n_interventions": 8, "n_alpha": 3, "n_beta": 3}
    evaluation = evaluate(vae, model, frame[:20], method=exact_shapley, **options)
    for found in (explanation, evaluation):
        assert found.metrics["imitation_agreement"] == agreed
        warned = [text for text in found.warnings if "imitation of the predictor" in text]
        assert len(warned) == (agreed < 0.9)
    assert f"imitation_agreement  {agreed:>11}".split() in [
        line.split() for line in explanation.summary().splitlines()
    ]
