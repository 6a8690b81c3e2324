"""From what was measured to an `Evaluation`: real inputs asked, figures put together, warnings."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attributions.codes import Code
from attributions.methods.captum import needs_gradient
from trimvae.data.loading import Array, as_tensor
from trimvae.evaluation.doubts import doubts_of
from trimvae.evaluation.figure import Measured, Sample
from trimvae.evaluation.interventions import Interventions
from trimvae.evaluation.real_inputs import (
    entanglement_figures,
    following_figures,
    pair_figures,
)
from trimvae.evaluation.result import Evaluation
from trimvae.evaluation.totals import Totals
from trimvae.explanation.bundles import of_bundles
from trimvae.explanation.copies import of_copies
from trimvae.explanation.cues import Cue
from trimvae.explanation.imitated import imitation_agreement, of_imitation
from trimvae.explanation.mixtures import of_mixtures, unmixed
from trimvae.explanation.redrawn import of_redrawn, redrawn_figures


class Real(NamedTuple):
    """What real inputs show."""

    examples: int
    figures: dict[str, Measured]
    by_change: dict[str, dict[str, float]]
    by_latent: dict[str, dict[str, float]]
    cues: list[Cue]
    warnings: list[str]
    """Of what is left of redrawn inputs, of latents that are copies, of small parts."""


def real_figures(
    code: Code,
    asked: Interventions,
    sample: Sample,
    shifted: Tensor | None,
) -> Real:
    """Ask real inputs: changed and redrawn ones, pairs, what goes together in them.

    Args:
        code: Frozen.
        asked: The predictor behind the code's decoder, by which method it is explained, and the
            seed of all that samples; of a method that needs no gradient, pairs have none to ask.
        sample: Real inputs.
        shifted: Other versions of the first ones, or None.
    """
    trim, seed = asked.trim, asked.generator.initial_seed()
    figures = entanglement_figures(sample, seed) if len(sample.inputs) > 1 else {}
    by_change: dict[str, dict[str, float]] = {}
    by_latent: dict[str, dict[str, float]] = {}
    cues: list[Cue] = []
    if trim.predictor.task == "classification":
        first = None if shifted is None else shifted[: len(sample.inputs)]
        found = following_figures(code, trim, sample, shifted=first, seed=seed)
        figures, by_change, cues = found.figures | figures, found.by_change, found.cues
    if needs_gradient(asked.method):
        pairs = pair_figures(trim, sample, seed)
        figures, by_latent = figures | pairs.figures, pairs.by_latent
    redrawn = redrawn_figures(
        code,
        trim,
        sample.inputs,
        sample.latents,
        sample.reconstructions,
        sample.outputs,
        sample.shares,
        seed=seed,
    )
    figures |= {name: Measured(*figure) for name, figure in redrawn.items()}
    warnings = of_redrawn(redrawn)
    if not sample.fixed_code:
        apart = unmixed(sample.latents, sample.deviations, sample.blocks)
        if apart is not None:
            figures["unmixing_gain"] = Measured(*apart.gain)
        warnings += [
            of_copies(sample.latents, sample.deviations, sample.shares, sample.latent_names),
            of_mixtures(apart, sample.shares, sample.latent_names),
        ]
    warnings += of_bundles(sample.bundles, sample.latent_names)
    said = [text for text in warnings if text]
    return Real(len(sample.inputs), figures, by_change, by_latent, cues, said)


def evaluation_of(
    totals: Totals,
    figures: Mapping[str, Measured],
    by_latent: Mapping[str, Mapping[str, float]],
    real: Real,
    settings: dict[str, Any],
) -> Evaluation:
    """Put everything together, with what a reader must know.

    Args:
        totals: Of all examples.
        figures: Of decisions and of latents that move.
        by_latent: Of latents that move.
        real: Of real inputs.
        settings: How explanations were made.
    """
    every = totals.figures() | dict(figures) | real.figures
    agreed = imitation_agreement(settings)
    if agreed is not None:
        every["imitation_agreement"] = Measured(agreed)
    return Evaluation(
        metrics={name: figure.value for name, figure in every.items()},
        intervals={
            name: list(figure.interval)
            for name, figure in every.items()
            if figure.interval is not None
        },
        by_class=totals.by_class(),
        by_latent={
            name: {**row, **real.by_latent.get(name, {})} for name, row in by_latent.items()
        },
        by_change=real.by_change,
        warnings=[
            *filter(None, [of_imitation(settings)]),
            *doubts_of(every, real.cues, totals.count),
            *real.warnings,
        ],
        settings={
            **settings,
            "examples": totals.count,
            "intervention_examples": real.examples,
        },
    )


def as_shifted(shifted: Array | None, inputs: Tensor) -> Tensor | None:
    """Shifted versions of inputs, where and as these are.

    Raises:
        ValueError: They do not have the shape of the inputs, are none, or are not finite.
    """
    if shifted is None:
        return None
    given = as_tensor(shifted, "shifted").detach()
    if given.shape[1:] != inputs.shape[1:] or not len(given):
        raise ValueError(
            f"`shifted` must be of shape (m, {', '.join(map(str, inputs.shape[1:]))}), one for "
            f"each of the first m inputs. Got {tuple(given.shape)}. Pass the first inputs under "
            "another condition."
        )
    if not bool(torch.isfinite(given).all()):
        raise ValueError(
            "`shifted` must be finite. Got NaN or infinity. Clean it as the inputs were cleaned."
        )
    return given.to(inputs)
