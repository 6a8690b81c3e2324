"""Every figure has its sentence, and none is left that no figure needs."""

from pathlib import Path

import torch
from torch import nn

from tests.trimvae.evaluation.rules import OPTIONS
from trimvae import VAE, evaluate
from trimvae.evaluation.meanings import MEANINGS, meaning_of


def test_every_figure_of_an_evaluation_has_a_meaning_and_every_meaning_a_figure():
    vae = VAE.dense((6,), latent_size=3, hidden=(16,))
    predictor = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    vae.trained_with = {"imitation_agreement": 1.0}
    inputs = 10 * torch.randn(200, 6)
    labels = torch.arange(200) % 4
    options = {**OPTIONS, "labels": labels, "judges": [predictor], "n_interventions": 200}
    found = evaluate(vae, predictor, inputs, **options)
    assert [name for name in found.metrics if not meaning_of(name)] == []
    used = {meaning_of(name) for name in found.metrics}
    assert [name for name, text in MEANINGS.items() if text not in used] == []


def test_a_meaning_is_one_sentence_without_its_full_stop():
    for name, text in MEANINGS.items():
        assert not text[0].isupper(), name
        assert not text.endswith("."), name
    assert meaning_of("nonsense") == ""


def test_the_documentation_says_the_same():
    text = (Path(__file__).parents[3] / "docs" / "trust.md").read_text(encoding="utf-8")
    assert [name for name, said in MEANINGS.items() if f"| `{name}` | {said} |" not in text] == []
