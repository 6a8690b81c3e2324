"""The demo's figures over several seeds, as a table.

for seed in 0 1 2; do trimvae demo --seed $seed --out runs/demo$seed; done
python -m benchmarks.demo_table runs/demo0 runs/demo1 runs/demo2
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.sizes import new_parser, results_folder
from benchmarks.tables import write


def two_small_runs() -> list[Path]:
    """The demo on the smallest data, for an epoch: only to have something to read."""
    folders = [results_folder(f"demo{seed}") for seed in (0, 1)]
    trimvae = Path(sys.executable).with_name("trimvae")
    for seed, folder in enumerate(folders):
        options = ["--dataset", "breast-cancer", "--epochs", "1", "--seed", str(seed)]
        subprocess.run([trimvae, "demo", *options, "--out", folder], check=True)
    return folders


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
    shared = set.intersection(*(set(run[code]) for run in runs for code in ("plain", "trim")))
    for figure in (name for name in runs[0]["plain"] if name in shared):
        columns = {
            title: [run[code][figure] for run in runs]
            for title, code in (("plain beta-VAE", "plain"), ("trimvae", "trim"))
        }
        rows[figure] = {}
        for title, values in columns.items():
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            rows[figure][title] = f"{statistics.mean(values):.4g} ± {spread:.2g}"
        ratios = sorted(
            trim / plain if plain else float("nan")
            for plain, trim in zip(*columns.values(), strict=True)
        )
        rows[figure]["trimvae over plain"] = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
    accuracies = ", ".join(f"{run['predictor_accuracy']:.3f}" for run in runs)
    note = (
        f"Seeds {', '.join(str(run['seed']) for run in runs)}; predictor accuracy {accuracies}.\n"
        "Mean ± standard deviation; the ratio is that of each seed's pair, smallest to largest."
    )
    write("demo", note, rows, "held-out digits")


if __name__ == "__main__":
    main()
