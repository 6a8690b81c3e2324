"""A disk that is full at any write: the last good state stays, and the error names the file.

The system limits how large a file may grow, which fails where a full disk fails.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from tests.trimvae.cli.command_line import call, content, train, write_inputs
from trimvae import VAE, explain
from trimvae.cli import entry, runs
from trimvae.explanation.explanation import Explanation
from trimvae.storage import write_json
from trimvae.training import remembering
from trimvae.training.checkpoints import WholeFiles

resource = pytest.importorskip("resource")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let files of this process grow to so many bytes only."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Things(NamedTuple):
    """What is written: anew, and in the place of what was there."""

    vae: VAE
    explanation: object


def things(seed: int) -> Things:
    torch.manual_seed(seed)
    vae = VAE.convolutional((1, 28, 28), latent_size=2)
    predictor = nn.Sequential(nn.Flatten(), nn.Linear(784, 3))
    return Things(vae, explain(vae, predictor, torch.rand(3, 1, 28, 28), check_parts=False))


Writer = Callable[[Path, Things], object]

WRITERS: dict[str, Writer] = {
    "code.safetensors": lambda path, new: new.vae.save(path),
    "explanation.safetensors": lambda path, new: new.explanation.save(path),
    "examples.safetensors": lambda path, new: runs.save_examples(
        path.parent, new.explanation.inputs, None
    ),
    "report.html": lambda path, new: new.explanation.to_html(path),
    "traversal.gif": lambda path, new: new.explanation.animate(path, frames=3),
    "heatmap.png": lambda path, new: runs.save_figure(path, new.explanation.plot(), dpi=50),
    "metrics.json": lambda path, new: write_json(path, new.explanation.metrics),
    "last.ckpt": lambda path, new: WholeFiles(path).save_checkpoint(new.vae.state_dict(), path),
}


@pytest.fixture(scope="module")
def old_and_new() -> tuple[Things, Things]:
    return things(0), things(1)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_leaves_the_earlier_file_whole_and_is_said_with_its_name(
    name, old_and_new, tmp_path
):
    old, new = old_and_new
    path, write = tmp_path / name, WRITERS[name]
    write(path, old)
    before = path.read_bytes()
    write(path, new)
    size = path.stat().st_size
    path.write_bytes(before)
    for room in (0, 1, size // 2, size - 1):
        with pytest.raises(OSError, match=f"Got .*{name} .*Make room"), room_for(room):
            write(path, new)
        assert content(tmp_path) == {name: before}
    write(path, new)
    assert path.read_bytes() != before


def test_a_disk_that_is_full_while_a_folder_is_written_leaves_every_file_whole(
    old_and_new, tmp_path
):
    old, new = old_and_new
    runs.save_explanation(tmp_path, old.explanation)
    before = content(tmp_path)
    runs.save_explanation(tmp_path, new.explanation)
    after = content(tmp_path)
    for room in sorted(len(text) - 1 for text in after.values()):
        with pytest.raises(OSError, match=r"`path` must be where .*Make room"), room_for(room):
            runs.save_explanation(tmp_path, old.explanation)
        found = content(tmp_path)
        assert found.keys() == before.keys()
        kept = Explanation.load(tmp_path / "explanation.safetensors")
        assert any(torch.equal(kept.latents, each.explanation.latents) for each in old_and_new)
        for name in found.keys() - {"explanation.safetensors"}:
            assert found[name] in (before[name], after[name]), name


def test_outputs_in_a_temporary_file_are_refused_where_there_is_no_room(monkeypatch):
    inputs, ask = torch.rand(600, 4), nn.Linear(4, 3)
    with pytest.raises(OSError, match=r"`cache_outputs` must have room .*Make room"), room_for(99):
        remembering._kept(inputs, ask, torch.device("cpu"), 0)
    kept = remembering._kept(inputs, ask, torch.device("cpu"), 0)
    assert isinstance(kept, np.memmap)
    assert torch.allclose(torch.from_numpy(np.array(kept)), ask(inputs).detach(), atol=1e-6)


def failing(monkeypatch, capsys, *arguments) -> str:
    """What `main` says on standard error when a command ends with exit code 2."""
    monkeypatch.setattr(sys, "argv", ["trimvae", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_commands_on_a_full_disk_say_which_file_and_leave_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    assert train().exit_code == 0
    for command in ("explain", "evaluate", "report"):
        assert call(command, "run", "--trust").exit_code == 0
    before = content(tmp_path / "run")
    for command, name in {
        "explain": "explanation.safetensors",
        "evaluate": "evaluation.json",
        "report": "report.html",
    }.items():
        with room_for(500):
            said = failing(monkeypatch, capsys, command, "run", "--trust")
        assert said.startswith("error: `path` must be where the file can be written whole. Got ")
        assert name in said
        assert content(tmp_path / "run") == before
    longer = (
        "train", "--classifier", "my_model.py:load", "--data", "table.npz", "--out", "run",
        "--latent-size", "2", "--batch-size", "32", "--no-axes", "--resume", "--epochs", "2",
    )  # fmt: skip
    with room_for(2000):
        said = failing(monkeypatch, capsys, *longer)
    assert "last.ckpt" in said
    kept = content(tmp_path / "run")
    assert kept.pop("configuration.json") != before.pop("configuration.json")  # two epochs asked
    assert kept == before
    assert call(*longer).exit_code == 0
