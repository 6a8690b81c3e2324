import os
import time
from pathlib import Path

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from attributions import Contrast, Sparsity
from attributions.penalties import Monotonicity
from tests.trimvae.training.cases import KINDS, QUIET, finish, make, start, weights
from trimvae import BetaVAE, fit
from trimvae.training import checkpoints

ONCE = {"batch_size": 8, **QUIET}


def trained(kind: str, folder: Path | None = None, **options):
    """Weights and history of a code of that kind after `fit`."""
    code, data, predictor = make(kind)
    options = {"penalties": [Sparsity()], "checkpoint_dir": folder, **ONCE, **options}
    return code, fit(code, predictor, data, **options)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_ends_as_an_uninterrupted_one(kind, tmp_path):
    whole, expected = trained(kind, max_epochs=3, schedule="one_cycle")

    class Stop(L.Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 1:
                raise InterruptedError

    options = {"max_epochs": 3, "schedule": "one_cycle"}
    with pytest.raises(InterruptedError):
        trained(kind, tmp_path, callbacks=[Stop()], **options)
    resumed, history = trained(kind, tmp_path, resume=True, **options)
    assert history == expected
    assert torch.equal(weights(resumed), weights(whole))


@pytest.mark.parametrize("kind", KINDS)
def test_more_epochs_at_a_constant_rate_are_those_of_one_long_training(kind, tmp_path):
    whole, expected = trained(kind, max_epochs=3, schedule="constant")
    trained(kind, tmp_path, max_epochs=1, schedule="constant")
    longer, history = trained(kind, tmp_path, max_epochs=3, schedule="constant", resume=True)
    assert history == expected
    assert torch.equal(weights(longer), weights(whole))
    again, history = trained(kind, tmp_path, max_epochs=3, schedule="constant", resume=True)
    assert history == expected  # nothing is left to do
    assert torch.equal(weights(again), weights(whole))


class Rates(L.Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, *rest):
        groups = [one.param_groups[0] for one in trainer.optimizers]
        self.seen.append([(group["lr"], group["betas"][0]) for group in groups])


@pytest.mark.parametrize("kind", ["VAE", "InfoGAN"])
def test_more_epochs_of_a_cycle_keep_the_position_and_take_the_new_length(kind, tmp_path):
    whole, first, rest = Rates(), Rates(), Rates()
    options = {"schedule": "one_cycle", "learning_rate": 0.01}
    trained(kind, max_epochs=4, callbacks=[whole], **options)
    trained(kind, tmp_path, max_epochs=2, callbacks=[first], **options)
    _, history = trained(kind, tmp_path, max_epochs=4, resume=True, callbacks=[rest], **options)
    assert len(history) == 4
    assert len(first.seen) == len(rest.seen) == len(whole.seen) // 2
    assert first.seen != whole.seen[: len(first.seen)]
    assert rest.seen == whole.seen[len(first.seen) :]


def test_fewer_epochs_than_a_run_has_seen_are_refused(tmp_path):
    trained("VAE", tmp_path, max_epochs=2)
    before = files_of(tmp_path)
    with pytest.raises(ValueError, match="`max_epochs` must be at least 2 to resume.*Got 1"):
        trained("VAE", tmp_path, max_epochs=1, resume=True)
    assert files_of(tmp_path) == before


OTHERWISE = {
    "batch_size": 16,
    "learning_rate": 0.5,
    "schedule": "constant",
    "prediction_weight": 3.0,
    "penalties": [Sparsity(weight=0.5), Monotonicity()],
    "penalty_examples": 5,
    "penalty_n_steps": 5,
    "penalty_every": 5,
    "penalty_residual": True,
    "explained": Contrast(2, 0),
    "task": "regression",
    "seed": 5,
    "objective": BetaVAE(3.0),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_a_training_asked_for_something_else_is_refused_by_name_and_nothing_is_lost(name, tmp_path):
    trained("VAE", tmp_path, max_epochs=1)
    before = files_of(tmp_path)
    code, data, predictor = make("VAE")
    untouched = weights(code)
    options = {"penalties": [Sparsity()], "max_epochs": 2, **ONCE, name: OTHERWISE[name]}
    message = rf"`resume` must go on with what the run was started with. Got {name}=.* in the run"
    with pytest.raises(ValueError, match=message):
        fit(code, predictor, data, checkpoint_dir=tmp_path, resume=True, **options)
    assert files_of(tmp_path) == before
    assert torch.equal(weights(code), untouched)


@pytest.mark.parametrize("kind", ["InfoGAN", "ALAE"])
def test_a_game_asked_for_something_else_is_refused_by_name(kind, tmp_path):
    trained(kind, tmp_path, max_epochs=1)
    before = files_of(tmp_path)
    for name in ("learning_rate", "prediction_weight", "seed", "penalty_every"):
        with pytest.raises(ValueError, match=rf"`resume` must go on with .* Got {name}="):
            trained(kind, tmp_path, resume=True, **{name: OTHERWISE[name]})
    assert files_of(tmp_path) == before


def test_other_data_and_another_predictor_are_refused_by_name(tmp_path):
    trained("VAE", tmp_path, max_epochs=1)
    before = files_of(tmp_path)
    code, data, predictor = make("VAE")
    options = {"checkpoint_dir": tmp_path, "resume": True, "penalties": [Sparsity()], **ONCE}
    for other in (data[:40], data + 1, data.flip(0), data.flip(1), data.roll(1, dims=1)):
        with pytest.raises(ValueError, match="Got data="):
            fit(code, predictor, other, **options)
    with pytest.raises(ValueError, match="Got predictor="):
        fit(code, predictor, data, preprocess=torch.tanh, **options)
    with torch.no_grad():
        predictor[2].bias[0] += 1
    with pytest.raises(ValueError, match="Got predictor="):
        fit(code, predictor, data, **options)
    with pytest.raises(ValueError, match="Got explained=None .*, predictor=None"):
        fit(code, None, data, **{**options, "penalties": []})
    assert files_of(tmp_path) == before


def test_a_data_set_of_tensors_is_known_by_all_of_them():
    inputs, labels = torch.rand(40, 6), torch.arange(40) % 3
    known = checkpoints.fingerprint(TensorDataset(inputs, labels))
    assert known == checkpoints.fingerprint(TensorDataset(inputs.clone(), labels.clone()))
    assert known != checkpoints.fingerprint(TensorDataset(inputs, labels.flip(0)))
    assert known != checkpoints.fingerprint(TensorDataset(inputs.flip(1), labels))
    assert checkpoints.fingerprint(torch.zeros(3, 2)) == [3.0, 0.0, 0.0, 0.0]


def test_a_stream_has_no_length_to_be_known_by():
    class Passing(IterableDataset):
        def __iter__(self):
            yield torch.zeros(2)

    assert checkpoints.fingerprint(Passing()) is None
    assert checkpoints.fingerprint(DataLoader(Passing())) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_with_a_run_is_not_overwritten(kind, tmp_path):
    trained(kind, tmp_path, max_epochs=1)
    before = files_of(tmp_path)
    with pytest.raises(FileExistsError, match="`checkpoint_dir` must not hold another run"):
        trained(kind, tmp_path, max_epochs=1)
    assert files_of(tmp_path) == before


def test_a_file_in_the_place_of_the_folder_is_refused_before_training(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(NotADirectoryError, match="`checkpoint_dir` must be a folder"):
        trained("VAE", tmp_path / "run", max_epochs=1)
    assert (tmp_path / "run").read_text() == "mine"


@pytest.mark.parametrize("kind", KINDS)
def test_bad_checkpoints_are_refused_and_kept(kind, tmp_path):
    path = tmp_path / "last.ckpt"
    trained(kind, tmp_path, max_epochs=1)
    whole = path.read_bytes()
    foreign = tmp_path / "foreign.pt"
    torch.save({"state_dict": {}}, foreign)
    part = tmp_path / "part.pt"
    torch.save({"trimvae": {}}, part)
    for content, message in (
        (whole[: len(whole) // 2], "must be a whole checkpoint"),
        (b"not a checkpoint", "must be a whole checkpoint"),
        (foreign.read_bytes(), "written by something else"),
        (part.read_bytes(), "written by something else"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            trained(kind, tmp_path, max_epochs=2, resume=True)
        assert path.read_bytes() == content


def test_a_changed_checkpoint_is_refused_wherever_it_was_changed(tmp_path):
    path = tmp_path / "last.ckpt"
    trained("VAE", tmp_path, max_epochs=1)
    whole = path.read_bytes()
    for place in [0, *range(40, len(whole), len(whole) // 40), len(whole) - 1]:
        changed = bytearray(whole)
        changed[place] ^= 4
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"Got .*last.ckpt, .* differs from its checksum"):
            trained("VAE", tmp_path, max_epochs=2, resume=True)
    path.write_bytes(whole)
    trained("VAE", tmp_path, max_epochs=2, resume=True)


def test_a_checkpoint_without_checksum_is_that_of_the_first_version(tmp_path):
    path = tmp_path / "last.ckpt"
    trained("VAE", tmp_path, max_epochs=1)
    torch.save(torch.load(path, weights_only=True), path)
    _, history = trained("VAE", tmp_path, max_epochs=2, resume=True)
    assert len(history) == 2


def test_a_checkpoint_that_has_diverged_is_refused(tmp_path):
    path = tmp_path / "last.ckpt"
    trained("VAE", tmp_path, max_epochs=1)
    content = torch.load(path, weights_only=True)
    content["state_dict"]["code.decoder.last.bias"][0] = torch.nan
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"Got .*last.ckpt, where code.decoder.last.bias has NaN"):
        trained("VAE", tmp_path, max_epochs=2, resume=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_of_another_architecture_is_refused(kind, tmp_path):
    code, data, predictor = make(kind)
    sizes = {
        "VAE": lambda: type(code).dense((6,), 4, hidden=(16,)),
        "InfoGAN": lambda: type(code)(**{**code.configuration, "noise_size": 5}),
        "ALAE": lambda: type(code)(**{**code.configuration, "latent_size": 6}),
        "StyleGAN2": lambda: type(code)(**{**code.configuration, "w_dim": 5}),
    }
    trained(kind, tmp_path, max_epochs=1)
    before = files_of(tmp_path)
    options = {"checkpoint_dir": tmp_path, "resume": True, "penalties": [Sparsity()], **ONCE}
    with pytest.raises(ValueError, match=f"of the same architecture as this {kind}"):
        fit(sizes[kind](), predictor, data, **options)
    assert files_of(tmp_path) == before


def test_a_code_of_the_same_shapes_but_another_kind_is_refused(tmp_path):
    code, data, predictor = make("ALAE")
    trained("ALAE", tmp_path, max_epochs=1)
    other = type(code)(**{**code.configuration, "gamma": 9.0})
    options = {"checkpoint_dir": tmp_path, "resume": True, "penalties": [Sparsity()], **ONCE}
    with pytest.raises(ValueError, match=r"Got code.gamma=9.0 \(0.3 in the run\)"):
        fit(other, predictor, data, **options)


def test_a_checkpoint_with_code_is_never_executed(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "executed"),))

    torch.save({"trimvae": Harmful()}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="code that is never executed"):
        trained("VAE", tmp_path, resume=True)
    assert not (tmp_path / "executed").exists()


def test_descriptions_have_no_addresses_which_would_differ_from_run_to_run(tmp_path):
    class Plain:
        def __call__(self, batch):
            return BetaVAE()(batch)

    assert " at 0x" in repr(Plain())
    trained("VAE", tmp_path, max_epochs=1, objective=Plain())
    _, history = trained("VAE", tmp_path, max_epochs=2, objective=Plain(), resume=True)
    assert len(history) == 2


@pytest.mark.parametrize("name", ["a::b", "file:y", "s3:z", "deep/er"])
def test_any_name_of_a_folder_is_a_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained("VAE", Path(name), max_epochs=1)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.ckpt")] == [
        f"{name}/last.ckpt"
    ]
    _, history = trained("VAE", Path(name), max_epochs=2, resume=True)
    assert len(history) == 2


def test_the_folder_is_that_of_the_start_whatever_the_working_folder_becomes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()

    class Moves(L.Callback):
        def on_train_start(self, *args):
            os.chdir(tmp_path / "elsewhere")

    trained("VAE", Path("run"), max_epochs=1, callbacks=[Moves()])
    assert (tmp_path / "run" / "last.ckpt").exists()


def test_symbolic_links_stay_and_what_they_point_to_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real" / "last.ckpt").symlink_to(tmp_path / "kept.ckpt")
    trained("VAE", tmp_path / "run", max_epochs=1)
    _, history = trained("VAE", tmp_path / "run", max_epochs=2, resume=True)
    assert len(history) == 2
    assert (tmp_path / "real" / "last.ckpt").is_symlink()
    assert torch.load(tmp_path / "kept.ckpt", weights_only=True)["epoch"] == 1


def file_systems(tmp_path: Path) -> list[Path]:
    """Folders on two file systems where the machine has them."""
    other = Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    other = other / f"trimvae-{os.getpid()}-{tmp_path.name}"
    other.mkdir()
    return [tmp_path, other]


@pytest.fixture
def two_file_systems(tmp_path):
    folders = file_systems(tmp_path)
    yield folders
    for path in sorted(folders[1].rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folders[1].rmdir()


class KeepsLinks(L.Callback):
    """A second name for every checkpoint: what overwrote the file itself would show in it."""

    def __init__(self, path: Path):
        self.path, self.contents = path, {}

    def on_train_epoch_start(self, trainer, module):
        if self.path.exists():
            name = self.path.with_name(f"epoch {trainer.current_epoch}")
            os.link(self.path, name)
            self.contents[name] = name.read_bytes()


@pytest.mark.parametrize("swapped", [False, True])
def test_the_file_is_replaced_as_a_whole_also_where_temporary_files_lie_elsewhere(
    two_file_systems, swapped, monkeypatch
):
    folder, temporary = reversed(two_file_systems) if swapped else two_file_systems
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    links = KeepsLinks(folder / "run" / "last.ckpt")
    trained("VAE", folder / "run", max_epochs=4, callbacks=[links])
    assert len(links.contents) == 3
    for name, content in links.contents.items():
        assert name.read_bytes() == content
    assert torch.load(links.path, weights_only=True)["epoch"] == 3
    assert list(temporary.iterdir()) in ([], [folder])


def test_a_full_disk_leaves_the_checkpoint_of_the_epoch_before(tmp_path, monkeypatch):
    trained("VAE", tmp_path, max_epochs=1)
    before = files_of(tmp_path)

    def half(checkpoint, path):
        Path(path).write_bytes(b"half of a checkpoint")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", half)
    with pytest.raises(OSError, match="No space left"):
        trained("VAE", tmp_path, max_epochs=3, resume=True)
    assert files_of(tmp_path) == before


def test_torch_s_own_error_of_a_full_disk_says_what_to_do(tmp_path, monkeypatch):
    trained("VAE", tmp_path, max_epochs=1)
    before = files_of(tmp_path)

    def half(checkpoint, path):
        Path(path).write_bytes(b"half of a checkpoint")
        raise RuntimeError("unexpected pos 810048 vs 809940")

    monkeypatch.setattr(checkpoints.torch, "save", half)
    message = r"`path` must be where .* Got .*last.ckpt .unexpected pos.*Make room on the disk"
    with pytest.raises(OSError, match=message):
        trained("VAE", tmp_path, max_epochs=3, resume=True)
    assert files_of(tmp_path) == before


def test_the_new_file_is_on_disk_before_it_takes_the_place_of_the_old(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, Path.replace

    def sync(handle):
        events.append(("flush", Path(f"/proc/self/fd/{handle}").readlink()))
        return fsync(handle)

    def put(self, target):
        events.append(("replace", self))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", put)
    trained("VAE", tmp_path, max_epochs=1)
    (temporary,) = [path for event, path in events if event == "replace"]
    assert temporary.parent == tmp_path
    assert events.index(("flush", temporary)) < events.index(("replace", temporary))
    assert list(tmp_path.iterdir()) == [tmp_path / "last.ckpt"]


KILLED = """
import itertools, os, random, signal, sys, time
from pathlib import Path
import torch
from trimvae.training.checkpoints import WholeFiles

# Children of one process that has imported all of it: a kill costs milliseconds, not seconds.
path = Path(sys.argv[1]) / "last.ckpt"
torch.set_num_threads(1)
tensor = torch.arange(2**19)
last, kills = -1, 0
while kills < 25:
    child = os.fork()
    if child == 0:
        writer = WholeFiles(path)
        for number in itertools.count(last + 1):
            checkpoint = {"number": number, "tensor": tensor + number}
            writer.save_checkpoint(checkpoint, path)
    time.sleep(random.Random(kills).uniform(0.01, 0.15))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kills += 1
    if last < 0 and not path.exists():
        continue
    found = torch.load(path, weights_only=True)
    assert torch.equal(found["tensor"], tensor + found["number"])
    assert found["number"] >= last, "an older checkpoint came back"
    last = found["number"]
print("written", last)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    script = tmp_path / "writer.py"
    script.write_text(KILLED)
    output = finish(start(script, tmp_path))
    assert int(output.split()[-1]) > 10


SCRIPT = """
import sys, time, torch
import lightning as L
from torch.utils.data import DataLoader
from attributions import Sparsity
from tests.trimvae.training.cases import make
from trimvae import fit

class Slow(L.Callback):
    def on_train_batch_end(self, *args):
        time.sleep(float(sys.argv[4]))

if __name__ == "__main__":
    code, data, predictor = make(sys.argv[1])
    if sys.argv[3] == "loader":
        data = DataLoader(data, batch_size=8, shuffle=True)
    fit(
        code, predictor, data, penalties=[Sparsity()], max_epochs=4, batch_size=8,
        checkpoint_dir=sys.argv[2], resume=True, progress=False, callbacks=[Slow()],
    )
"""


@pytest.mark.parametrize(("kind", "form"), [("VAE", "loader"), ("InfoGAN", "tensor")])
def test_killed_and_resumed_it_ends_with_the_same_weights(kind, form, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    process = start(script, kind, tmp_path / "run", form, 0.1)

    def run(folder):
        code, data, predictor = make(kind)
        if form == "loader":
            data = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True)
        options = {"penalties": [Sparsity()], "checkpoint_dir": folder, "resume": True}
        history = fit(code, predictor, data, max_epochs=4, **options, **ONCE)
        return code, history

    whole, expected = run(tmp_path / "whole")
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.15)  # into the middle of the next epoch
    process.kill()
    process.communicate()
    done = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["epoch"] + 1
    assert 1 <= done < 4
    resumed, history = run(tmp_path / "run")
    assert history == expected
    assert torch.equal(weights(resumed), weights(whole))
