"""Load: everything in turns for ten minutes, with flat memory and nothing left behind.

`make test-slow` runs it for 600 seconds, or as many as TRIMVAE_SOAK_SECONDS says; `make test`
runs two rounds.
"""

import gc
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from attributions import Sparsity
from trimvae import VAE, evaluate, explain, fit
from trimvae.explanation.explanation import Explanation

SECONDS = float(os.environ.get("TRIMVAE_SOAK_SECONDS", "600"))

# Megabytes that the later rounds may take more than the earlier ones; allocators are not exact.
SLACK = 24

linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")


class Held(NamedTuple):
    """What a process holds on to."""

    descriptors: int
    threads: int
    children: int
    temporary: int
    """Files and folders among the temporary ones."""


def held(temporary: Path) -> Held:
    return Held(
        len(list(Path("/proc/self/fd").iterdir())),
        threading.active_count(),
        len(multiprocessing.active_children()),
        len(list(temporary.rglob("*"))),
    )


def megabytes() -> float:
    """Memory of this process that is in the machine."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Work:
    """A code, a classifier and pictures, and what is done with them in turns."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder, self.workers = folder, workers
        self.vae = VAE.convolutional((1, 28, 28), latent_size=3)
        hidden = nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.Tanh())
        self.predictor = nn.Sequential(hidden, nn.Linear(8, 3))
        self.inputs = torch.rand(24, 1, 28, 28)
        self.explanation = self._explained()

    def _explained(self) -> Explanation:
        return explain(self.vae, self.predictor, self.inputs)

    def explain(self) -> None:
        self.explanation = self._explained()
        self.explanation.save(self.folder / "explanation.safetensors")
        Explanation.load(
            self.folder / "explanation.safetensors", code=self.vae, predictor=self.predictor
        ).counterfactuals()

    def evaluate(self) -> None:
        data = DataLoader(TensorDataset(self.inputs), batch_size=12, num_workers=self.workers)
        evaluate(self.vae, self.predictor, data, n_interventions=8, n_alpha=3, n_beta=3)

    def report(self) -> None:
        self.explanation.plot()
        self.explanation.plot_traversals()
        self.explanation.to_html(self.folder / "report.html", max_examples=2)

    def fit(self) -> None:
        run = self.folder / "run"
        fit(self.vae, self.predictor, self.inputs, penalties=[Sparsity(weight=1.0)], max_epochs=1,
            batch_size=12, progress=False, checkpoint_dir=run)  # fmt: skip
        (run / "last.ckpt").unlink()

    @property
    def turns(self) -> tuple[Callable[[], None], ...]:
        return (self.explain, self.evaluate, self.report, self.fit)


def soak(work: Work, temporary: Path, seconds: float, least: int) -> list[float]:
    """Do everything in turns, at least so often; return the memory after each round."""
    found: list[float] = []
    before: Held | None = None
    ends = time.monotonic() + seconds
    while len(found) < least or time.monotonic() < ends:
        for turn in work.turns:
            turn()
        gc.collect()
        after = held(temporary)
        if before is None:  # the first round imports, and starts torch's own threads
            before = after
        assert after == before, f"round {len(found)}"
        found.append(megabytes())
    return found


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Where results and temporary files go."""
    for name in ("results", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "results", tmp_path / "temporary"


@linux
@pytest.mark.filterwarnings("ignore:`predictor`", "ignore:This process .* is multi-threaded")
def test_a_few_rounds_leave_no_thread_descriptor_or_temporary_file(places):
    results, temporary = places
    # No workers here: torch forks them, which can hang in a process that has other threads.
    soak(Work(results, workers=0), temporary, 0, least=2)
    assert sorted(path.name for path in results.rglob("*")) == [
        "explanation.safetensors", "report.html", "run",
    ]  # fmt: skip


@linux
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`predictor`", "ignore:This process .* is multi-threaded")
def test_memory_is_flat_over_ten_minutes_of_everything_in_turns(places):
    results, temporary = places
    found = soak(Work(results, workers=2), temporary, SECONDS, least=10)
    rest = found[2:]
    third = len(rest) // 3
    early, late = statistics.median(rest[:third]), statistics.median(rest[-third:])
    print(f"{len(found)} rounds in {SECONDS:.0f} s: {early:.0f} MB early, {late:.0f} MB late")
    assert late - early < SLACK
