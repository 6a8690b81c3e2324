"""The demo's figures over several seeds, as a table.

for seed in 20 21 22 23 24; do trimvae demo --seed $seed --out runs/demo$seed; done
python -m benchmarks.demo_table runs/demo2?
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.sizes import new_parser, results_folder
from benchmarks.tables import interval, write
from trimvae.cli.demonstration import ARMS


def two_small_runs() -> list[Path]:
    """The demo on the smallest data, for an epoch: only to have something to read."""
    folders = [results_folder(f"demo{seed}") for seed in (0, 1)]
    trimvae = Path(sys.executable).with_name("trimvae")
    for seed, folder in enumerate(folders):
        options = ["--dataset", "breast-cancer", "--epochs", "1", "--seed", str(seed)]
        subprocess.run([trimvae, "demo", *options, "--out", folder], check=True)
    return folders


def two_codes(runs: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Whether trimvae's two codes of each run explain alike."""
    rows = {}
    for figure in ("same_strongest", "attribution_cosine", "within_class_correlation"):
        # Of the reference itself, one of both codes, it is 1.
        values = [run["consensus"][figure][1 - run["consensus"]["reference"]] for run in runs]
        rows[figure] = {"trimvae": interval(values, 2)}
    return rows


def main() -> None:
    parser = new_parser(__doc__)
    parser.add_argument("folders", type=Path, nargs="*", help="runs of the demo")
    arguments = parser.parse_args()
    folders = two_small_runs() if arguments.smoke else arguments.folders
    if not folders:
        parser.error("name at least one run of the demo")
    runs = [json.loads((folder / "metrics.json").read_text()) for folder in folders]
    rows = {}
    # Some figures are left out where one class alone is predicted.
    shared = set.intersection(*(set(run[arm]) for run in runs for arm in ARMS))
    for figure in (name for name in runs[0]["plain"] if name in shared):
        rows[figure] = {
            title: interval([run[arm][figure] for run in runs], 3) for arm, title in ARMS.items()
        }
    accuracies = ", ".join(f"{run['predictor_accuracy']:.3f}" for run in runs)
    note = (
        f"Seeds {', '.join(str(run['seed']) for run in runs)}; predictor accuracy {accuracies}; "
        "mean ± half the 95 % interval."
    )
    write("demo", note, rows, "held-out digits")
    write(
        "demo_codes", f"{note[:-1]} (trimvae's two codes).", two_codes(runs), "beside another seed"
    )


if __name__ == "__main__":
    main()
