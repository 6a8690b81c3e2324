"""The smoke mode: `--smoke` asks only whether a benchmark still runs.

Minimal sizes and one seed; tables, pictures and results go to a temporary folder instead of docs/
and runs/. A benchmark without its data or package says so and exits with `SKIPPED`.
"""

import argparse
import functools
import sys
import tempfile
from pathlib import Path
from typing import NoReturn, TypeVar

T = TypeVar("T")

SMOKE = not {"--smoke", "--quick"}.isdisjoint(sys.argv)
SKIPPED = 77
# Settings were chosen on seeds 0 to 2; tables are of these.
SEEDS = [10, 11, 12, 13, 14]


def sized(full: T, smoke: T) -> T:
    """Return the size of the benchmark, or the one of the smoke mode."""
    return smoke if SMOKE else full


def skip(why: str) -> NoReturn:
    """Say why a benchmark cannot run here, and end it."""
    print(f"skipped: {why}", file=sys.stderr)
    raise SystemExit(SKIPPED)


@functools.cache
def scratch() -> Path:
    """Return this process' temporary folder."""
    return Path(tempfile.mkdtemp(prefix="trimvae_smoke_"))


def docs(kind: str) -> Path:
    """Return where tables (`"tables"`) or pictures (`"images"`) are written; it exists."""
    folder = (scratch() if SMOKE else Path(__file__).parents[1] / "docs") / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def results_folder(name: str) -> Path:
    """Return the folder in which a benchmark keeps results by default."""
    return (scratch() if SMOKE else Path("runs")) / name


def new_parser(
    description: str | None, *, seeds: list[int] | None = None
) -> argparse.ArgumentParser:
    """Return a parser with `--smoke`, and with `--seeds` where default seeds are given."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--smoke", "--quick", action="store_true", help="minimal sizes: does it still run?"
    )
    if seeds:
        parser.add_argument("--seeds", type=int, nargs="+", default=sized(seeds, seeds[:1]))
    return parser


def require_fashion() -> None:
    """In smoke mode, end the benchmark where Fashion-MNIST would have to be downloaded."""
    from trimvae.cli.demo_data import FASHION_FOLDER

    if SMOKE and not FASHION_FOLDER.is_dir():
        skip(f"no {FASHION_FOLDER}. Install Debian's package dataset-fashion-mnist.")


def add_fashion(parser: argparse.ArgumentParser) -> None:
    """Add `--folder` of Fashion-MNIST's files, by default where Debian puts them."""
    from trimvae.cli.demo_data import FASHION_FOLDER

    require_fashion()
    here = FASHION_FOLDER if FASHION_FOLDER.is_dir() else None
    parser.add_argument("--folder", default=here, help="idx files; default: Debian's, or download")
