import os
import random
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from attributions import Contrast, Monotonicity, Sparsity, Trim, path_contributions, prediction_kl
from tests.cases import FunctionModule, assert_same_snapshot, convolutional_predictor, snapshot
from trimvae import VAE, VAETraining, fit
from trimvae.loading import EpochBatches, mix

ROOT = Path(__file__).parents[2]
QUIET = {"progress": False}
KL_PARTS = ("mutual_information", "total_correlation", "dimension_wise_kl")


def small_vae(seed: int = 0, latent_size: int = 3) -> VAE:
    torch.manual_seed(seed)
    return VAE.dense((6,), latent_size, hidden=(16,))


def weights(vae: VAE) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in vae.parameters()])


@pytest.fixture
def table():
    return torch.randn(96, 6)


@pytest.fixture
def predictor():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def test_the_loss_falls_and_every_term_is_reported_by_name(table, predictor):
    history = fit(
        small_vae(),
        predictor,
        table,
        penalties=[Sparsity(1.0), Monotonicity(1.0)],
        max_epochs=15,
        batch_size=32,
        validation=table[:32],
        **QUIET,
    )
    assert len(history) == 15
    assert history[-1]["loss"] < history[0]["loss"]
    assert set(history[-1]) == {
        "loss",
        "reconstruction",
        "kl",
        "prediction",
        "sparsity",
        "monotonicity",
        "validation_reconstruction",
        "validation_kl",
        "validation_prediction",
        "validation_agreement",
        "mutual_information",
        "total_correlation",
        "dimension_wise_kl",
    }


def test_one_step_is_the_sum_of_its_documented_terms(table, predictor):
    vae = small_vae()
    module = VAETraining(
        vae,
        predictor,
        prediction_weight=5.0,
        penalties=[Sparsity(2.0)],
        penalty_every=3,
        penalty_examples=8,
        penalty_points=2,
    )
    module.log_dict = lambda *args, **kwargs: None
    total = module.training_step(table[:32], 0)

    noise = torch.randn(32, 3, generator=torch.Generator().manual_seed(mix(0, 0, 0)))
    posterior = vae.encode(table[:32])
    latents = posterior.mean + posterior.stddev * noise
    decoded = vae.decode(latents)
    reconstruction = -torch.distributions.Normal(decoded, 1.0).log_prob(table[:32]).sum() / 32
    kl = torch.distributions.kl_divergence(posterior, vae.prior).sum() / 32
    prediction = prediction_kl(predictor(table[:32]), predictor(decoded))
    strata = torch.rand(8, 2, generator=torch.Generator().manual_seed(mix(0, 0, 1)))
    contributions = path_contributions(
        Trim(predictor, vae.decode, explained="centred_logit"),
        latents[:8],
        target=predictor(table[:8]).argmax(dim=1),
        alphas=(torch.arange(2) + strata) / 2,
    )
    expected = reconstruction + kl + 5 * prediction + 3 * 2 * Sparsity()(contributions)
    torch.testing.assert_close(total, expected)


@pytest.mark.parametrize("kind", ["tensor", "dataset", "loader", "pairs", "mappings"])
def test_data_may_come_as_a_user_has_it(kind, table, predictor):
    data = {
        "tensor": table,
        "dataset": TensorDataset(table),
        "loader": DataLoader(TensorDataset(table), batch_size=24, shuffle=True),
        "pairs": DataLoader(TensorDataset(table, torch.zeros(96)), batch_size=24),
        "mappings": DataLoader([{"inputs": row} for row in table], batch_size=24),
    }[kind]
    vae = small_vae()
    before = weights(vae).clone()
    fit(vae, predictor, data, max_epochs=1, batch_size=24, **QUIET)
    assert not torch.equal(before, weights(vae))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(table, predictor):
    results = []
    for seed in (1, 1, 2):
        vae = small_vae()
        fit(vae, predictor, table, max_epochs=2, batch_size=32, seed=seed, **QUIET)
        results.append(weights(vae))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


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
    copy = images.clone()
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
    assert torch.equal(images, copy)
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


def test_ctrl_c_arrives_as_keyboard_interrupt_and_later_ones_too(table, predictor, usual_ctrl_c):
    class Interrupt(L.Callback):
        def on_train_batch_end(self, *args):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(small_vae(), predictor, table, callbacks=[Interrupt()], **QUIET)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


SCRIPT = """
import sys, time, torch
from torch import nn
import lightning as L
from attributions import Sparsity
from trimvae import VAE, fit

class Slow(L.Callback):
    def on_train_batch_end(self, *args):
        time.sleep(float(sys.argv[3]))

if __name__ == "__main__":
    torch.manual_seed(0)
    vae = VAE.dense((6,), 3, hidden=(16,))
    predictor = nn.Linear(6, 3)
    table = torch.randn(128, 6)
    data = table
    if sys.argv[4] == "loader":
        data = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(table), batch_size=32, shuffle=True
        )
    fit(
        vae, predictor, data, penalties=[Sparsity()], max_epochs=6, batch_size=32,
        checkpoint_dir=sys.argv[1], resume=True, progress=False, callbacks=[Slow()],
    )
    torch.save(vae.state_dict(), sys.argv[2])
"""


@pytest.mark.parametrize("kind", ["tensor", "loader"])
def test_killed_and_resumed_it_ends_with_the_same_weights(tmp_path, kind):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def command(folder, pause):
        return [
            sys.executable, str(script), str(tmp_path / folder), str(tmp_path / f"{folder}.pt"),
            str(pause), kind,
        ]  # fmt: skip

    subprocess.run(command("whole", 0), env=environment, check=True, capture_output=True)
    process = subprocess.Popen(
        command("killed", 0.25),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)  # into the middle of the next epoch
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed.pt").exists()
    subprocess.run(command("killed", 0), env=environment, check=True, capture_output=True)
    whole, killed = (torch.load(tmp_path / f"{name}.pt") for name in ("whole", "killed"))
    for name, value in whole.items():
        assert torch.equal(value, killed[name]), name


TWO_PROCESSES = """
import sys, torch
from torch import nn
from attributions import Sparsity
from trimvae import VAE, fit

if __name__ == "__main__":
    devices = int(sys.argv[1])
    torch.manual_seed(0)
    vae = VAE.dense((6,), 3, hidden=(16,))
    predictor = nn.Linear(6, 3)
    table = torch.randn(128, 6)
    options = {} if devices == 1 else {"strategy": "ddp", "devices": devices}
    fit(
        vae, predictor, table, penalties=[Sparsity()], max_epochs=2, batch_size=32 // devices,
        penalty_examples=16, progress=False, accelerator="cpu", **options,
    )
    torch.save(vae.state_dict(), sys.argv[2])
"""


def test_two_processes_train_as_one_on_the_same_global_batch(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TWO_PROCESSES)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PL_TORCH_DISTRIBUTED_BACKEND": "gloo"}
    for devices in (1, 2):
        subprocess.run(
            [sys.executable, str(script), str(devices), str(tmp_path / f"{devices}.pt")],
            env=environment,
            check=True,
            capture_output=True,
            timeout=200,
        )
    one, two = (torch.load(tmp_path / f"{devices}.pt") for devices in (1, 2))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], atol=2e-4, rtol=1e-3)


def test_processes_share_exactly_the_batches_of_a_single_one():
    single = EpochBatches(50, 8, seed=5)
    pair = [EpochBatches(50, 4, seed=5, rank=rank, world=2) for rank in range(2)]
    for epoch in range(2):
        for batches in (single, *pair):
            batches.set_epoch(epoch)
        for whole, left, right in zip(single, *pair, strict=True):
            assert whole[0::2] == left
            assert whole[1::2] == right
    single.set_epoch(0)
    first = list(single)
    single.set_epoch(1)
    assert first != list(single)


def test_held_out_examples_all_come_in_order_and_evenly():
    batches = [EpochBatches(7, 2, shuffle=False, rank=rank, world=2) for rank in range(2)]
    left, right = (list(part) for part in batches)
    assert left == [[0, 2], [4, 6]]
    assert right == [[1, 3], [5, 0]]


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_lightnings_precisions_work_with_penalties(precision, table, predictor):
    vae = small_vae()
    history = fit(
        vae, predictor, table, penalties=[Sparsity()], max_epochs=1, precision=precision, **QUIET
    )
    assert np.isfinite(history[0]["loss"])
    assert next(predictor.parameters()).dtype == torch.float32
    assert next(vae.parameters()).dtype == torch.float32


def test_mixed_precision_is_for_layers_and_not_for_losses(table, predictor):
    vae = small_vae()
    trim = Trim(predictor, vae.decode)
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(table)
        observation = vae.observe(posterior.mean)
        for result in (posterior.mean, posterior.stddev, observation.mean, trim(posterior.mean)):
            assert result.dtype == torch.float32


def test_a_regression_is_recognised_and_its_prediction_loss_is_squared_error(table):
    predictor = nn.Linear(6, 1)
    vae = small_vae()
    module = VAETraining(vae, predictor, task="regression")
    decoded = vae.decode(torch.zeros(4, 3))
    loss = module._prediction_loss(predictor(table[:4]), decoded)
    torch.testing.assert_close(loss, (predictor(decoded) - predictor(table[:4])).pow(2).mean())
    history = fit(vae, predictor, table, penalties=[Sparsity()], max_epochs=1, **QUIET)
    assert "prediction" in history[0]


def test_training_through_a_softmax_is_training_through_its_logits(table, predictor):
    results = []
    for through in (predictor, nn.Sequential(predictor, nn.Softmax(dim=1))):
        vae = small_vae()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit(vae, through, table, penalties=[Sparsity()], max_epochs=2, **QUIET)
        results.append(weights(vae))
    torch.testing.assert_close(*results, atol=1e-3, rtol=1e-3)


def test_penalties_see_a_contrast_when_asked(table, predictor):
    vae = small_vae()
    module = VAETraining(vae, predictor, penalties=[Sparsity()], explained=Contrast(2, 0))
    latents, outputs = torch.randn(16, 3), predictor(table[:16])
    found = module._penalty_step(table[:16], latents, outputs).contributions
    trim = Trim(lambda x: predictor(x)[:, 2] - predictor(x)[:, 0], vae.decode)
    strata = torch.rand(8, 4, generator=torch.Generator().manual_seed(mix(0, 0, 1)))
    alphas = (torch.arange(4) + strata) / 4
    torch.testing.assert_close(
        found, path_contributions(trim, latents[:8], target=0, alphas=alphas)
    )


def test_penalties_see_the_residual_held_fixed_when_asked(table, predictor):
    vae = small_vae()
    module = VAETraining(vae, predictor, penalties=[Sparsity()], penalty_residual=True)
    inputs, latents = table[:16], vae.encode(table[:16]).mean
    step = module._penalty_step(inputs, latents, predictor(inputs))
    trim = Trim(predictor, vae.decode, explained="centred_logit")
    expected = path_contributions(
        trim,
        latents[:8],
        target=step.target,
        additional_forward_args=trim.residual(inputs[:8], latents[:8]),
        alphas=step.alphas,
    )
    torch.testing.assert_close(step.contributions, expected)
    assert not step.residual.requires_grad
    without = VAETraining(vae, predictor, penalties=[Sparsity()])
    assert without._penalty_step(inputs, latents, predictor(inputs)).residual is None


def test_a_plain_vae_needs_no_predictor(table):
    history = fit(small_vae(), None, table, prediction_weight=0, max_epochs=1, **QUIET)
    assert set(history[0]) == {"loss", "reconstruction", "kl", *KL_PARTS}


def test_the_module_runs_under_a_trainer_of_ones_own(table, predictor):
    module = VAETraining(small_vae(), predictor, penalties=[Sparsity()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = L.Trainer(
            max_steps=3, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, accelerator="cpu",
        )  # fmt: skip
        trainer.fit(module, DataLoader(table, batch_size=16))
    assert trainer.global_step == 3
    assert not any(name.startswith("_trim") for name in module.state_dict())


def test_a_penalty_without_prediction_loss_is_warned_about(table, predictor):
    with pytest.warns(UserWarning, match="decoder that hides the class"):
        fit(
            small_vae(), predictor, table, prediction_weight=0, penalties=[Sparsity()],
            max_epochs=1, **QUIET,
        )  # fmt: skip


REFUSED = {
    "nan": (lambda t: t.clone().fill_(float("nan")), {}, ValueError, "`inputs` must be finite"),
    "shape": (lambda t: t[:, :5], {}, ValueError, r"`inputs` must have shape \(batch, 6\)"),
    "empty": (lambda t: t[:0], {}, ValueError, "`data` must hold at least one batch"),
    "loader": (
        lambda t: DataLoader(t, batch_size=200, drop_last=True),
        {},
        ValueError,
        "`data` must hold at least one batch",
    ),
    "array": (lambda t: t.numpy(), {}, TypeError, "`data` must be a tensor, a Dataset"),
    "integers": (lambda t: t.long(), {}, TypeError, "`inputs` must be floating-point"),
    "epochs": (lambda t: t, {"max_epochs": 0}, ValueError, "`max_epochs` must be at least 1"),
    "batch": (lambda t: t, {"batch_size": 0}, ValueError, "`batch_size` must be at least 1"),
    "weight": (
        lambda t: t,
        {"prediction_weight": -1},
        ValueError,
        "`prediction_weight` must be at least 0",
    ),
    "points": (
        lambda t: t,
        {"penalty_points": 0},
        ValueError,
        "`penalty_points` must be at least 1",
    ),
    "resume": (lambda t: t, {"resume": True}, ValueError, "`checkpoint_dir` must be given"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_before_training(name, table, predictor):
    change, options, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        fit(small_vae(), predictor, change(table), **options, **QUIET)


def test_nan_late_in_a_loader_is_refused_too(table, predictor):
    table[-1, 0] = float("nan")
    with pytest.raises(ValueError, match="`inputs` must be finite"):
        fit(small_vae(), predictor, DataLoader(table, batch_size=8), max_epochs=1, **QUIET)


def test_unfit_predictors_are_refused_before_training(table):
    with pytest.raises(RuntimeError, match="`predictor` must be differentiable"):
        fit(small_vae(), FunctionModule(lambda logits: logits.detach()), table, **QUIET)
    with pytest.raises(ValueError, match="`predictor` must be given for a prediction loss"):
        fit(small_vae(), None, table, **QUIET)


def test_an_exploding_loss_is_said_with_its_terms(table, predictor):
    class Explodes:
        def __call__(self, batch):
            loss = batch.latents.sum() * float("inf")
            return type("Loss", (), {"__iter__": lambda self: iter((loss, {"boom": loss}))})()

    with pytest.raises(FloatingPointError, match="`fit` must reach finite losses. Got boom"):
        fit(small_vae(), predictor, table, objective=Explodes(), **QUIET)


def test_a_folder_with_a_run_is_not_overwritten(tmp_path, table, predictor):
    options = {"max_epochs": 1, "checkpoint_dir": tmp_path, **QUIET}
    fit(small_vae(), predictor, table, **options)
    with pytest.raises(FileExistsError, match="`checkpoint_dir` must not hold another run"):
        fit(small_vae(), predictor, table, **options)


def test_bad_checkpoints_are_refused_and_kept(tmp_path, table, predictor):
    path = tmp_path / "last.ckpt"
    options = {"max_epochs": 2, "checkpoint_dir": tmp_path, "resume": True, **QUIET}
    fit(small_vae(), predictor, table, **{**options, "max_epochs": 1})
    whole = path.read_bytes()
    with pytest.raises(ValueError, match="of the same architecture"):
        fit(small_vae(latent_size=4), predictor, table, **options)
    for content in (whole[: len(whole) // 2], b"not a checkpoint"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="must be a whole checkpoint"):
            fit(small_vae(), predictor, table, **options)
        assert path.read_bytes() == content
    torch.save({"state_dict": {}}, path)
    with pytest.raises(ValueError, match="written by something else"):
        fit(small_vae(), predictor, table, **options)


def test_a_checkpoint_with_code_is_never_executed(tmp_path, table, predictor):
    class Harmful:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "executed"),))

    torch.save({"trimvae": Harmful()}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="code that is never executed"):
        fit(small_vae(), predictor, table, checkpoint_dir=tmp_path, resume=True, **QUIET)
    assert not (tmp_path / "executed").exists()


def test_a_script_of_three_lines_trains(tmp_path):
    code = """
        import torch
        from trimvae import VAE, fit, explain
        vae = VAE.convolutional(image_shape=(1, 28, 28), latent_size=2, channels=4, hidden=8)
        predictor = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 3))
        fit(vae, predictor, torch.rand(32, 1, 28, 28), max_epochs=1)
        assert explain(vae, predictor, torch.rand(4, 1, 28, 28)).attributions.shape == (4, 3, 2)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, cwd=tmp_path, capture_output=True
    )
    assert list(tmp_path.iterdir()) == []  # nothing is left lying about
