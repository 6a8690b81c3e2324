"""Run every example in one process, which loads the libraries once.

python -m examples [NAME ...]
TRIMVAE_QUICK=1 python -m examples
"""

import runpy
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
# What the others share is no example.
SHARED = {"__init__", "__main__", "photographs", "quick", "small_run"}


def names() -> list[str]:
    """Return every example as a module name, such as `objectives.beta_vae`."""
    paths = sorted(FOLDER.rglob("*.py"), key=lambda path: (len(path.parts), path))
    found = (path for path in paths if path.stem not in SHARED)
    return [".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in found]


def main() -> None:
    known = names()
    wanted = sys.argv[1:] or known
    if unknown := sorted(set(wanted) - set(known)):
        raise SystemExit(f"No example is called {', '.join(unknown)}. Known: {', '.join(known)}.")
    seconds = {}
    for name in wanted:
        print(f"\n== {name}", flush=True)
        sys.argv = [name]
        started = time.process_time()
        runpy.run_module(f"examples.{name}", run_name="__main__", alter_sys=True)
        seconds[name] = time.process_time() - started
    print("\nCPU seconds")
    for name, spent in seconds.items():
        print(f"{spent:8.1f}  {name}")
    print(f"{sum(seconds.values()):8.1f}  together")


if __name__ == "__main__":
    main()
