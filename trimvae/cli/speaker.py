"""What the commands say: tables and advice to a person, or one JSON object to a machine."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from trimvae.json_values import without_nan


class Speaker:
    """Says things to a person, or one JSON object to a machine.

    Args:
        as_json: Whether a machine listens.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.console = Console(quiet=as_json)

    def say(self, text: str) -> None:
        """Print a line, for a person only."""
        self.console.print(_printable(text), highlight=False, markup=False)

    def table(
        self, title: str, columns: list[str], rows: Mapping[str, Sequence[float | str]]
    ) -> None:
        """Print a table of figures, one row per name."""
        table = Table(*columns, title=title)
        for name, values in rows.items():
            table.add_row(
                name, *[value if isinstance(value, str) else f"{value:.4g}" for value in values]
            )
        self.console.print(table)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show on standard error what takes a while: with the seconds, or as plain lines."""
        console = Console(stderr=True)
        if not console.is_terminal:
            started = time.perf_counter()
            console.print(f"{text} ...", highlight=False, markup=False)
            yield
            seconds = time.perf_counter() - started
            console.print(f"{text}: {seconds:.1f} s", highlight=False, markup=False)
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            progress.add_task(escape(text))
            yield

    def warnings(self, texts: Iterable[str]) -> None:
        """Print what an explanation warns of."""
        for text in texts:
            shown = escape(_printable(text))
            self.console.print(f"[bold yellow]warning:[/] {shown}", highlight=False)

    def end(self, written: Path, following: str, result: dict[str, Any]) -> None:
        """Say where results are and what can follow; or print the JSON object."""
        if self.as_json:
            typer.echo(json.dumps(without_nan({"folder": str(written), **result})))
        else:
            self.say(f"Written to {written}. Next: {following}")


def _printable(text: str) -> str:
    """Lines that leave the terminal as it is, whatever the names in them hold."""
    from attributions.naming import cut  # whose package loads torch

    return "\n".join(cut(line, len(line) + 1) for line in text.split("\n"))
