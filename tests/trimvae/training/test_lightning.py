import copy
import random
import signal

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from attributions import Sparsity
from tests.cases import assert_same_snapshot, convolutional_predictor, snapshot
from tests.trimvae.training.cases import QUIET, make, small_vae, weights
from trimvae import VAE, fit


class Fails(torch.utils.data.Dataset):
    def __init__(self, table):
        self.table = table
        self.reads = 0

    def __len__(self):
        return len(self.table)

    def __getitem__(self, index):
        self.reads += 1
        if self.reads > 60:
            raise OSError("the disk is gone")
        return self.table[index]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_the_callers_changes_also_after_an_exception(fails):
    predictor = convolutional_predictor(classes=3).train()
    predictor[1].eval()
    next(predictor.parameters()).requires_grad_(False)
    vae = VAE.convolutional((1, 28, 28), 2, channels=4, hidden=8)
    vae.eval()
    images = torch.rand(96, 1, 28, 28)
    as_they_were = images.clone()
    random.seed(3)
    before = snapshot(predictor)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    handler = signal.getsignal(signal.SIGINT)
    options = {"penalties": [Sparsity()], "max_epochs": 2, "batch_size": 16, **QUIET}
    if fails:
        with pytest.raises(OSError, match="the disk is gone"):
            fit(vae, predictor, Fails(images), **options)
    else:
        fit(vae, predictor, images, **options)
    assert_same_snapshot(before, snapshot(predictor))
    assert torch.equal(images, as_they_were)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert (states[2] == np.random.get_state()[1]).all()
    assert signal.getsignal(signal.SIGINT) is handler
    assert not vae.training


@pytest.fixture
def usual_ctrl_c():
    """Python's own handler, also where the shell started the tests with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Interrupt(L.Callback):
    def on_train_batch_end(self, *args):
        raise KeyboardInterrupt


@pytest.mark.usefixtures("usual_ctrl_c")
def test_ctrl_c_arrives_as_keyboard_interrupt_and_later_ones_as_well(table, predictor):
    with pytest.raises(KeyboardInterrupt):
        fit(small_vae(), predictor, table, callbacks=[Interrupt()], **QUIET)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Counts(L.Callback):
    batches = 0

    def on_train_batch_end(self, *args):
        self.batches += 1


def test_a_callers_own_callbacks_checkpoints_and_loggers_are_used(table, tmp_path):
    counts = Counts()
    fit(small_vae(), None, table, batch_size=32, max_epochs=2, callbacks=counts, **QUIET)
    assert counts.batches == 6
    own = ModelCheckpoint(tmp_path / "own", save_top_k=-1, filename="{epoch}")
    logger = CSVLogger(tmp_path / "logs", version=0, name="")
    options = {"callbacks": [own], "logger": logger, "checkpoint_dir": tmp_path / "ours"}
    fit(small_vae(), None, table, batch_size=32, max_epochs=2, **options, **QUIET)
    assert {path.name for path in (tmp_path / "own").iterdir()} == {"epoch=0.ckpt", "epoch=1.ckpt"}
    assert [path.name for path in (tmp_path / "ours").iterdir()] == ["last.ckpt"]
    lines = (tmp_path / "logs" / "version_0" / "metrics.csv").read_text().splitlines()
    assert "reconstruction_step" in lines[0]


def test_means_are_the_same_with_a_logger_and_without(table, tmp_path):
    histories = []
    for logger in (False, CSVLogger(tmp_path)):
        options = {"batch_size": 40, "max_epochs": 2, "logger": logger}
        histories.append(fit(small_vae(), None, table, **options, **QUIET))
    for quiet, logged in zip(*histories, strict=True):
        assert quiet == pytest.approx(logged, rel=1e-5)


class Module(L.LightningDataModule):
    """Rows to train with and, where they are wanted, held out; counts what is asked of it."""

    def __init__(self, rows, *, held_out=None):
        super().__init__()
        self.rows, self.held_out, self.said = rows, held_out, []

    def prepare_data(self):
        self.said.append("prepared")

    def setup(self, stage):
        self.said.append(stage)

    def train_dataloader(self):
        return DataLoader(self.rows, batch_size=8)

    def val_dataloader(self):
        return [] if self.held_out is None else DataLoader(self.held_out, batch_size=8)


def test_a_data_module_trains_as_its_loaders_do():
    vae, rows, predictor = make("VAE")
    other = copy.deepcopy(vae)
    options = {"max_epochs": 2, "progress": False}
    module = Module(rows, held_out=rows[:16])
    history = fit(vae, predictor, module, **options)
    held_out = DataLoader(rows[:16], batch_size=8)
    plain = fit(other, predictor, DataLoader(rows, batch_size=8), validation=held_out, **options)
    assert history == plain
    assert torch.equal(weights(vae), weights(other))
    assert module.said == ["prepared", "fit"]
    assert any(name.startswith("validation") or "val" in name for name in history[-1])


def test_a_data_module_may_leave_validation_out_and_no_more():
    vae, rows, predictor = make("VAE")
    history = fit(vae, predictor, Module(rows), max_epochs=1, progress=False)
    assert not any("val" in name for name in history[-1])
    several = Module(rows)
    several.train_dataloader = lambda: [DataLoader(rows), DataLoader(rows)]
    with pytest.raises(
        TypeError, match="`data.train_dataloader` must give one DataLoader. Got list"
    ):
        fit(vae, predictor, several, max_epochs=1, progress=False)
    with pytest.raises(
        TypeError, match="`data.train_dataloader` must give one DataLoader. Got None"
    ):
        fit(vae, predictor, L.LightningDataModule(), max_epochs=1, progress=False)
