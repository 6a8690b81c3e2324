import importlib.metadata
import json

import pytest
from captum.attr import FeatureAblation

from trimvae import VAE, explain, fit


@pytest.fixture
def vae():
    return VAE.dense((6,), latent_size=3, hidden=(16,))


def test_settings_say_how_it_was_made_and_are_plain_json(vae, predictor, inputs):
    settings = explain(vae, predictor, inputs, seed=5, method=FeatureAblation).settings
    assert settings == json.loads(json.dumps(settings))
    assert settings["method"] == "FeatureAblation"
    assert settings["seed"] == 5
    assert settings["training"] is None
    assert settings["residual"] is False
    assert settings["versions"]["torch"] == importlib.metadata.version("torch")
    assert set(settings) == {
        "task",
        "table",
        "explained_name",
        "explained",
        "contrast",
        "classes",
        "residual",
        "baselines_per_example",
        "blocks",
        "fixed_code",
        "method",
        "n_steps",
        "seed",
        "probabilities",
        "feature_names",
        "training",
        "recurrence",
        "versions",
        "quadrature",
        "bundles",
        "redrawn",
        "cues",
    }
    assert settings["quadrature"] is None
    assert explain(vae, predictor, inputs).settings["quadrature"] == "simpson"
    assert explain(vae, predictor, inputs, n_steps=2).settings["quadrature"] == "gauss"


def test_it_says_how_the_code_was_trained_also_after_a_file(tmp_path, vae, predictor, inputs):
    fit(vae, predictor, inputs, max_epochs=1, seed=7, progress=False)
    vae.save(tmp_path / "vae")
    settings = explain(VAE.load(tmp_path / "vae"), predictor, inputs, n_steps=2).settings
    assert settings["training"]["seed"] == 7
