"""Does every benchmark still run? Each at minimal size, in a process of its own.

    python -m benchmarks.smoke [NAME ...]

Writes nothing but to a temporary folder. Benchmarks whose data or package is missing are skipped,
and named.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.sizes import SKIPPED

FOLDER = Path(__file__).parent
# Shared by the benchmarks, or the runner itself.
SHARED = {
    "__init__",
    "arms",
    "candidates",
    "case",
    "class_rules",
    "clock",
    "codes",
    "controls",
    "discs",
    "marks",
    "rules",
    "scores",
    "scoring",
    "sizes",
    "smoke",
    "suite",
    "tables",
}


def names() -> list[str]:
    """Return every benchmark as a module name, such as `explanations.gce`."""
    paths = sorted(path for path in FOLDER.rglob("*.py") if path.stem not in SHARED)
    return [".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in paths]


def run(name: str, folder: str) -> tuple[str, str]:
    """Run one benchmark; return "ok", "skipped" or "FAILED", and what it said."""
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--smoke"],
        cwd=FOLDER.parent,
        env={**os.environ, "TMPDIR": folder, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    outcome = {0: "ok", SKIPPED: "skipped"}.get(ended.returncode, "FAILED")
    return outcome, ended.stdout + ended.stderr


def main() -> None:
    known = names()
    wanted = sys.argv[1:] or known
    if unknown := sorted(set(wanted) - set(known)):
        raise SystemExit(f"No benchmark is called {', '.join(unknown)}. Known: {', '.join(known)}.")
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in wanted:
            started = time.perf_counter()
            outcome, said = run(name, folder)
            seconds = time.perf_counter() - started
            why = said.strip().splitlines()[-1] if outcome == "skipped" else ""
            print(f"{outcome:8}{seconds:7.1f} s  {name}  {why}", flush=True)
            if outcome == "FAILED":
                failed.append(name)
                print(said, flush=True)
    if failed:
        raise SystemExit(f"{len(failed)} of {len(wanted)} benchmarks failed: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
