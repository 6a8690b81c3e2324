"""Markdown tables with mean and spread over seeds."""

import statistics
from collections.abc import Mapping, Sequence

from scipy.stats import t

from benchmarks.sizes import docs


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Mean ± standard deviation; the value alone where there is one."""
    mean = f"{statistics.mean(values):.{digits}g}"
    return f"{mean} ± {statistics.stdev(values):.1g}" if len(values) > 1 else mean


def interval(values: Sequence[float], digits: int = 3, *, sign: bool = False) -> str:
    """Mean ± half its 95 % interval by Student's t; the mean alone where there is one value.

    With `sign`, a difference: "+" before it where it is not negative.
    """
    mean = f"{statistics.mean(values):{'+' if sign else ''}.{digits}f}"
    if len(values) < 2:
        return mean
    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean} ± {half:.{digits}f}"


def write(name: str, note: str, rows: Mapping[str, Mapping[str, str]], first: str) -> None:
    """Print a table and keep it in the docs: one row per name, one column per figure."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [note, "", f"| {first} | " + " | ".join(columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for title, row in rows.items():
        lines.append(f"| {title} | " + " | ".join(row.get(column, "") for column in columns) + " |")
    text = "\n".join(lines) + "\n"
    (docs("tables") / f"{name}.md").write_text(text, encoding="utf-8")
    print(text, flush=True)
