"""What an explanation notes of how it was made, as plain values."""

import importlib.metadata
import platform
from collections.abc import Sequence
from typing import Any

from attributions.codes import blocks_of
from attributions.methods.quadrature import Rule
from attributions.outputs import Contrast
from trimvae.explanation.arguments import explained_name
from trimvae.explanation.attributing import Attributed, Seen
from trimvae.explanation.columns import Chosen
from trimvae.explanation.marks import Recurrence
from trimvae.explanation.probing import Context
from trimvae.tables.asking import schema_of


def settings_of(
    context: Context, seen: Seen, class_names: Sequence[str] | None, chosen: Chosen
) -> dict[str, Any]:
    """What is said of code and predictor, and what real inputs will say.

    Args:
        context: Code and predictor.
        seen: What they make of the inputs.
        class_names: Of the predictor's outputs.
        chosen: The classes that are attributed.
    """
    code, predictor = context
    explained = predictor.explained
    contrast = list(explained) if isinstance(explained, Contrast) else None
    recurrence = getattr(code.original, "recurrence", None)
    schema = schema_of(code.original)
    return {
        "task": predictor.task,
        "explained_name": explained_name(predictor, seen.outputs.shape[1], class_names),
        "explained": None if contrast else explained,
        "contrast": contrast,
        "classes": chosen,
        "probabilities": predictor.probabilities,
        "blocks": [list(block) for block in blocks_of(code, seen.latents.shape[1])],
        "fixed_code": getattr(code.original, "fixed", False) is True,
        "training": getattr(code.original, "trained_with", None),
        "table": None if schema is None else schema.description,
        "recurrence": recurrence._asdict() if isinstance(recurrence, Recurrence) else None,
        "versions": versions(),
        **dict.fromkeys(("bundles", "cues", "redrawn")),
    }


def path_settings(found: Attributed, n_steps: int | None) -> dict[str, Any]:
    """How many points a path integral took on average, by which rule; None for other methods."""
    if found.path_points is None:
        return {"n_steps": None, "quadrature": None}
    rule: Rule = "simpson" if n_steps is None else "gauss"
    return {"n_steps": round(found.path_points.double().mean().item()), "quadrature": rule}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the figures."""
    names = ("trimvae", "torch", "captum", "numpy", "lightning")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }
