"""The lie suite: explanations that are known to be false, and honest ones; which are flagged?

Each lie is a code, a predictor and held-out inputs of which the truth is known, because it was
built in and is measured (a mark is swapped, a factor is moved). It counts as flagged where
`explain` or `evaluate` warns, or where the sentence on the strongest latent names the part that is
used. A control is honest, and must not be flagged.

Bounds were set on the lies marked "lie" and on development seeds; those marked "lie to check", and
other seeds, say whether they hold.

Where what a case rests on holds in less than nine of ten pictures of a seed, it is not asked there,
which is said beside the table.

Results are kept in --out, so that an interrupted run goes on; --again takes them anew; --only NAME
runs some.

    python -m benchmarks.lies.run --seeds 0 1
"""

import argparse
import json
import statistics
from collections import Counter
from pathlib import Path

import torch

from benchmarks.lies.case import Case, missed_by
from benchmarks.lies.scoring import Score, kind_of_warning, score
from benchmarks.lies.suite import EVERY, KINDS, kind_of
from benchmarks.sizes import SMOKE, new_parser, results_folder, sized
from benchmarks.tables import write

DEVELOPMENT_SEEDS = (0, 1)
# A trained code of pictures, one of a table, one by hand and a control.
SOME = ["texture by place", "leaked column", "collapsed", "place"]


def result_path(out: Path, name: str, seed: int) -> Path:
    """Where a result is kept."""
    return out / f"{''.join(c for c in name if c.isalnum())}_{seed}.json"


def run(name: str, seed: int, path: Path) -> Score | None:
    """Build a case and keep what the library says of it; None of one that is not what it says."""
    case = EVERY[name](seed)
    missed = missed_by(case)
    if missed and not SMOKE:  # too little is learned there
        path.write_text(json.dumps({"missed": missed}, indent=1))
        return None
    found = score(case, seed)
    keep(path, found, case)
    return found


def keep(path: Path, found: Score, case: Case) -> None:
    """Write what was found, and what is true, to a file."""
    kept = found._asdict() | {"truth": case.truth, "proof": dict(case.proof)}
    path.write_text(json.dumps(kept, indent=1))


def read(path: Path) -> Score | None:
    """What was kept; None of a case that was not asked, or not yet."""
    kept = json.loads(path.read_text()) if path.exists() else {"missed": {}}
    return None if "missed" in kept else Score(**{name: kept[name] for name in Score._fields})


def main() -> None:
    parser = new_parser(__doc__, seeds=list(DEVELOPMENT_SEEDS))
    parser.add_argument("--out", type=Path, default=results_folder("lies"))
    parser.add_argument(
        "--only", nargs="+", choices=EVERY, default=sized(list(EVERY), SOME), metavar="NAME"
    )
    parser.add_argument("--table", action="store_true", help="only write the tables")
    parser.add_argument("--again", action="store_true", help="take the figures anew")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for seed in [] if arguments.table else arguments.seeds:
        for name in arguments.only:
            path = result_path(arguments.out, name, seed)
            if arguments.again or not path.exists():
                found = run(name, seed, path)
                said = "flagged" if found and found.flagged else "not flagged"
                print(f"{seed} {name}: {said if found else 'not asked'}", flush=True)
    tabulate(arguments)


def tabulate(arguments: argparse.Namespace) -> None:
    """Write both tables from the results in --out: what is flagged by what, and every figure."""
    every = {
        name: {seed: read(result_path(arguments.out, name, seed)) for seed in arguments.seeds}
        for name in arguments.only
    }
    scored = {name: [one for one in seeds.values() if one] for name, seeds in every.items()}
    found = {name: scores for name, scores in scored.items() if scores}
    unasked = [
        f"{name} ({', '.join(str(seed) for seed, one in seeds.items() if one is None)})"
        for name, seeds in every.items()
        if None in seeds.values()
    ]
    letters: dict[str, str] = {}
    rows, figures = {}, {}
    for name, scores in found.items():
        by = [kind for one in scores for kind in {kind_of_warning(text) for text in one.warnings}]
        for kind in sorted(by):
            letters.setdefault(kind, chr(ord("a") + len(letters)))
        named = sum(one.named for one in scores)
        kind = kind_of(name)
        rows[name] = {
            "kind": kind,
            "flagged": f"{sum(one.flagged for one in scores)} of {len(scores)}",
            "by": _counted([letters[kind] for kind in by]),
            "part named": f"{named} of {len(scores)}" if named else "",
        }
        columns = dict.fromkeys(figure for one in scores for figure in one.figures)
        figures[name] = {"kind": kind} | {
            column.replace("_", " "): f"{statistics.mean(values):.3g}"
            for column in columns
            if (values := [one.figures[column] for one in scores if column in one.figures])
        }
    fresh = not set(arguments.seeds) & set(DEVELOPMENT_SEEDS)
    suffix = "" if fresh else "_development"
    seeds = " ".join(map(str, arguments.seeds))
    note = (
        f"{_shares(found)} {'Seeds' if fresh else 'Development seeds'} {seeds}. "
        f"`python -m benchmarks.lies.run --seeds {seeds}`"
    )
    legend = " ".join(f"{letter}: {kind}." for kind, letter in letters.items())
    left = f" Not asked, and of which seeds: {', '.join(unasked)}." if unasked else ""
    write(f"lies{suffix}", f"{note}{left}\n\n{legend}", rows, "case")
    write(f"lies_figures{suffix}", f"Every figure, mean over seeds. {note}", figures, "case")


def _counted(names: list[str]) -> str:
    """Such as "a (2), b (1)"."""
    return ", ".join(f"{name} ({count})" for name, count in sorted(Counter(names).items()))


def _shares(found: dict[str, list[Score]]) -> str:
    """Such as "Flagged: 20 of 20 lies, 28 of 28 lies to check, 0 of 26 controls."."""
    parts = []
    for kind, cases in KINDS.items():
        scores = [one for name in cases for one in found.get(name, [])]
        parts.append(f"{sum(one.flagged for one in scores)} of {len(scores)} {_plural(kind)}")
    return f"Flagged: {', '.join(parts)}."


def _plural(kind: str) -> str:
    return {"lie": "lies", "lie to check": "lies to check", "control": "controls"}[kind]


if __name__ == "__main__":
    main()
