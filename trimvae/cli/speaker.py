"""What the commands say: tables and advice to a person, or one JSON object to a machine."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table


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
        self.console.print(text, highlight=False, markup=False)

    def table(self, title: str, columns: list[str], rows: dict[str, list[float]]) -> None:
        """Print a table of figures, one row per name."""
        table = Table(*columns, title=title)
        for name, values in rows.items():
            table.add_row(name, *[f"{value:.4g}" for value in values])
        self.console.print(table)

    def warnings(self, texts: Iterable[str]) -> None:
        """Print what an explanation warns of."""
        for text in texts:
            self.console.print(f"[bold yellow]warning:[/] {escape(text)}", highlight=False)

    def end(self, written: Path, following: str, result: dict[str, Any]) -> None:
        """Say where results are and what can follow; or print the JSON object."""
        if self.as_json:
            typer.echo(json.dumps({"folder": str(written), **result}))
        else:
            self.say(f"Written to {written}. Next: {following}")
