"""Several codes of one run, trained side by side from one seed each, and their consensus."""

import functools
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import lightning as L
import torch

from attributions.explanatory import Layer
from attributions.predictors import Function
from trimvae.cli import runs
from trimvae.cli.opening import Opened
from trimvae.cli.preparing import Prepared, of_seed, prepared
from trimvae.cli.settings import Settings
from trimvae.cli.starting import Start
from trimvae.cli.training import finished, fitted, train_first
from trimvae.data import Split
from trimvae.recurrence.agreeing import consensus
from trimvae.recurrence.result import Consensus
from trimvae.storage import write_json

# Larger codes and data are trained one after another, with all threads.
_MOST_PARAMETERS, _MOST_BYTES = 10_000_000, 2**30

# Examples to which axes are fitted, and held-out ones that figures are of.
_FITTED, _HELD_OUT = 1500, 500


def trained_together(
    run: Prepared, start: Start, *, accelerator: str = "auto", progress: bool = True
) -> tuple[Opened, Consensus]:
    """Train as many codes as the run asks for, and keep each along its axes.

    Small codes are trained in several processes, each with one thread, as far as there are
    processors. The result is that of training one after another; an interrupted run goes on from
    every code's own checkpoint.

    Args:
        run: What to train; its own code is that of the first seed.
        start: Where.
        accelerator: Lightning's word for the device.
        progress: Whether to show a bar.

    Returns:
        The run, opened with the code that agrees best with the others, and the consensus.
    """
    first, count = run.settings.seed, run.settings.codes
    others = [of_seed(run, first + place) for place in range(1, count)]
    trained: dict[int, Any] = {}
    lanes = lanes_for(run, accelerator)
    with one_thread(lanes > 1), Helpers(start.folder, lanes, count, accelerator) as helpers:
        code = train_first(
            run, start, accelerator=accelerator, progress=progress, begun=helpers.begin
        )
        helpers.begin()
        train = functools.partial(_train_other, folder=start.folder, accelerator=accelerator)
        for place in range(lanes - 1, len(others), lanes):
            trained[place] = train(others[place], progress=progress)
        helpers.wait()
        # What a helper has trained is only read here; what it has not is made up for.
        for place, other in enumerate(others):
            if place not in trained:
                trained[place] = train(other, progress=False)
    codes = [code, *(trained[place] for place in range(len(others)))]
    found = consensus_of(
        codes,
        run.predictor,
        run.parts,
        layer=None if run.settings.axes else "rotation",
        preprocess=run.preprocess,
        task=run.settings.task,
        seed=run.settings.seed,
    )
    return _kept(run, start.folder, found), found


def lanes_for(run: Prepared, accelerator: str) -> int:
    """How many codes are trained at a time."""
    on_cpu = accelerator == "cpu" or (
        accelerator == "auto"
        and not (torch.cuda.is_available() or torch.backends.mps.is_available())
    )
    parameters = sum(parameter.numel() for parameter in run.code.parameters())
    small = parameters <= _MOST_PARAMETERS and run.parts.train_inputs.nbytes <= _MOST_BYTES
    return min(run.settings.codes, _processors()) if on_cpu and small else 1


def _processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """Let torch use a single thread, so that processes do not wait for each other's."""
    threads = torch.get_num_threads()
    try:
        if wanted:
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(threads)


class Helpers:
    """Processes that train some of a run's codes meanwhile, in lanes; ours is the first lane.

    They write checkpoints and nothing else, so that whatever becomes of them, the run can go on
    without.

    Args:
        folder: Of the run.
        lanes: Codes trained at a time, one of them here.
        count: Codes of the run.
        accelerator: Lightning's word for the device.
    """

    def __init__(self, folder: Path, lanes: int, count: int, accelerator: str) -> None:
        spawned = multiprocessing.get_context("spawn")
        self._processes = [
            spawned.Process(
                target=train_lane,
                args=(folder, range(lane, count, lanes), accelerator),
                daemon=True,
            )
            for lane in range(1, lanes)
        ]
        self._begun = False

    def begin(self) -> None:
        """Start them; only once, after the run's configuration was written."""
        if not self._begun:
            self._begun = True
            for process in self._processes:
                process.start()

    def wait(self) -> None:
        """Wait until all have ended, whether or not they have trained everything."""
        for process in self._processes:
            process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End those that still train: a checkpoint is whole at any moment."""
        for process in self._processes if self._begun else ():
            process.kill()
            process.join()


def train_lane(folder: Path, places: Sequence[int], accelerator: str) -> None:
    """Train some codes of a run that has begun, in a process of its own that says nothing.

    What goes wrong here goes wrong again, and is said, where the run looks for the checkpoint.

    Args:
        folder: Of the run.
        places: Which codes, counted from the first seed.
        accelerator: Lightning's word for the device.
    """
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    torch.set_num_threads(1)
    recorded = json.loads((folder / runs.CONFIGURATION).read_text(encoding="utf-8"))
    settings = Settings(**{name: recorded[name] for name in Settings._fields})
    run = prepared(settings, Start(folder, resume=True))
    for place in places:
        other = of_seed(run, settings.seed + place)
        _train_other(
            other, folder, accelerator=accelerator, progress=False, callbacks=[_WithParent()]
        )


class _WithParent(L.Callback):
    """Ends a helper whose run has ended: nobody would read what it writes."""

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        """Look before every step."""
        parent = multiprocessing.parent_process()
        if parent is not None and not parent.is_alive():
            os._exit(1)


def _train_other(run: Prepared, folder: Path, **options: Any) -> Any:
    """Train a code of a seed after the first, from its checkpoint on; write its history."""
    within = folder / runs.folder_of(run.settings.seed)
    code, history = fitted(run, within, resume=True, **options)
    write_json(within / runs.HISTORY, history)
    return code


def consensus_of(
    codes: Sequence[Any],
    predictor: Function,
    parts: Split,
    *,
    layer: Layer | None,
    preprocess: Function | None,
    task: Any,
    seed: int,
) -> Consensus:
    """Compare codes: axes are fitted to training examples, and figures are of held-out ones.

    Args:
        codes: Trained on the same data.
        predictor: That they explain.
        parts: The data.
        layer: Which axes are fitted; None where the codes are along theirs already.
        preprocess: Between decoder and predictor.
        task: As for `fit`.
        seed: Of the draw and of the search.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(parts.train_inputs), generator=generator)[:_FITTED]
    held_out = parts.test_inputs[:_HELD_OUT]
    inputs = torch.cat([parts.train_inputs[order], held_out])
    return consensus(
        codes,
        predictor,
        inputs,
        held_out=len(held_out) / len(inputs),
        layer=layer,
        preprocess=preprocess,
        task=task,
        seed=seed,
    )


def keep_consensus(folder: Path, found: Consensus, seed: int) -> None:
    """Write what several codes have in common, and every code but the one that explains.

    Args:
        folder: Of the run.
        found: The consensus.
        seed: Of the first code; the others have the next.
    """
    places = [found.reference, *(p for p in range(len(found.codes)) if p != found.reference)]
    for number, place in enumerate(places[1:], 1):
        code: Any = found.codes[place]
        code.save(folder / runs.code_of(number))
    content = {
        **found.to_dict(),
        "seeds": [seed + place for place in range(len(places))],
        "files": [runs.code_of(places.index(place)) for place in range(len(places))],
    }
    write_json(folder / runs.CONSENSUS, content)


def _kept(run: Prepared, folder: Path, found: Consensus) -> Opened:
    """Write every code and what is in consensus; the code that explains comes last."""
    keep_consensus(folder, found, run.settings.seed)
    opened = finished(run, folder, found.code)
    opened.code.recurrence = found.recurrence
    return opened
