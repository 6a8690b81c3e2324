"""Evaluation: what `evaluate` found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Trust figures of a code and a predictor; made by `evaluate`."""

    metrics: dict[str, float]
    """Over all examples, or the first few for those that need many decodings."""
    by_class: dict[str, dict[str, float]]
    """For each predicted class."""
    by_latent: dict[str, dict[str, float]]
    """For each latent."""
    settings: dict[str, Any]
    """How the explanations were made, and over how many examples."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "metrics": self.metrics,
            "by_class": self.by_class,
            "by_latent": self.by_latent,
            "settings": self.settings,
        }

    def to_markdown(self) -> str:
        """Three tables: all examples, by predicted class, by latent."""
        lines = ["| figure | value |", "|---|---|"]
        lines += [f"| {name} | {value:.4g} |" for name, value in self.metrics.items()]
        lines += ["", *_table("predicted class", self.by_class)]
        lines += ["", *_table("latent", self.by_latent)]
        return "\n".join(lines) + "\n"


def _table(title: str, rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = ["| " + " | ".join([title, *columns]) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [f"{row[column]:.4g}" if column in row else "" for column in columns]
        lines.append("| " + " | ".join([name.replace("|", "\\|"), *cells]) + " |")
    return lines
