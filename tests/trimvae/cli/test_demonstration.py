import subprocess
import sys

import pytest
import torch

from tests.trimvae.cli.command_line import content
from trimvae.cli import demo_data, demonstration
from trimvae.cli.starting import Start
from trimvae.storage import write_tensors


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures_and_nothing_of_the_callers_changes(
    tmp_path, monkeypatch
):
    chosen = demo_data.DATASETS["breast-cancer"]
    short = chosen._replace(classifier_epochs=2)
    monkeypatch.setitem(demo_data.DATASETS, "breast-cancer", short)
    monkeypatch.setattr(demonstration, "N_STEPS", 4)
    monkeypatch.setattr(demonstration, "N_STEPS_REPORTED", 4)
    state = torch.get_rng_state()
    found, said = [], []
    for folder, seed in (("one", 5), ("again", 5), ("other", 6)):
        metrics = demonstration.run(
            Start(tmp_path / folder),
            dataset="breast-cancer",
            seed=seed,
            epochs=1,
            say=said.append,
            progress=False,
        )
        for name in demonstration.ARMS:
            metrics[name].pop("train_seconds")
        found.append(metrics)
    assert found[0] == found[1]
    assert found[0]["trim"] != found[2]["trim"]
    assert found[0]["plain"] != found[0]["trim"]
    stages = [line[:3] for line in said if line[0].isdigit()]
    assert stages == 3 * ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert sum(line.startswith("The two codes ") for line in said) == 3
    assert torch.equal(torch.get_rng_state(), state)
    assert content(tmp_path / "one").keys() == content(tmp_path / "other").keys()


def test_the_classifier_that_a_demo_leaves_behind_needs_its_folder_alone(folder):
    (folder / "classifier.py").write_text(
        demonstration.CLASSIFIER_FILE.format(dataset="breast-cancer")
    )
    classifier = demo_data.DATASETS["breast-cancer"].new_classifier()
    write_tensors(folder / "classifier.safetensors", classifier.state_dict(), "classifier", {})
    done = subprocess.run(
        [sys.executable, "-c", "import classifier; print(classifier.classifier().training)"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.stdout == "False\n", done.stderr
