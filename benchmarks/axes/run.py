"""Do two codes explain one classifier alike, and along factors rather than classes?

Codes of several seeds are trained with the prediction loss, for each of several classifiers. Then
every arm of `benchmarks.axes.arms` chooses axes for them, fitted to 2,000 training examples, and
figures are taken on 1,000 held-out ones: what attributions along the axes are like, and whether
the codes of one classifier agree. Intervals are over codes: figures of likeness are each code's
mean over its pairs. `benchmarks.axes.trained` goes on from the same codes, and trains along axes.

    python -m benchmarks.axes.run --data digits --seeds 10 11 12 13 14 --classifiers 10 11
"""

import argparse
import itertools
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.axes.arms import ARMS
from benchmarks.axes.codes import SETTINGS, trained
from benchmarks.axes.seen import Along, along, figures, likeness
from benchmarks.sizes import new_parser, require_fashion, results_folder, sized
from benchmarks.tables import interval, write

Figures = dict[str, list[float]]

# The order of columns, and how many digits.
COLUMNS = {
    "same strongest": 2,
    "cosine": 2,
    "within-class correlation": 2,
    "used correlation": 2,
    "class dependence": 2,
    "within classes": 2,
    "effective latents": 1,
    "over the data": 1,
    "classes per axis": 1,
    "agreement": 3,
    "error": 2,
}


def of_codes(views: Sequence[Along]) -> Figures:
    """Figures of the codes of one classifier, one value for each code."""
    found: Figures = defaultdict(list)
    for number, view in enumerate(views):
        for name, value in figures(view).items():
            found[name].append(value)
        pairs = [likeness(view, other) for at, other in enumerate(views) if at != number]
        for name in pairs[0] if pairs else ():
            found[name].append(statistics.mean(pair[name] for pair in pairs))
    return found


def joined(parts: Sequence[Mapping[str, Sequence[float]]]) -> Figures:
    """Figures of several classifiers' codes, one after another."""
    return {
        name: list(itertools.chain.from_iterable(part[name] for part in parts)) for name in parts[0]
    }


def row(found: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """Return a row of the table: mean and 95 % interval."""
    return {
        name: interval(found[name], digits) for name, digits in COLUMNS.items() if name in found
    }


def axes_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser of what both commands of this folder take."""
    parser = new_parser(description, seeds=[10, 11, 12, 13, 14])
    parser.add_argument("--data", choices=SETTINGS, default="digits")
    parser.add_argument("--classifiers", type=int, nargs="+", default=sized([10, 11], [0]))
    parser.add_argument("--out", type=Path, default=results_folder("axes"))
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Return the options; of codes in smoke mode the two that a pair needs."""
    options = parser.parse_args()
    if options.data == "fashion":
        require_fashion()
    options.seeds = sized(options.seeds, [0, 1])
    return options


def write_found(
    name: str, options: argparse.Namespace, note: str, found: Mapping[str, Sequence[Figures]]
) -> None:
    """Write a table with a row for each arm, its codes of all classifiers together."""
    write(
        f"{name}_{options.data.replace('-', '_')}",
        f"{options.data}: {len(options.seeds)} codes of each of {len(options.classifiers)} "
        f"classifiers{note}; mean ± half the 95 % interval over codes.",
        {arm: row(joined(parts)) for arm, parts in found.items()},
        "arm",
    )


def main() -> None:
    options = parsed(axes_parser(__doc__))
    found: dict[str, list[Figures]] = defaultdict(list)
    accuracies = []
    for number in options.classifiers:
        classifier = trained(options.data, number, options.out)
        accuracies.append(classifier.accuracy)
        fitted, held_out = zip(*(classifier.seen(seed) for seed in options.seeds), strict=True)
        print(f"classifier {number}: accuracy {classifier.accuracy:.3f}", flush=True)
        for name, arm in ARMS.items():
            started = time.perf_counter()
            views = [along(s, m) for s, m in zip(held_out, arm(fitted), strict=True)]
            kept = {
                "agreement": [seen.agreement for seen in held_out],
                "error": [seen.error for seen in held_out],
            }
            found[name].append(of_codes(views) | kept)
            print(
                f"{name}: {time.perf_counter() - started:.1f} s", row(found[name][-1]), flush=True
            )
    accuracy = ", ".join(f"{value:.3f}" for value in accuracies)
    write_found("axes", options, f" (accuracy {accuracy})", found)


if __name__ == "__main__":
    main()
