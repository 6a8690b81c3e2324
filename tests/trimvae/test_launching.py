"""Explaining and evaluating where a Lightning Trainer runs: in one process, and in two."""

import json

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.trimvae.training.cases import finish, start
from trimvae import VAE, evaluate
from trimvae.explanation.sharding import explain_into
from trimvae.launching import evaluate_on, explain_on

FEW = {"n_interventions": 16, "n_alpha": 4, "n_beta": 3}


def trainer(**options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    return L.Trainer(accelerator="cpu", enable_model_summary=False, **quiet, **options)


@pytest.fixture
def asked():
    torch.manual_seed(0)
    vae = VAE.dense((6,), 3, hidden=(16,))
    return vae, nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.5)), torch.randn(40, 6)


def test_one_process_finds_what_the_plain_calls_find(asked, tmp_path):
    vae, predictor, inputs = asked
    vae.train()
    shards = explain_on(trainer(), tmp_path / "on", vae, predictor, inputs, shard_size=16)
    plain = explain_into(tmp_path / "plain", vae, predictor, inputs, shard_size=16)
    assert shards.complete
    assert len(shards) == len(plain) == 3
    for ours, theirs in zip(shards, plain, strict=True):
        assert torch.equal(ours.attributions, theirs.attributions)
    found = evaluate_on(trainer(), vae, predictor, inputs, **FEW)
    assert found.metrics == evaluate(vae, predictor, inputs, **FEW).metrics
    assert vae.training  # as they came
    assert predictor[1].training


class Module(L.LightningDataModule):
    """One loader for each purpose, of data that are there once they are prepared."""

    def prepare_data(self):
        torch.manual_seed(1)
        self.prepared = torch.randn(24, 6)

    def setup(self, stage):
        self.rows = {"fit": self.prepared, "predict": self.prepared[:10]}[stage]

    def train_dataloader(self):
        return DataLoader(TensorDataset(self.rows), batch_size=8)

    def predict_dataloader(self):
        return DataLoader(TensorDataset(self.rows), batch_size=8)


def test_a_data_module_gives_the_rows_to_explain(asked, tmp_path):
    vae, predictor, _ = asked
    shards = explain_on(trainer(), tmp_path, vae, predictor, Module())
    assert shards.examples == 10
    torch.manual_seed(1)
    assert torch.equal(shards[0].inputs, torch.randn(24, 6)[:10])


def test_a_data_module_without_a_loader_for_prediction_is_refused(asked, tmp_path):
    vae, predictor, _ = asked
    with pytest.raises(TypeError, match=r"`data.predict_dataloader` must give one DataLoader. Got"):
        explain_on(trainer(), tmp_path, vae, predictor, L.LightningDataModule())


def test_no_trainer_and_one_that_spawns_are_refused(asked, tmp_path):
    vae, predictor, inputs = asked
    with pytest.raises(TypeError, match="`trainer` must be a lightning.Trainer. Got str"):
        explain_on("ddp", tmp_path, vae, predictor, inputs)
    spawning = trainer(strategy="ddp_spawn", devices=2)
    with pytest.raises(ValueError, match="`trainer` must start scripts, .* Got .* spawn"):
        evaluate_on(spawning, vae, predictor, inputs)


def test_modes_are_back_where_the_work_fails(asked, tmp_path):
    vae, predictor, inputs = asked
    vae.train()
    with pytest.raises(ValueError, match="`shard_size` must be at least 1"):
        explain_on(trainer(), tmp_path, vae, predictor, inputs, shard_size=0)
    assert vae.training


SCRIPT = """
import json
import os
import sys
import lightning as L
import torch
from torch import nn
from torch.utils.data import IterableDataset
from trimvae import VAE
from trimvae.launching import evaluate_on, explain_on

torch.set_num_threads(1)
torch.manual_seed(0)
vae, predictor, inputs = VAE.dense((6,), 3, hidden=(16,)), nn.Linear(6, 4), torch.randn(37, 6)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(inputs)


def trainer(devices):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    return L.Trainer(
        accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto",
        enable_model_summary=False, **quiet,
    )


devices, folder = int(sys.argv[1]), sys.argv[2]
shards = explain_on(trainer(devices), folder, vae, predictor, Stream(), shard_size=5)
scores = torch.cat([shard.attributions for shard in shards]).tolist()
few = {"n_interventions": 16, "n_alpha": 4, "n_beta": 3, "batch_size": 8}
found = evaluate_on(trainer(devices), vae, predictor, inputs, **few)
rank = os.environ.get("LOCAL_RANK", "0")
with open(f"{folder}-{rank}.json", "w") as file:
    json.dump({"scores": scores, "figures": found.metrics}, file)
"""


@pytest.mark.slow
def test_two_processes_find_what_one_finds_in_the_order_of_a_stream(tmp_path):
    script = tmp_path / "predict.py"
    script.write_text(SCRIPT)
    for devices in (1, 2):
        finish(start(script, devices, tmp_path / f"on{devices}"))
    one = json.loads((tmp_path / "on1-0.json").read_text())
    assert len(one["scores"]) == 37
    for rank in (0, 1):
        two = json.loads((tmp_path / f"on2-{rank}.json").read_text())
        torch.testing.assert_close(
            torch.tensor(two["scores"]), torch.tensor(one["scores"]), rtol=1e-6, atol=1e-6
        )
        assert two["figures"].keys() == one["figures"].keys()
        for name, value in one["figures"].items():
            assert two["figures"][name] == pytest.approx(value, rel=1e-6, abs=1e-6, nan_ok=True)
