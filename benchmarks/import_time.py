"""How much CPU time the doors take: imports and the command line's first answer.

Every program runs in fresh interpreters, in turn, so that all of them see the same load; the median
counts. `import attributions` should cost at most .3 s above `import captum.attr`, `import trimvae`
at most .3 s above `import attributions`, and `trimvae --help` and `--version` less than .5 s.

    python -m benchmarks.import_time --runs 7
"""

import os
import statistics
import subprocess
import sys

from benchmarks.sizes import new_parser, sized

COMMAND = "import sys; sys.argv = ['trimvae', {!r}]; from trimvae.cli import main; main()"
PROGRAMS = {
    "import torch": "import torch",
    "import captum.attr": "import captum.attr",
    "import attributions": "import attributions",
    "import trimvae": "import trimvae",
    "from trimvae import VAE, explain": "from trimvae import VAE, explain",
    "from trimvae import fit": "from trimvae import fit",
    "trimvae --help": COMMAND.format("--help"),
    "trimvae --version": COMMAND.format("--version"),
}
REFERENCE = "import captum.attr"


def cpu_seconds(program: str) -> float:
    """User and system time of a fresh interpreter that runs a program."""
    before = os.times()
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    spent = after.children_user - before.children_user
    return spent + after.children_system - before.children_system


def main() -> None:
    """Print the table."""
    parser = new_parser(__doc__)
    parser.add_argument(
        "--runs", type=int, default=sized(5, 1), help="interpreters for each program"
    )
    runs = parser.parse_args().runs
    for program in PROGRAMS.values():  # files into memory, bytecode onto the disk
        cpu_seconds(program)
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(runs):
        for name, program in PROGRAMS.items():
            taken[name].append(cpu_seconds(program))
    median = {name: statistics.median(values) for name, values in taken.items()}
    print("| program | CPU s | range | x captum.attr |")
    print("|---|---|---|---|")
    for name, value in median.items():
        low, high = min(taken[name]), max(taken[name])
        ratio = value / median[REFERENCE]
        print(f"| `{name}` | {value:.2f} | {low:.2f} - {high:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
