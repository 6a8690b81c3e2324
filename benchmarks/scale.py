"""Memory and CPU seconds, ten thousand examples to a million: fit, explain_into, sums, evaluate.

Pictures of 32 x 32 are made on the fly, so that memory is that of the work alone. Every number of
examples runs in a process of its own, whose peak of resident memory is read after each stage. A
dense code of four latents and a linear predictor of four classes, one thread.

    OMP_NUM_THREADS=1 python -m benchmarks.scale
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from benchmarks.sizes import SMOKE, new_parser, results_folder, sized
from benchmarks.tables import write
from trimvae import VAE, evaluate, fit
from trimvae.explanation.sharding import explain_into
from trimvae.explanation.shards import Shards

EXAMPLES = sized([10_000, 100_000, 1_000_000], [300, 600])
STAGES = (
    "fit, one epoch",
    "explain_into",
    "sums of all shards",
    "sample of 64",
    "evaluate",
)
PARTS = ("explain", "evaluate")
MADE = sized(256, 64)
SIDE = 32


class Pictures(IterableDataset[Tensor]):
    """Batches of blobs of four kinds on noise: the same at every pass, none of them kept."""

    def __init__(self, examples: int) -> None:
        self.examples = examples

    def __iter__(self) -> Iterator[Tensor]:
        """Run through them, a batch at a time."""
        generator = torch.Generator().manual_seed(0)
        places = torch.linspace(-1, 1, SIDE)
        for start in range(0, self.examples, MADE):
            count = min(MADE, self.examples - start)
            x, y, size = (torch.rand(count, 1, 1, generator=generator) for _ in range(3))
            across = (places - (x - 0.5)).square().view(count, 1, SIDE)
            down = (places.view(SIDE, 1) - (y - 0.5)).square()
            blob = torch.exp(-(across + down) / (0.02 + 0.2 * size))
            noise = 0.05 * torch.rand(count, SIDE, SIDE, generator=generator)
            yield ((0.95 * blob + noise).unsqueeze(1)).clamp(0, 1)


def loader(examples: int) -> torch.utils.data.DataLoader:
    """Batches as the data set gives them."""
    return torch.utils.data.DataLoader(Pictures(examples), batch_size=None)


def quadrants() -> nn.Module:
    """Where the light is, and how much: left, right, above or below; linear and fixed."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 4))
    places = torch.linspace(-1, 1, SIDE)
    across, down = places.expand(SIDE, SIDE), places.view(SIDE, 1).expand(SIDE, SIDE)
    with torch.no_grad():
        rows = [side.flatten() for side in (-across, across, -down, down)]
        network[1].weight.copy_(torch.stack(rows) / 8)
        network[1].bias.zero_()
    return network


def peak() -> float:
    """Most resident memory of this process so far, in MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next(line for line in lines if line.startswith("VmHWM"))
    return int(found.split()[1]) / 1024


def run(examples: int, part: str) -> None:
    """Print CPU seconds and peak of memory after each stage of a part, as JSON lines."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    vae = VAE.dense((1, SIDE, SIDE), latent_size=4, hidden=(64,))
    predictor = quadrants()

    def say(stage: str, work: Callable[[], object]) -> None:
        started = time.process_time()
        work()
        seconds = time.process_time() - started
        row = {"examples": examples, "stage": stage, "seconds": seconds, "peak": peak()}
        print(json.dumps(row), flush=True)

    options = {"max_epochs": 1, "schedule": "constant", "progress": False}
    say("fit, one epoch", lambda: fit(vae, predictor, loader(examples), **options))
    if part == "evaluate":
        few = {"n_interventions": 64, "n_alpha": 20, "n_beta": 10}
        say("evaluate", lambda: evaluate(vae, predictor, loader(examples), **few))
        return
    kept = results_folder("scale")
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        say("explain_into", lambda: explain_into(folder, vae, predictor, loader(examples)))
        shards = Shards.open(folder)
        say("sums of all shards", lambda: shards.sums)
        say("sample of 64", lambda: shards.sample(64))
        disk = sum(path.stat().st_size for path in shards.paths) / 2**30
        agreement, ends = shards.sums.figures["agreement"]
        interval = [] if ends is None else list(ends)
        row = {"examples": examples, "stage": "found", "disk": disk}
        print(json.dumps({**row, "agreement": [agreement, *interval]}), flush=True)


def measured(examples: int) -> dict[str, dict[str, Any]]:
    """Run both parts, each in a process of its own."""
    stages: dict[str, dict[str, Any]] = {}
    for part in PARTS:
        command = [sys.executable, "-m", "benchmarks.scale", "--examples", str(examples)]
        smoke = ["--smoke"] if SMOKE else []
        process = subprocess.Popen(
            [*command, "--part", part, *smoke],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for line in process.stdout or ():
            print(line.strip(), flush=True)
            row = json.loads(line)
            stages.setdefault(row.pop("stage"), row)
        if process.wait():
            raise SystemExit(f"{examples} examples: the process ended with {process.returncode}")
    return stages


def read(logs: list[Path]) -> dict[int, dict[str, dict[str, Any]]]:
    """What earlier runs printed, one file for each number of examples and part."""
    found: dict[int, dict[str, dict[str, Any]]] = {}
    for log in logs:
        for line in log.read_text().splitlines():
            row = json.loads(line)
            found.setdefault(row.pop("examples"), {}).setdefault(row.pop("stage"), row)
    return found


def table(found: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> None:
    """Write the table: a row for each stage, seconds and peak beside each other."""
    rows: dict[str, dict[str, str]] = {}
    for examples, stages in sorted(found.items()):
        for name in STAGES:
            if name in stages:
                cell = f"{stages[name]['seconds']:.1f} s, {stages[name]['peak']:.0f} MB"
                rows.setdefault(name, {})[f"{examples:,}"] = cell
        value, *ends = stages["found"]["agreement"]
        between = " to ".join(f"{end:.4f}" for end in ends)
        last = {
            "agreement": f"{value:.4f} ({between})",
            "disk": f"{stages['found']['disk']:.2f} GB",
        }
        for name, cell in last.items():
            rows.setdefault(name, {})[f"{examples:,}"] = cell
    note = (
        "CPU seconds of each stage, and the most memory that its process held until then; pictures "
        "of 32 x 32 made on the fly, a dense code of four latents, one thread."
    )
    write("scale", note, rows, "stage")


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("--examples", type=int, help="this number alone, in this process")
    parser.add_argument("--part", choices=PARTS, default=PARTS[0], help="of the work, with it")
    parser.add_argument("--logs", type=Path, nargs="+", help="table of what --examples printed")
    arguments = parser.parse_args()
    if arguments.examples:
        run(arguments.examples, arguments.part)
    else:
        table(read(arguments.logs) if arguments.logs else {n: measured(n) for n in EXAMPLES})


if __name__ == "__main__":
    main()
