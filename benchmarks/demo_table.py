"""The demo's figures over several seeds, as a table.

for seed in 0 1 2; do trimvae demo --seed $seed --out runs/demo$seed; done
python benchmarks/demo_table.py runs/demo0 runs/demo1 runs/demo2
"""

import json
import statistics
import sys
from pathlib import Path


def main() -> None:
    runs = [json.loads((Path(folder) / "metrics.json").read_text()) for folder in sys.argv[1:]]
    accuracies = ", ".join(f"{run['predictor_accuracy']:.3f}" for run in runs)
    print(f"Seeds {', '.join(str(run['seed']) for run in runs)}; predictor accuracy {accuracies}.")
    print(
        "Mean ± standard deviation; the ratio is that of each seed's pair, smallest to largest.\n"
    )
    print("| held-out digits | plain beta-VAE | trimvae | trimvae over plain |")
    print("|---|---|---|---|")
    for figure in runs[0]["plain"]:
        columns = [[run[code][figure] for run in runs] for code in ("plain", "trim")]
        cells = []
        for values in columns:
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.4g} ± {spread:.2g}")
        ratios = sorted(trim / plain for plain, trim in zip(*columns, strict=True))
        print(f"| {figure} | {' | '.join(cells)} | {ratios[0]:.3f} to {ratios[-1]:.3f} |")


if __name__ == "__main__":
    main()
