"""Is a case flagged? What the library itself says of it, and nothing that only we know."""

import math
import re
import time
import warnings
from typing import NamedTuple

from benchmarks.lies.case import Case
from benchmarks.sizes import sized
from trimvae import explain
from trimvae.evaluation.evaluating import evaluate
from trimvae.explanation.explanation import Explanation

# Of what a predictor answers to, so that the sentence on a latent names the part that is used.
LEAST_NAMED = 0.8

N_INTERVENTIONS = sized(128, 24)


class Score(NamedTuple):
    """What the library says of a case."""

    warnings: tuple[str, ...]
    """Of `explain` and `evaluate`."""
    named: bool
    """Whether the sentence on the strongest latent names the part that is used."""
    figures: dict[str, float]
    """All of them."""
    seconds: float

    @property
    def flagged(self) -> bool:
        """Whether anything warns, or the part that is used is named."""
        return bool(self.warnings) or self.named


def score(case: Case, seed: int) -> Score:
    """Explain and evaluate a case as a user would."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        explanation = explain(case.code, case.predictor, case.inputs, labels=case.labels, seed=seed)
        evaluation = evaluate(
            case.code,
            case.predictor,
            case.inputs,
            labels=case.labels,
            judges=case.judges,
            shifted=case.shifted,
            n_interventions=N_INTERVENTIONS,
            n_alpha=20,
            n_beta=10,
            seed=seed,
        )
    figures = evaluation.metrics | explanation.metrics
    figures |= {f"excess {index}": part.excess for index, part in enumerate(explanation.bundles)}
    return Score(
        tuple(dict.fromkeys((*explanation.warnings, *evaluation.warnings))),
        case.used is not None and _names(explanation, case.used),
        {name: value for name, value in figures.items() if math.isfinite(value)},
        time.perf_counter() - started,
    )


def _names(explanation: Explanation, used: str) -> bool:
    """Whether the strongest latent that was split is said to be read in one part."""
    for bundle in explanation.bundles[:1]:
        shares = dict(zip(bundle.names, bundle.responses, strict=True))
        return shares.get(used, 0.0) >= LEAST_NAMED
    return False


def kind_of_warning(text: str) -> str:
    """A warning without its numbers and names: what it is about."""
    clause = re.split(r"[:;.](?!\d)", text)[0]
    clause = re.sub(r"\([^)]*\)", "", clause)
    clause = re.sub(r"\b[zxf]\d+(,\d+)?\b", "a latent", clause)
    clause = re.sub(
        r"^a latent draws\b.*", "a latent draws more than the predictor responds to", clause
    )
    clause = re.sub(
        r".*(is a mixture|are mixtures) of directions.*", "latents are mixtures", clause
    )
    clause = re.sub(r"\d[\d.,]*\s?%?", "#", clause)
    return re.sub(r"\s+", " ", clause).replace(" ,", ",").strip()
