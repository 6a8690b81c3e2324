"""Evaluation: what `evaluate` found."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from attributions.naming import cut
from trimvae.evaluation.meanings import meaning_of
from trimvae.json_values import without_nan


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Trust figures of a code and a predictor; made by `evaluate`."""

    metrics: dict[str, float]
    """Over all examples, or the first few for those that need many decodings."""
    intervals: dict[str, list[float]] = field(default_factory=dict)
    """Of the figures that have one, from where to where they may be at 95 %."""
    by_class: dict[str, dict[str, float]]
    """For each predicted class."""
    by_latent: dict[str, dict[str, float]]
    """For each latent."""
    by_change: dict[str, dict[str, float]] = field(default_factory=dict)
    """For each way in which real inputs were changed: how many were asked and how many decisions
    changed; of these the shares of re-encoded ones that follow, that follow by chance, and that
    stay with the decision before."""
    warnings: list[str] = field(default_factory=list)
    """What a reader must know, in plain language."""
    settings: dict[str, Any]
    """How the explanations were made, and over how many examples."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; None where a figure is NaN or infinite."""
        return {name: without_nan(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make an evaluation of what `to_dict` returned, with NaN where a figure is None.

        Args:
            content: By the names of the fields.
        """
        figures = content.keys() - {"warnings", "settings"}
        return cls(**{**content, **{name: _with_nan(content[name]) for name in figures}})

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Every figure over all examples: its name, value, interval and meaning, as text."""
        return [
            (name, _shown(value), self.interval_in_words(name), meaning_of(name))
            for name, value in self.metrics.items()
        ]

    def interval_in_words(self, name: str) -> str:
        """Such as "0.91 to 0.97"; empty where a figure has no interval."""
        ends = self.intervals.get(name)
        return "" if ends is None else f"{ends[0]:.3g} to {ends[1]:.3g}"

    def to_markdown(self) -> str:
        """Warnings, then tables: all examples, by predicted class, by latent, by change."""
        lines = [f"- **Warning.** {text}" for text in self.warnings]
        lines += [""] if lines else []
        lines += ["| figure | value | 95 % interval | meaning |", "|---|---|---|---|"]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows()]
        lines += ["", *_table("predicted class", self.by_class)]
        lines += ["", *_table("latent", self.by_latent)]
        if self.by_change:
            lines += ["", *_table("change of real inputs", self.by_change, "no decision changed")]
        return "\n".join(lines) + "\n"


def _with_nan(figures: Any) -> Any:
    """Figures by name, in rows by name or in pairs."""
    if isinstance(figures, Mapping):
        return {name: _with_nan(each) for name, each in figures.items()}
    if isinstance(figures, list):
        return [_with_nan(each) for each in figures]
    return math.nan if figures is None else figures


def _shown(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.4g}"


def _table(title: str, rows: Mapping[str, Mapping[str, float]], missing: str = "") -> list[str]:
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = ["| " + " | ".join([title, *columns]) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [_shown(row[column]) if column in row else missing for column in columns]
        lines.append("| " + " | ".join([cut(name).replace("|", "\\|"), *cells]) + " |")
    return lines
